# SPDX-License-Identifier: Apache-2.0
"""`tidings bench`: what it counts is what happened, against the broker and against a server that
does wrong on purpose."""
import asyncio
import json
import signal
import subprocess
import threading

import pytest

from harness import bench
from harness.broker import Broker, find_binary, wait_for

STALL_S = 0.3


def url_of(broker, protocol):
    return broker.mqtt if protocol.startswith("mqtt") else broker.public


def load(broker, channel, read="websocket", publish="rest"):
    """Flags of a load on a channel of the broker's."""
    return ("--url", broker.public, "--channel", channel, "--quiet",
            "--read", read, "--read-url", url_of(broker, read),
            "--publish", publish, "--publish-url", url_of(broker, publish))


@pytest.mark.parametrize("publish", ["rest", "mqtt-qos1"])
@pytest.mark.parametrize("read", ["websocket", "events", "mqtt-qos0", "mqtt-qos1"])
def test_every_reader_gets_every_message_once_and_in_order(broker, channel, read, publish):
    run = bench.run(*load(broker, channel, read, publish), "--readers", "20", "--threads", "2",
                    "--rate", "500", "--duration", "1s", "--drain", "30s",
                    "--assert", "lost == 0", "--assert", "delivered == 100%")
    assert run.code == 0, run.told
    assert run.counts["published"] == run.counts["answered"] == 500
    assert run.counts["delivered"] == run.counts["expected"] == 20 * 500
    assert run.report["whole"]["delivery"]["count"] == 20 * 500
    assert run.report["whole"]["answer"]["count"] == 500
    for fault in ("lost", "duplicates", "reordered", "foreign", "closed", "unconnected",
                  "unanswered"):
        assert run.counts[fault] == 0, fault


def test_many_channels_are_counted_by_channel(broker, channel):
    run = bench.run(*load(broker, channel + "/{n}", "stream", "publish"), "--channels", "100",
                    "--readers", "20", "--subscriptions", "10", "--batch", "10",
                    "--spread", "random", "--rate", "2000", "--duration", "1s", "--drain", "30s")
    assert run.code == 0, run.told
    assert run.counts["published"] == 2000
    # 20 readers of 10 channels each: each of the 100 channels has two.
    assert run.counts["delivered"] == run.counts["expected"] == 2 * 2000
    assert run.counts["lost"] == run.counts["foreign"] == 0


def test_what_a_pattern_matches_is_expected(broker, channel):
    run = bench.run(*load(broker, channel + "/{n}/x", "mqtt-qos0"), "--channels", "30",
                    "--pattern", channel + "/**", "--readers", "5", "--rate", "300",
                    "--duration", "1s", "--drain", "30s")
    assert run.code == 0, run.told
    assert run.counts["delivered"] == run.counts["expected"] == 5 * 300


def test_readers_from_the_earliest_get_what_was_preloaded(broker, channel):
    run = bench.run(*load(broker, channel, "websocket", "ndjson"), "--preload", "1000",
                    "--batch", "100", "--since", "earliest", "--readers", "5",
                    "--duration", "0s", "--drain", "30s")
    assert run.code == 0, run.told
    assert run.counts["delivered"] == run.counts["expected"] == 5 * 1000
    assert run.counts["published"] == 0  # behind the preload
    assert run.report["whole"]["delivery"] is None  # old messages have no latency


def test_a_reader_at_the_head_owes_nothing_of_the_preload(broker, channel):
    run = bench.run(*load(broker, channel), "--preload", "100", "--readers", "5", "--rate", "100",
                    "--duration", "1s", "--drain", "30s", "--assert", "lost == 0")
    assert run.code == 0, run.told
    assert run.counts["delivered"] == run.counts["expected"] == 5 * 100


def test_what_the_warm_up_published_is_not_counted(broker, channel):
    run = bench.run(*load(broker, channel), "--warm-up", "500ms", "--readers", "5",
                    "--rate", "200", "--duration", "1s", "--drain", "30s")
    assert run.code == 0, run.told
    assert run.counts["published"] == 200
    assert run.counts["delivered"] == 5 * 200
    assert run.report["whole"]["delivery"]["count"] == 5 * 200


