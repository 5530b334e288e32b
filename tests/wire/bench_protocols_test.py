# SPDX-License-Identifier: Apache-2.0
"""Every protocol of `tidings bench` against the server that it is for: nothing is lost, nothing
comes twice."""
import json
import shutil
import subprocess

import pytest

from harness import bench, servers
from harness.ports import take_port

SAID_ONCE = ("--quiet", "--duration", "500ms", "--drain", "30s", "--assert", "lost == 0",
             "--assert", "duplicates == 0")
READERS = 3
RATE = 400
MESSAGES = RATE // 2


def url_of(broker, protocol):
    return broker.mqtt if protocol.startswith("mqtt") else broker.public


def run(publish, publish_url, read, read_url, *more):
    one = bench.run("--publish", publish, "--publish-url", publish_url, "--read", read,
                    "--read-url", read_url, "--readers", str(READERS), "--publishers", "2",
                    "--rate", str(RATE), *SAID_ONCE, *more)
    assert one.code == 0, one.told + one.printed
    assert one.counts["delivered"] == one.counts["expected"] > 0
    assert one.counts["foreign"] == one.counts["refused"] == one.counts["unconnected"] == 0
    return one


@pytest.mark.parametrize("publish", ["rest", "ndjson", "publish", "websocket", "mqtt-qos0",
                                     "mqtt-qos1"])
@pytest.mark.parametrize("read", ["websocket", "stream", "events", "mqtt-qos0", "mqtt-qos1"])
def test_what_comes_in_by_one_protocol_goes_out_by_another(broker, channel, publish, read):
    one = run(publish, url_of(broker, publish), read, url_of(broker, read), "--channel", channel)
    assert one.counts["delivered"] == READERS * MESSAGES


@pytest.mark.parametrize("publish", ["ndjson", "publish"])
@pytest.mark.parametrize("read", ["stream", "events", "mqtt-qos1"])
def test_batches_come_to_readers_of_several_channels(broker, channel, publish, read):
    one = run(publish, broker.public, read, url_of(broker, read), "--channel", channel + "/{n}",
              "--channels", "4", "--subscriptions", "2", "--batch", "50", "--rate", "8000")
    assert one.counts["published"] == 4000


@pytest.mark.parametrize("read", ["websocket", "stream", "events", "mqtt-qos0"])
def test_a_pattern_reads_all_channels(broker, channel, read):
    one = run("publish", broker.public, read, url_of(broker, read), "--channel", channel + "/{n}",
              "--channels", "5", "--pattern", channel + "/*")
    assert one.counts["delivered"] == READERS * MESSAGES


@pytest.mark.parametrize("publish", ["rest", "websocket", "mqtt-qos1"])
def test_the_closed_model_has_several_publishes_under_way(start_broker, channel, publish):
    """As many as go in, which may be more than a channel keeps unless it is told to."""
    broker = start_broker(config="channels: [{match: '**', history: {messages: 1000000}}]\n")
    one = run(publish, url_of(broker, publish), "websocket", broker.public, "--channel", channel,
              "--rate", "0", "--in-flight", "20")
    assert one.counts["answered"] == one.counts["published"] > 0


@pytest.mark.parametrize("read", ["history", "websocket", "stream", "events"])
def test_history_is_read_from_the_earliest(broker, channel, read):
    """Pages end in the middle of a thousand."""
    channels = "1" if read == "websocket" else "2"
    one = run("ndjson", broker.public, read, broker.public, "--channel", channel + "/{n}",
              "--channels", channels, "--subscriptions", channels,
              "--preload", "5000", "--batch", "100", "--since", "earliest", "--duration", "0s")
    assert one.counts["delivered"] == READERS * 5000


# --- webhooks: the server connects to the load ----------------------------------------------------


@pytest.mark.parametrize("publish", ["rest", "ndjson", "publish"])
def test_requests_that_are_posted_to_the_load_are_received(channel, publish):
    """The load is its own server: what it publishes by HTTP are webhooks to it."""
    port = take_port()
    one = run(publish, f"http://127.0.0.1:{port}", "webhook", f"http://127.0.0.1:{port}",
              "--listen", f"127.0.0.1:{port}", "--channel", channel)
    assert one.counts["delivered"] == one.counts["answered"] == MESSAGES
    assert one.report["connect"]["latency"] is None  # the load connected to nobody
    assert not any(line.startswith("connect") for line in one.printed), one.printed


def test_whoever_posts_webhooks_posts_those_of_all_channels(channel):
    port = take_port()
    one = run("rest", f"http://127.0.0.1:{port}", "webhook", f"http://127.0.0.1:{port}",
              "--listen", f"127.0.0.1:{port}", "--channel", channel + "/{n}", "--channels", "4")
    assert one.counts["delivered"] == one.counts["expected"] == MESSAGES
    assert one.report["connect"]["latency"] is None  # nobody waited to connect


