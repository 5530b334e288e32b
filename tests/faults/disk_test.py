# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, and disks that must not become it."""
import pathlib

import pytest

from harness.broker import Broker, wait_for
from harness.disk import fill_disk

MIB = 1048576
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def judge_appends(broker):
    """What a full disk refuses is no write of the journal's."""
    name = "tidings_journal_append_duration_seconds_count"
    before = broker.metric(name)
    statuses = [broker.post("a", b'{"n":"' + b"x" * 100000 + b'"}').status for _ in range(5)]
    assert 507 in statuses and broker.metric(name) - before <= statuses.count(200)


@pytest.mark.deadline(150)
def test_a_full_disk_refuses_publishes_with_507_while_readers_go_on(small_disk):
    broker = Broker(data=small_disk / "data")
    try:
        broker.start()
        broker.fill("a", 20)
        with broker.websocket("/channels/a") as reader:
            ballast = fill_disk(small_disk, 3 * MIB)
            stored = 20
            for _ in range(200):
                answer = broker.post("a", b'{"n":"' + b"x" * 100000 + b'"}',
                                     headers={"traceparent": f"00-{TRACE_ID}-{'1' * 16}-01"})
                if answer.status != 200:
                    break
                stored += 1
                assert reader.recv_json()["offset"] == stored == answer.json()["offset"]
            assert answer.status == 507 and answer.type == "application/problem+json", answer
            judge_appends(broker)
            broker.assert_alive()
            page = broker.page("a", since=0, limit=20)
            assert [message["offset"] for message in page["messages"]] == list(range(1, 21))
            with broker.events("/channels/a?since=15") as stream:
                assert stream.next().json()["offset"] == 16
            ballast.unlink()
            wait_for(lambda: broker.post("a", b'"again"').status == 200, 30, "recovery")
            assert reader.recv_json()["offset"] == stored + 1
        assert broker.wait_logged("APPEND_FAILED")[0]["code"] == "storage-full"
        refused = broker.wait_logged("PUBLISH_FAILED")[0]
        assert (refused["channel"], refused["code"], refused["trace_id"]) == \
            ("a", "storage-full", TRACE_ID)
        messages, gaps = broker.all_messages("a")
        assert gaps == []
        assert [message["offset"] for message in messages] == \
            list(range(1, messages[-1]["offset"] + 1))
        count = len(messages)
        broker.stop()
        broker.start()
        assert len(broker.all_messages("a")[0]) == count
        broker.stop()
    finally:
        broker.close()


@pytest.mark.deadline(150)
def test_a_kill_on_a_full_disk_leaves_a_directory_that_opens(small_disk):
    broker = Broker(data=small_disk / "data")
    try:
        broker.start()
        broker.fill("a", 20)
        ballast = fill_disk(small_disk, 2 * MIB)
        answered = 20
        for _ in range(200):
            answer = broker.post("a", b'{"n":"' + b"x" * 100000 + b'"}')
            if answer.status != 200:
                break
            answered = answer.json()["offset"]
        broker.kill()
        ballast.unlink()
        broker.start()
        messages, gaps = broker.all_messages("a")
        assert gaps == [] and [message["offset"] for message in messages][:answered] == \
            list(range(1, answered + 1))
        broker.stop()
    finally:
        broker.close()


def publish_bytes(broker, channel, total_bytes, body_bytes=100000):
    body = b'"' + b"x" * body_bytes + b'"'
    with broker.connect() as connection:
        for _ in range(total_bytes // body_bytes):
            answer = connection.request("POST", "/channels/" + channel, {
                "Content-Type": "application/json"}, body)
            assert answer.status == 200, answer


@pytest.mark.deadline(300)
@pytest.mark.heavy
def test_above_the_storage_limit_the_oldest_go_and_the_gap_is_told(start_broker):
    """Published is four times the limit; the journal and the newest segment may stand beside it."""
    broker = start_broker(config="""
storage: { bytes_max: 64MiB }
channels: [ { match: "**", history: { messages: unlimited } } ]
""")
    first = broker.publish("a", "first")
    sizes = []
    for _ in range(8):
        publish_bytes(broker, "a", 32 * MIB)
        sizes.append(broker.data_bytes() // MIB)
    wait_for(lambda: "gap" in broker.page("a", since=first["id"], limit=1), 30, "expiry")
    gap = broker.page("a", since=first["id"], limit=1)["gap"]
    assert gap["reason"] == "expired" and gap["from"] == 2
    page = broker.page("a", since="earliest", limit=1)
    assert page["messages"][0]["offset"] == gap["to"] + 1
    dropped = broker.wait_logged("STORAGE_LIMIT_REACHED")
    assert dropped[-1]["bytes_max"] == 64 * MIB and dropped[-1]["position"] > 1
    print("MiB on the disk:", sizes)
    assert max(sizes[4:]) <= 1.3 * max(sizes[:4]) + 16, sizes


@pytest.mark.deadline(300)
@pytest.mark.heavy
def test_files_stop_growing_under_constant_retention(start_broker):
    """A channel that keeps 100 messages, through which 3.6 GB pass: fourteen segments. LMDB's file
    finds its size in the first half (the segment that is written, the one that is emptied, and free
    pages: about two segments of 256 MiB); beside it stand two files of the journal and the reserve,
    which come and go."""
    broker = start_broker(config="""
channels: [ { match: "**", history: { messages: 100 } } ]
""")
    sizes = []
    for _ in range(30):
        publish_bytes(broker, "a", 120 * MIB, 50000)
        sizes.append(broker.data_bytes() // MIB)
    print("MiB on the disk:", sizes)
    assert max(sizes[15:]) <= 1.2 * max(sizes[:15]) + 16, sizes
    assert max(sizes) < 3 * 256 + 2 * 64 + 60, "space does not come back"


@pytest.mark.parametrize("name, what", [("a file of another version", b"\xff" * 64)])
def test_a_directory_of_another_version_is_refused(start_broker, name, what):
    broker = start_broker()
    broker.fill("a", 3)
    broker.stop()
    versions = [path for path in pathlib.Path(broker.data).rglob("*")
                if path.is_file() and "version" in path.name.lower()]
    if not versions:
        pytest.skip(f"{name}: no file of that name; tests/storage covers it")
    kept = versions[0].read_bytes()
    versions[0].write_bytes(what)
    broker.spawn()
    assert broker.wait(20) != 0
    assert not broker.bad_words() and "version" in "\n".join(broker.logged).lower()
    versions[0].write_bytes(kept)
    broker.start()
    assert len(broker.all_messages("a")[0]) == 3