def test_readers_that_come_and_go_lack_nothing_of_what_they_could_see(broker, channel):
    run = bench.run(*load(broker, channel), "--readers", "20", "--churn", "50", "--rate", "300",
                    "--duration", "2s", "--drain", "30s")
    assert run.code == 0, run.told
    assert run.counts["connected"] > 20
    assert run.counts["lost"] == run.counts["closed"] == 0
    assert run.counts["published"] == 600


def test_history_that_comes_to_readers_who_come_again_has_no_latency(broker, channel):
    run = bench.run(*load(broker, channel), "--readers", "5", "--churn", "20",
                    "--since", "earliest", "--preload", "500", "--rate", "100",
                    "--duration", "1s", "--drain", "30s")
    assert run.code == 0, run.told
    assert run.counts["lost"] == 0
    assert run.counts["delivered"] > 5 * (500 + 100)  # they got history again
    assert run.report["whole"]["delivery"]["count"] <= 5 * 100


def test_slow_readers_are_not_in_the_latencies_but_in_the_losses(broker, channel):
    run = bench.run(*load(broker, channel), "--readers", "10", "--slow", "0.3", "--rate", "500",
                    "--duration", "2s", "--drain", "30s", "--payload-bytes", "2000")
    assert run.code == 0, run.told
    assert run.counts["delivered"] == run.counts["expected"] == 10 * 1000
    assert run.report["whole"]["delivery"]["count"] == 7 * 1000


def test_a_reader_that_takes_few_bytes_a_second_gets_all_in_the_end(broker, channel):
    run = bench.run(*load(broker, channel), "--readers", "4", "--slow", "50%",
                    "--slow-bytes", "2000", "--rate", "100", "--duration", "1s",
                    "--drain", "30s", "--payload-bytes", "5000")
    assert run.code == 0, run.told
    assert run.counts["delivered"] == run.counts["expected"] == 4 * 100
    assert run.report["whole"]["delivery"]["count"] == 2 * 100


def test_the_server_is_measured_by_its_process(start_broker):
    broker = start_broker()
    run = bench.run("--url", broker.public, "--quiet", "--readers", "50", "--rate", "500",
                    "--duration", "1s", "--drain", "30s", "--pid", str(broker.process.pid),
                    "--assert", "server.cpu_per_delivery > 0us")
    assert run.code == 0, run.told
    assert run.report["whole"]["server_cpu_s"] > 0
    assert run.report["measures"]["server.rss_max"] > 1 << 20


def test_a_report_that_cannot_be_written_is_told_before_the_load(broker, channel, tmp_path):
    flags = [flag for flag in load(broker, channel) if flag != "--quiet"]
    run = bench.run(*flags, "--duration", "60s", "--html", str(tmp_path / "none" / "report.html"))
    assert run.code == 3
    assert run.printed == [] and len(run.told) == 1, run.told
    assert "No such file or directory" in run.told[0]


@pytest.mark.parametrize("publish,words", [
    ("rest", "the server answered 403 Forbidden: {"), ("publish", "403 Forbidden: {"),
    ("websocket", 'the server answered: {"ref":')])
def test_the_first_refusal_is_told_as_the_server_words_it(broker, publish, words):
    run = bench.run(*load(broker, "$bad/ x", publish=publish), "--read", "none", "--rate", "20",
                    "--duration", "1s", "--drain", "30s")
    assert run.code == 0, run.told
    assert run.counts["refused"] == run.counts["published"] == 20
    told = [line for line in run.told if "the first message that was refused: " in line]
    assert len(told) == 1 and words in told[0] and "channel" in told[0], run.told


def test_no_row_of_the_series_counts_what_came_behind_it(broker, channel):
    """Counts are told by other threads, which are waited for: the row ends when they are there."""
    run = bench.run(*load(broker, channel, publish="mqtt-qos0"), "--readers", "100",
                    "--rate", "5000", "--duration", "2s", "--drain", "30s")
    assert run.code == 0, run.told
    due = 0
    for row in run.report["series"]:
        due += row["due"]
        assert due <= 5000 * (row["from_s"] + row["length_s"]) + 1, row


def test_a_process_that_is_not_there_is_told(broker):
    run = bench.run("--url", broker.public, "--quiet", "--pid", "4194304")
    assert run.code == 3
    assert any("there is no process" in line for line in run.told), run.told