def curl(url, body, *more):
    done = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
                           "--data-binary", "@-", *more, url], input=body, capture_output=True,
                          timeout=30, check=False)
    assert done.stdout == b"204", done


def test_curl_posts_one_message_an_array_and_lines(broker, channel):
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    hook = f"127.0.0.1:{take_port()}"
    with broker.events(f"/channels/{channel}") as stream:
        load = bench.Bench("--url", broker.public, "--publish", "rest", "--read", "webhook",
                           "--listen", hook, "--channel", channel, "--rate", "600", *SAID_ONCE)
        messages = [stream.next().data.encode() for _ in range(300)]
    url = f"http://{hook}/hook"
    curl(url, messages[0])
    curl(url, b"[" + b",\n".join(messages[1:100]) + b"]")
    curl(url, b"\n".join(messages[100:200]) + b"\n", "-H", "Transfer-Encoding: chunked")
    curl(url, json.dumps([json.loads(one) for one in messages[200:]], indent=2).encode(),
         "-H", "Expect: 100-continue")
    assert load.finish() == 0, load.told + load.printed
    assert load.counts["delivered"] == load.counts["expected"] == 300


# --- other servers --------------------------------------------------------------------------------


@pytest.mark.parametrize("publish,read", [("nats", "nats"), ("nats", "nats-websocket"),
                                          ("nats-websocket", "nats")])
def test_nats_is_measured_too(channel, publish, read):
    with servers.start_nats() as server:
        urls = {name: server.urls["websocket" if "websocket" in name else "nats"]
                for name in (publish, read)}
        run(publish, urls[publish], read, urls[read], "--channel", channel)
        run(publish, urls[publish], read, urls[read], "--channel", channel + "/{n}",
            "--channels", "3", "--pattern", channel + "/*", "--payload-bytes", "20000")


def test_redis_is_measured_too(channel):
    with servers.start_redis() as server:
        url = server.urls["redis"]
        run("redis", url, "redis", url, "--channel", channel)
        run("redis", url, "redis", url, "--channel", channel + "/{n}", "--channels", "3",
            "--subscriptions", "2", "--payload-bytes", "20000")
        run("redis", url, "redis", url, "--channel", channel + "/{n}", "--channels", "3",
            "--pattern", channel + "/**", "--rate", "0", "--in-flight", "20")


@pytest.mark.parametrize("protocol,start", [("redis", servers.start_redis),
                                            ("nats", servers.start_nats),
                                            ("nats-websocket", servers.start_nats)])
def test_a_token_of_the_environment_opens_what_is_closed(channel, monkeypatch, protocol, start):
    with start("key-of-the-load") as server:
        url = server.urls["websocket" if "websocket" in protocol else protocol]
        monkeypatch.setenv("TIDINGS_BENCH_TOKEN", "key-of-the-load")
        run(protocol, url, protocol, url, "--channel", channel)
        monkeypatch.delenv("TIDINGS_BENCH_TOKEN")
        one = bench.run("--url", url, "--publish", protocol, "--read", protocol, *SAID_ONCE)
        assert one.code == 3 and one.report is None
        assert any("NOAUTH" in line or "Authorization" in line for line in one.told), one.told


@pytest.mark.parametrize("protocol", ["mqtt-qos0", "mqtt-qos1"])
def test_mosquitto_is_measured_too(channel, protocol):
    with servers.start_mosquitto() as server:
        url = server.urls["mqtt"]
        run(protocol, url, protocol, url, "--channel", channel)
        run(protocol, url, protocol, url, "--channel", channel + "/{n}", "--channels", "3",
            "--pattern", channel + "/**", "--payload-bytes", "20000")


def test_a_server_that_ends_connections_now_and_then_loses_nothing(channel):
    with servers.start_nchan(requests=20) as server:
        run("nchan-rest", server.urls["publish"], "nchan-websocket", server.urls["read"],
            "--channel", channel, "--rate", "0")


@pytest.mark.parametrize("read", ["nchan-websocket", "nchan-events"])
def test_nchan_is_measured_too(channel, read):
    with servers.start_nchan() as server:
        run("nchan-rest", server.urls["publish"], read, server.urls["read"], "--channel", channel)
        run("nchan-rest", server.urls["publish"], read, server.urls["read"], "--channel", channel,
            "--payload-bytes", "20000")


def test_centrifugo_is_measured_too(channel, monkeypatch):
    with servers.start_centrifugo("key-of-the-load") as server:
        monkeypatch.setenv("TIDINGS_BENCH_TOKEN", "key-of-the-load")
        load = ("centrifugo-rest", server.urls["http"], "centrifugo-websocket", server.urls["http"])
        run(*load, "--channel", channel)
        run(*load, "--channel", channel + "/{n}", "--channels", "3", "--subscriptions", "2",
            "--batch", "20", "--payload-bytes", "5000")
