# SPDX-License-Identifier: Apache-2.0
"""Mosquitto's two commands, run against the broker; and Mosquitto itself, as the other broker."""
import shutil
import subprocess

import pytest

from harness.mqtt import address_of
from harness.ports import take_port
from harness.servers import Server

TIMEOUT_S = 60


def command(broker, name, version, *arguments):
    """mosquitto_pub or mosquitto_sub against the broker, not run yet."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"no {name}")
    host, port = address_of(broker.mqtt)
    return [program, "-h", host, "-p", str(port), "-V",
            {"3.1.1": "mqttv311", "5.0": "mqttv5"}[version], *arguments]


def run(*words, **options):
    done = subprocess.run(*words, capture_output=True, timeout=TIMEOUT_S, check=False, **options)
    assert done.returncode == 0, done
    return done.stdout


class Mosquitto:
    """Mosquitto on a port that it keeps, with what it persists, over stop() and start(). `mqtt` is
    its URL, so that a harness.mqtt.Client takes it for a broker. `lines`: more of its
    configuration."""

    context = public = None

    def __init__(self, *lines, scheme="mqtt", host="127.0.0.1"):
        self.server, self.port = Server("mosquitto"), take_port()
        self.mqtt = self.mqtts = f"{scheme}://{host}:{self.port}"
        self.config = self.server.file("mosquitto.conf", "\n".join((
            f"listener {self.port} 127.0.0.1", "user root", "max_queued_messages 0",
            "persistence true", f"persistence_location {self.server.scratch.name}/", *lines,
            *(() if any(line.startswith("password_file") for line in lines)
              else ("allow_anonymous true",)))) + "\n")

    def file(self, name, text):
        return self.server.file(name, text)

    def start(self):
        self.server.start("-c", self.config, ports=[self.port])
        return self

    def stop(self):
        self.server.process.terminate()
        self.server.process.wait(TIMEOUT_S)

    def close(self):
        self.server.__exit__()