def test_cpu_time_of_a_process_that_ended_is_not_measured(broker, channel):
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as watched:
        flags = [flag for flag in load(broker, channel) if flag != "--quiet"]
        running = bench.Bench(*flags, "--readers", "2", "--duration", "5s",
                              "--pid", str(watched.pid), "--drain", "30s",
                              "--assert", "server.cpu_per_delivery < 1s")
        running.wait_told("published")
        watched.stdin.close()
        watched.wait()
        assert running.finish() == 1, running.told
    assert running.report["assertions"][0]["measured"] == "not measured"
    assert running.report["whole"]["server_cpu_s"] is None


def test_what_comes_too_late_is_lost_and_nothing_is_counted_twice(broker, channel):
    run = bench.run(*load(broker, channel, publish="mqtt-qos0"), "--readers", "50",
                    "--rate", "5000", "--duration", "1s", "--drain", "0s")
    assert run.code == 0, run.told
    assert run.counts["expected"] == 50 * run.counts["published"]
    assert run.counts["delivered"] + run.counts["lost"] == run.counts["expected"]


def test_a_hold_is_ready_and_ends_with_its_input(broker, channel):
    held = bench.Bench(*load(broker, channel), "--readers", "10", "--hold",
                       stdin=subprocess.PIPE)
    held.wait_printed("ready")
    held.process.stdin.close()
    assert held.finish() == 0, held.told
    assert held.counts["connected"] == 10
    assert held.counts["closed"] == held.counts["published"] == 0


def test_a_hold_without_input_ends_with_a_signal(broker, channel):
    flags = [flag for flag in load(broker, channel) if flag != "--quiet"]
    held = bench.Bench(*flags, "--readers", "10", "--hold", stdin=subprocess.DEVNULL)
    held.wait_printed("ready")
    held.wait_told("published")  # a second of it
    held.process.send_signal(signal.SIGTERM)
    assert held.finish() == 0, held.told
    assert held.counts["connected"] == 10


def test_a_hold_writes_nothing_among_its_json(broker, channel):
    held = subprocess.run([find_binary(), "bench", *load(broker, channel), "--readers", "2",
                           "--hold", "--json", "-"], input=b"", capture_output=True,
                          timeout=60, check=True)
    assert json.loads(held.stdout)["whole"]["counts"]["connected"] == 2
    assert b"ready\n" in held.stderr


def test_a_broker_that_is_killed_is_told_as_loss():
    broker = Broker()
    try:
        broker.start()
        running = bench.Bench("--url", broker.public, "--readers", "10", "--rate", "1000",
                              "--duration", "60s")
        running.wait_told("published")
        broker.signal(signal.SIGSTOP)  # so that something is certainly under way
        told = len(running.told)
        wait_for(lambda: len(running.told) > told + 1, what="a second without deliveries")
        broker.kill()
        assert running.finish() == 1
    finally:
        broker.close()
    assert running.counts["closed"] == 10
    assert running.counts["lost"] > 0
    assert running.counts["expected"] == running.counts["delivered"] + running.counts["lost"]
    assert any("10 readers: " in line for line in running.told), running.told
    assert any("the server is gone" in line for line in running.told)


def test_no_server_is_told_at_once():
    run = bench.run("--url", "http://127.0.0.1:1", "--quiet")
    assert run.code == 3
    assert run.report is None
    assert any("Connection refused" in line for line in run.told), run.told
    assert any("is it running there" in line for line in run.told), run.told


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_password_in_a_url_is_refused_and_not_repeated(scheme):
    run = bench.run("--url", f"{scheme}://bob:secret@127.0.0.1:1", "--publish", "rest")
    assert run.code == 2 and run.report is None
    assert any("TIDINGS_BENCH_TOKEN" in line for line in run.told), run.told
    assert not any("secret" in line for line in run.told), run.told


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_load_reports_what_it_measured(broker, channel, number, code):
    flags = [flag for flag in load(broker, channel) if flag != "--quiet"]
    running = bench.Bench(*flags, "--readers", "5", "--rate", "100", "--duration", "600s",
                          "--drain", "30s")
    running.wait_told("published")
    running.process.send_signal(number)
    assert running.finish() == code, running.told
    assert running.report["interrupted"] is True
    assert running.counts["delivered"] == running.counts["published"] * 5 > 0
    assert running.counts["lost"] == 0


