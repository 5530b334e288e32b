# SPDX-License-Identifier: Apache-2.0
"""Real conversations with faults in them, against the broker under a sanitizer: it answers or ends
the connection, and never itself; a control client is served all along, and memory comes back."""
import json
import os
import pathlib
import random
import subprocess
import threading

import pytest
from harness import http
from harness.broker import find_binary, wait_for
from harness.tokens import hash_of

from attacks import port_of
from bystander import Bystander
from conversations import record
from forms import FUZZ_SECONDS, PATIENCE_S

LANES = 2
MIB = 1048576
KEPT_BYTES = 192 * MIB  # a sanitizer keeps what is freed for a while: see QUARANTINE
QUARANTINE = "quarantine_size_mb=16"
# With credentials, so that these are in the conversations' way too.
CONFIGS = {"open": "", "trusting": """
auth:
  keys: [ {{ name: backend, hash: "{hash}", publish: ["**"], subscribe: ["**"], history: ["**"] }},
          {{ name: p, hash: "{weak}", publish: ["talk/**"], subscribe: ["talk/**"],
             history: ["talk/**"] }} ]
  anonymous: {{ publish: ["talk/**"], subscribe: ["talk/**"], history: ["talk/**"],
               delete: ["talk/**"] }}
""".format(hash=hash_of("key-of-backend"), weak=hash_of("p"))}
BACKEND = {"Authorization": "Bearer key-of-backend"}
SCRIPT = pathlib.Path(__file__).with_name("mutants.py")


def start_mutants(broker, spoken, seed, seconds, folder):
    """One lane of faults."""
    process = subprocess.Popen(["/usr/bin/python3", SCRIPT], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    process.stdin.write(json.dumps({
        "conversations": spoken, "seed": seed, "seconds": seconds, "folder": str(folder),
        "least": seconds,
        "ports": {"public": port_of(broker.public), "mqtt": broker.mqtt_port}}).encode())
    process.stdin.close()
    process.stdin = None
    return process


def ask_again_and_again(broker, headers, faults, is_over):
    """New connections of an honest client are served too."""
    while not is_over.wait(0.2):
        try:
            answer = broker.get("/channels/bystander?since=now", headers)
            if answer.status != 200:
                faults.append(repr(answer))
        except (OSError, http.Closed) as error:
            faults.append(repr(error))


@pytest.mark.deadline(2 * FUZZ_SECONDS + 150)
@pytest.mark.parametrize("trust", CONFIGS)
def test_conversations_with_faults_break_nothing(trust, start_broker, tmp_path):
    seed = int(os.environ.get("TIDINGS_SEED", random.randrange(1 << 32)))
    broker = start_broker(config=CONFIGS[trust], environment={
        "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:{QUARANTINE}"})
    headers = BACKEND if trust == "trusting" else {}
    spoken = record(broker)
    assert len(spoken) >= 15 and {one["door"] for one in spoken} == {"public", "mqtt"}
    before = broker.rss_anon_bytes()
    faults, is_over, counts = [], threading.Event(), []
    control = threading.Thread(target=ask_again_and_again,
                               args=(broker, headers, faults, is_over))
    control.start()
    try:
        with Bystander(broker, headers=headers) as bystander:
            lanes = [start_mutants(broker, spoken, seed + lane, FUZZ_SECONDS / 2, tmp_path)
                     for lane in range(LANES)]
            counts = [json.loads(lane.communicate(timeout=FUZZ_SECONDS + PATIENCE_S + 60)[0])
                      for lane in lanes]
            print(f"seed {seed}: {counts}")
            broker.assert_alive()
            bystander.finish()
    finally:
        is_over.set()
        control.join(30)
    assert not faults, faults[:5]
    assert not any("refused" in one for one in counts), (seed, counts, list(tmp_path.iterdir()))
    assert sum(one["conversations"] for one in counts) >= FUZZ_SECONDS, counts
    wait_for(lambda: broker.descriptor_count() < 200, 60, "the descriptors")
    if b"__tsan_init" not in find_binary().read_bytes():  # whose shadow only grows
        wait_for(lambda: broker.rss_anon_bytes() - before < KEPT_BYTES, 30, "the memory")
