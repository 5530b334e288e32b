# SPDX-License-Identifier: Apache-2.0
"""`tidings pub` and `sub` over MQTT, and the example of a device in C."""
import json
import signal
import socket
import subprocess

import pytest

from harness import mqtt
from harness.broker import END_S, find_binary, wait_for
from harness.mqtt import connected
from harness.ports import take_port
from wire.process_test import read_lines, tidings, told


@pytest.fixture(name="url")
def fixture_url(broker):
    return f"mqtt://127.0.0.1:{broker.mqtt_port}"


def follow(*words):
    return subprocess.Popen([str(find_binary()), "sub", *words], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def end(process, code=0):
    process.send_signal(signal.SIGTERM)
    assert process.wait(END_S) == code, process.stderr.read()
    process.stdout.close()
    process.stderr.close()


def test_pub_publishes_an_argument_and_lines(broker, channel, url):
    done = tidings("pub", channel, '{"a":1.50}', "--url", url, "--key", "k", "--event", "e")
    assert done.returncode == 0 and not done.stderr, done
    message = broker.all_messages(channel)[0][0]
    assert done.stdout.decode().split() == ["1", message["id"]]
    assert (message["key"], message["event"], message["data"]) == ("k", "e", {"a": 1.5})
    assert "headers" not in message
    done = tidings("pub", channel, "-", "--url", url, stdin=b'1\n"zwei"\nthree\n')
    assert [line.split()[0] for line in done.stdout.splitlines()] == [b"2", b"3", b"4"]
    done = tidings("pub", channel, "x", "--url", url + "/", "--quiet", "--type", "text/csv")
    assert done.returncode == 0 and not done.stdout, done
    messages, _ = broker.all_messages(channel)
    assert [message["data"] for message in messages[1:]] == [1, "zwei", "three", "x"]
    assert messages[-1]["type"] == "text/csv"


def test_what_the_broker_refuses_is_told(url):
    assert "a/+" in told(tidings("pub", "a/+", "1", "--url", url))
    assert "0x90" in told(tidings("pub", "$own", "1", "--url", url))
    assert "0x90" in (line := told(tidings("pub", "a*", "1", "--url", url))) and "'*'" in line
    assert "0x8F" in told(tidings("sub", "a*", "--url", url))


def test_a_packet_of_the_brokers_size_is_sent_and_a_larger_one_is_not(broker, channel, url):
    with mqtt.connected(broker) as client:
        most = client.connack.values["maximum_packet_size"]
    rest = 3 + 1 + 2 + len(channel) + 2 + 1 + 5 + len("idempotency-key") + 32
    line = told(tidings("pub", channel, "--url", url, stdin=b"1" * (most - rest + 1)))
    assert f"{most + 1} bytes" in line and str(most) in line.split("takes")[1]
    with subprocess.Popen([str(find_binary()), "pub", channel, "--url", url],
                          stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(b"1" * (most - rest))
        process.stdin.close()
        assert b"0x97" in process.stderr.readline()  # of the message: the packet was taken
        process.kill()


@pytest.mark.parametrize("pattern", ["a+b", "a/**/b", "a/#b", ""])
def test_what_is_no_filter_of_mqtt_is_not_subscribed_to(url, pattern):
    assert "whole segment" in told(tidings("sub", "a", pattern, "--url", url))


def test_a_subscription_that_ends_its_connection_each_time_is_given_up():
    """What Paho tells of a DISCONNECT, too, is that the connection was lost."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = follow("a", "--url", f"mqtt://127.0.0.1:{server.getsockname()[1]}")
        for _ in range(5):
            with server.accept()[0] as connection:
                assert connection.recv(4096)[0] == 0x10
                connection.sendall(bytes.fromhex("2003000000"))
                assert connection.recv(4096)[0] == 0x82
        _, said = process.communicate(timeout=END_S)
    assert process.returncode == 1 and b"5 times" in said.splitlines()[-1], said


@pytest.mark.parametrize("tail,word", [("://me:secret@host", "--token"),
                                       ("://localhost/a/b", "path"), ("://localhost?a", "path"),
                                       ("://", "host"), (":///", "host")])
def test_a_url_that_cannot_be_meant_is_a_fault_of_the_command_line(tail, word):
    for words in (("pub", "a", "1"), ("sub", "a")):
        line = told(tidings(*words, "--url", "mqtt" + tail), 2)
        assert word in line and "secret" not in line


def test_a_broker_that_cannot_be_reached_is_named(broker):
    """Nothing listens, there is no such host, or another protocol is spoken there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        for address in (f"127.0.0.1:{taken.getsockname()[1]}", "host.invalid",
                        broker.operator.removeprefix("http://")):
            process = follow("a", "--url", f"mqtt://{address}")
            line = process.stderr.readline().decode()
            assert f"mqtt://{address} cannot be reached" in line
            end(process)


def test_sub_writes_the_same_over_both_protocols(broker, channel, url):
    broker.post(f"{channel}/1", b'{"x":1.50}', headers={"Tidings-Event": "e", "Tidings-Key": "k",
                                                        "Tidings-Header-A": "b"})
    broker.post(f"{channel}/2", "zwei\nü".encode(), "text/plain")
    broker.post(f"{channel}/3", b"\x00\xff", "image/png")
    with connected(broker) as client:
        pairs = [("k", "v"), ("a", ""), ("k", "")]
        client.publish(f"{channel}/1", b'"s"', 1, values={"user": pairs})
    words = ["sub", f"{channel}/*", "--since", "earliest", "--limit", "4"]
    over_http = tidings(*words, "--url", broker.public)
    over_mqtt = tidings(*words, "--url", url)
    assert over_mqtt.stdout == over_http.stdout and over_http.stdout.count(b"\n") == 5
    assert over_mqtt.returncode == 0 and not over_mqtt.stderr
    entries = [[json.loads(line) for line in tidings(*words, "--json", "--url", address)
                .stdout.splitlines()] for address in (broker.public, url)]
    for over_http in entries[0]:
        del over_http["time"]  # MQTT has none
    assert entries[0] == entries[1] and entries[0][3]["headers"] == {"k": "v, ", "a": ""}


@pytest.mark.parametrize("since,first", [("earliest", 1), ("-2", 4), ("3", 4), ("0", 1)])
def test_sub_begins_where_it_is_told(broker, channel, url, since, first):
    broker.fill(channel, 5)
    done = tidings("sub", channel, "--since", since, "--limit", str(6 - first), "--json", "--url",
                   url)
    assert [json.loads(line)["offset"] for line in done.stdout.splitlines()] == \
        list(range(first, 6))


def test_a_gap_is_told_and_reading_goes_on(broker, channel, url):
    broker.fill(channel, 5)
    broker.request("DELETE", f"/channels/{channel}?before=4")
    done = tidings("sub", channel, "--since", "0", "--limit", "2", "--url", url)
    assert done.returncode == 0
    assert f"gap: {channel}: offsets 1 to 3 are missing" in done.stderr.decode()


def test_sub_resumes_when_the_broker_is_back(start_broker):
    broker = start_broker("--mqtt", f"127.0.0.1:{take_port()}")
    broker.fill("a/1", 3)
    process = follow("a/**", "--since", "earliest", "--json", "--url",
                     f"mqtt://127.0.0.1:{broker.mqtt_port}")
    lines = read_lines(process, 3)
    for number in range(3):
        broker.kill()
        broker.start()
        broker.fill(f"a/{number % 2}", 2)
        lines += read_lines(process, 2)
    end(process)
    offsets = [(entry["channel"], entry["offset"]) for entry in map(json.loads, lines)]
    assert offsets == [("a/1", 1), ("a/1", 2), ("a/1", 3), ("a/0", 1), ("a/0", 2), ("a/1", 4),
                       ("a/1", 5), ("a/0", 3), ("a/0", 4)]


def test_the_device_in_c_publishes_and_goes_on_where_it_stood(broker, channel, url, tmp_path):
    device = find_binary().parent / "clients" / "c" / "follow"
    command = [str(device), url, channel, str(tmp_path / "state")]

    def run(*said, count):
        process = subprocess.Popen(command + list(said), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        lines = read_lines(process, count)
        known = (tmp_path / "state").exists
        wait_for(known, what="the state file")
        end(process)
        return [line.split(" ", 2)[1:] for line in lines]

    assert run('{"a":1}', "two", count=2) == [["1", '{"a":1}'], ["2", "two"]]
    broker.fill(channel, 3)
    assert [offset for offset, _ in run("six", count=4)] == ["3", "4", "5", "6"]
    assert subprocess.run(command[:2], capture_output=True, check=False).returncode == 2


def test_the_device_in_c_ends_where_the_broker_refuses_and_says_why(broker, channel, url, tmp_path):
    device = find_binary().parent / "clients" / "c" / "follow"
    state = tmp_path / "state"

    def refused(*words):
        done = subprocess.run([str(device), url, *words], capture_output=True, check=False,
                              timeout=30)
        assert done.returncode == 1, done
        return done.stderr.decode()

    assert "publish: " in (line := refused("$SYS/x", str(state), "x")) and "the broker's" in line
    state.write_text("no id\n")
    assert "subscribe: " in (line := refused(channel, str(state))) and "since" in line


def test_the_device_in_c_waits_for_a_broker_that_cannot_be_reached(broker, tmp_path):
    device = find_binary().parent / "clients" / "c" / "follow"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"mqtt://127.0.0.1:{taken.getsockname()[1]}"
        process = subprocess.Popen([str(device), url, "a", str(tmp_path / "state")],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2):
            assert process.stderr.readline() == b"connect: the broker cannot be reached\n"
        end(process)