def test_an_interrupted_preload_publishes_no_more():
    class Counting(bench.Server):
        number = 0

        async def on_publish(self, body):
            self.number += 1

    with Counting() as server:
        running = bench.Bench("--url", server.url, "--quiet", "--readers", "1", "--preload", "100M",
                              "--drain", "30s")
        wait_for(lambda: server.number > 100, what="the preload")
        running.interrupt()
        assert running.finish() == 130, running.told
    assert running.counts["published"] == 0


def test_steps_end_at_the_first_that_does_not_hold(broker, channel):
    run = bench.run(*load(broker, channel), "--readers", "2", "--profile", "steps",
                    "--rate", "10", "--rate-to", "910", "--steps", "4", "--duration", "1s",
                    "--drain", "30s", "--assert", "publish.rate <= 330/s")
    assert run.code == 0, run.told
    assert [step["rate"] for step in run.report["steps"]] == [10, 310, 610]
    assert [step["holds"] for step in run.report["steps"]] == [True, True, False]
    assert [step["counts"]["published"] for step in run.report["steps"]] == [10, 310, 610]
    assert run.report["limit"] == 310


def test_a_step_is_judged_by_what_is_known_of_the_whole_until_then(start_broker):
    broker = start_broker()
    measures = ("connect.rate > 1/s", "server.rss_max > 0B", "server.rss_per_connection >= 0B",
                "server.cpu_per_connect > 0ns")
    run = bench.run("--url", broker.public, "--quiet", "--readers", "2", "--profile", "steps",
                    "--rate", "100", "--rate-to", "400", "--steps", "4", "--duration", "300ms",
                    "--drain", "30s", "--pid", str(broker.process.pid),
                    *(word for measure in measures for word in ("--assert", measure)))
    assert run.code == 0, run.told
    assert [step["holds"] for step in run.report["steps"]] == [True] * 4


# --- a server that does as told ---

def faulty(server, *flags):
    return bench.run("--url", server.url, "--quiet", "--readers", "3", "--rate", "400",
                     "--publishers", "1", "--duration", "1s", "--drain", "3s", *flags)


def test_losses_duplicates_and_disorder_are_told_exactly():
    class Faulty(bench.Server):
        number = 0
        kept = None

        def deliver(self, body):
            self.number += 1
            if self.number % 100 == 10:
                return []               # lost
            if self.number % 100 == 20:
                return [body, body]     # twice
            if self.number % 100 == 30:
                self.kept = body        # behind the next one
                return []
            if self.number % 100 == 31:
                return [body, self.kept]
            return [body, b'"something else"'] if self.number % 100 == 40 else [body]

    with Faulty() as server:
        run = faulty(server, "--assert", "lost == 0")
    assert run.code == 1, run.told
    counts = run.counts
    assert counts["published"] == 400
    # Four of each, to three readers.
    assert counts["lost"] == counts["duplicates"] == counts["reordered"] == counts["foreign"] == 12
    assert counts["expected"] == 1200
    assert counts["delivered"] == 1200 - 12 + 12


def test_readers_that_come_again_and_get_nothing_lack_it():
    class Mute(bench.Server):
        """Delivers to the connections that are there first, and to none that comes later."""
        first = ()

        async def on_publish(self, body):
            self.first = self.first or list(self.sockets)
            for writer in self.first:
                if writer in self.sockets:
                    writer.write(bench.message_frame(body))

    with Mute() as server:
        run = bench.run("--url", server.url, "--quiet", "--readers", "10", "--rate", "100",
                        "--duration", "2s", "--churn", "20", "--drain", "300ms",
                        "--assert", "lost == 0")
    assert run.code == 1, run.told
    assert run.counts["connected"] > 20
    # All have gone once within half a second, and get nothing from then on.
    assert run.counts["lost"] > run.counts["delivered"]
    assert run.counts["expected"] == run.counts["delivered"] + run.counts["lost"]


def test_what_comes_too_late_for_its_step_hides_no_loss_of_the_next():
    class Late(bench.Server):
        number = 0

        def deliver(self, body):
            self.number += 1
            if 90 < self.number <= 100:        # the last of the first step: in the second
                self.kept = getattr(self, "kept", []) + [body]
                return []
            if self.number == 120:
                return [body, *self.kept]
            return [] if 200 < self.number <= 210 else [body]

    with Late() as server:
        run = faulty(server, "--profile", "steps", "--rate", "100", "--rate-to", "200",
                     "--steps", "2", "--drain", "2s")
    assert run.code == 0, run.told
    assert [step["counts"]["lost"] for step in run.report["steps"]] == [30, 30]
    assert [step["counts"]["delivered"] for step in run.report["steps"]] == [270, 570]
    assert [step["counts"]["expected"] for step in run.report["steps"]] == [300, 600]
    assert run.counts["lost"] == 60


def test_who_is_to_connect_in_a_stall_waits_from_when_it_was_due():
    class Stalling(bench.Server):
        number = 0

        def on_upgrade(self, key):
            self.number += 1
            if self.number == 1:
                threading.Event().wait(STALL_S)  # the whole server
            return super().on_upgrade(key)

    # 300 of 500 are due in the stall, so a quarter of all wait for half of it or more.
    with Stalling() as server:
        run = bench.run("--url", server.url, "--quiet", "--publish", "none", "--readers", "500",
                        "--connect-rate", "1000", "--duration", "100ms",
                        "--assert", f"connect.p75 > {STALL_S * 0.4}s")
    assert run.code == 0, run.told + run.printed
    assert run.counts["connected"] == 500


def test_what_a_stall_delays_is_late_from_when_it_was_due():
    """The load does not wait with the server: all that was due in a stall counts as late."""
    class Stalling(bench.Server):
        number = 0

        async def on_publish(self, body):
            self.number += 1
            if self.number == 100:
                await asyncio.sleep(STALL_S)

    with Stalling() as server:
        run = bench.run("--url", server.url, "--quiet", "--read", "none", "--rate", "1000",
                        "--publishers", "1", "--duration", "1s", "--drain", "30s")
    assert run.code == 0, run.told
    assert run.counts["answered"] == 1000
    # 300 of 1,000 were due in the stall, so a tenth of all was late by two thirds of it or more.
    assert run.report["measures"]["answer.p90"] >= STALL_S * 0.6 * 1e9


def test_what_the_drain_sent_was_not_published_in_time():
    class Deaf(bench.Server):
        async def serve(self, reader, writer):
            await asyncio.sleep(2)  # longer than the schedule and what is allowed behind it
            await super().serve(reader, writer)

    with Deaf() as server:
        run = bench.run("--url", server.url, "--quiet", "--read", "none", "--rate", "50",
                        "--payload-bytes", "1000000", "--publishers", "1", "--duration", "1s",
                        "--drain", "30s", "--assert", "published >= 90%")
    assert run.code == 1, run.told
    assert run.counts["published"] == run.counts["answered"] == run.counts["due"] == 50
    assert run.counts["in_time"] < 45


def test_what_is_never_answered_is_not_told_as_no_answers(broker, channel):
    run = bench.run(*load(broker, channel, publish="mqtt-qos0"), "--readers", "2",
                    "--duration", "1s", "--description", "long " * 1000)
    assert run.code == 0, run.told
    assert run.counts["unanswered"] == 0
    assert not any(line.startswith("answered") for line in run.printed), run.printed
    assert "long " * 1000 in run.report["scenario"]


def test_what_an_overload_never_came_to_was_due_all_the_same(broker, channel):
    run = bench.run(*load(broker, channel, publish="mqtt-qos0"), "--read", "none", "--rate", "40M",
                    "--duration", "500ms", "--drain", "0s")
    assert run.counts["due"] == 20_000_000
    assert run.counts["published"] < 20_000_000


def test_the_closed_model_never_has_more_in_flight_than_asked():
    class Slow(bench.Server):
        async def on_publish(self, body):
            await asyncio.sleep(0.001)

    with Slow() as server:
        run = bench.run("--url", server.url, "--quiet", "--read", "none", "--rate", "0",
                        "--publishers", "4", "--in-flight", "3", "--duration", "1s")
        assert run.code == 0, run.told
        assert run.counts["published"] == run.counts["answered"] > 4 * 3  # places are taken again
        assert server.unanswered_most == 3


@pytest.mark.parametrize("publish", ["rest", "mqtt-qos0"])
def test_the_closed_model_ends_in_time_whatever_the_server_takes(broker, channel, publish):
    run = bench.run(*load(broker, channel, publish=publish), "--read", "none", "--rate", "0",
                    "--duration", "300ms", "--drain", "30s")
    assert run.code == 0, run.told
    assert run.counts["published"] == run.counts["due"] > 0
    assert run.report["whole"]["seconds"] < 10  # it once went on as long as all was taken


def test_the_closed_model_waits_for_a_server_that_takes_nothing():
    """Without answers only the socket tells when to go on; asking it all the time keeps busy."""
    class Full(bench.Server):
        async def serve(self, reader, writer):
            writer.write(b"\x20\x02\x00\x00")  # CONNACK (MQTT 3.1.1, 3.2)
            writer.transport.pause_reading()
            await asyncio.Event().wait()

    with Full() as server:
        run = bench.run("--url", server.url.replace("http", "mqtt"), "--quiet", "--read", "none",
                        "--publish", "mqtt-qos0", "--publishers", "2", "--rate", "0",
                        "--payload-bytes", "10000", "--duration", "3s", "--drain", "0s")
    assert run.counts["published"] > 0
    assert not any("was busy" in line for line in run.told), run.told


def test_a_refused_upgrade_is_told_once_with_how_often():
    class Refusing(bench.Server):
        def on_upgrade(self, key):
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    with Refusing() as server:
        run = faulty(server)
    assert run.code == 3
    assert run.report is None
    lines = [line for line in run.told if "3 readers: " in line]
    assert len(lines) == 1, run.told


def test_a_close_of_a_websocket_is_answered():
    class Closing(bench.Server):
        def on_upgrade(self, key):
            return super().on_upgrade(key) + b"\x88\x02\x03\xe8"

    with Closing() as server:
        run = faulty(server)
        wait_for(lambda: len(server.heard) == 3, what="the ends of three WebSockets")
    assert run.counts["closed"] == 3, run.told
    for heard in server.heard:  # a close frame, masked, of two bytes (RFC 6455, 5.5.1)
        assert heard[:2] == b"\x88\x82" and len(heard) == 8


def test_publishers_connect_again_when_a_server_ends_their_connections():
    class Ending(bench.Server):
        """Ends each connection behind 50 answers, as nginx does behind 1,000."""
        async def answer(self, waiting, writer):
            for _ in range(50):
                await waiting.get()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            writer.close()

    with Ending() as server:
        run = bench.run("--url", server.url, "--quiet", "--read", "none", "--rate", "200",
                        "--publishers", "1", "--duration", "1s", "--drain", "30s")
    assert run.counts["published"] == 200
    assert run.counts["answered"] >= 150


def test_a_connection_that_ended_behind_an_answer_is_made_again_at_once():
    class Ending(bench.Server):
        async def answer(self, waiting, writer):
            await waiting.get()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            writer.close()

    with Ending() as server:
        run = bench.run("--url", server.url, "--quiet", "--read", "none", "--rate", "0",
                        "--publishers", "1", "--duration", "4s", "--drain", "30s")
    assert run.code == 0, run.told
    # A connection an answer: 80 if each waited for a turn of 50 ms.
    assert run.counts["answered"] == run.counts["published"] > 120


def test_a_publish_without_an_answer_is_a_fault():
    class Silent(bench.Server):
        """Ends the connection instead of every fifth answer."""
        number = 0

        async def answer(self, waiting, writer):
            while True:
                await waiting.get()
                self.number += 1
                if self.number % 5 == 0:
                    writer.close()
                    return
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with Silent() as server:
        run = bench.run("--url", server.url, "--quiet", "--read", "none", "--rate", "50",
                        "--publishers", "1", "--duration", "1s", "--drain", "30s",
                        "--assert", "unanswered == 0")
    assert run.code == 1, run.told
    assert run.counts["unanswered"] >= 10
    assert run.counts["answered"] + run.counts["unanswered"] == run.counts["published"] == 50
    assert any(line.startswith("faults ") and "unanswered" in line for line in run.printed)


def test_an_answer_behind_the_drain_is_none():
    class Late(bench.Server):
        async def on_publish(self, body):
            await asyncio.Event().wait()

    with Late() as server:
        run = bench.run("--url", server.url, "--quiet", "--read", "none", "--rate", "10",
                        "--publishers", "1", "--duration", "1s", "--drain", "100ms")
    assert run.counts["unanswered"] == run.counts["published"] == 10
