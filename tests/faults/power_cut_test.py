# SPDX-License-Identifier: Apache-2.0
"""A power cut, simulated under the real broker: power_cut.c drops what was not synced.

The disk that is left holds all that was synced, and of the rest any part, sector by sector: none of
it, or what a coin decides. Of it the broker must open, with every message of durability fsync that
was answered, without a hole; and who holds the id of a message that was lost is told a gap.
"""
import json
import os
import pathlib
import random
import shutil
import subprocess
import threading

import pytest

from harness import http
from harness.broker import Broker, wait_for

ROUNDS = 20
SECTOR = 512
SOURCE = pathlib.Path(__file__).with_name("power_cut.c")
CONFIG = """
channels:
  - match: "safe/**"
    history: { messages: unlimited }
    durability: fsync
  - match: "**"
    history: { messages: unlimited }
"""


@pytest.fixture(scope="session", name="library")
def build_library(tmp_path_factory):
    path = tmp_path_factory.mktemp("power_cut") / "power_cut.so"
    subprocess.run(["gcc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", "-o", path,
                    SOURCE, "-ldl", "-lpthread"], check=True)
    return path


def mix_file(above, below, keep):
    """Writes into `below` each differing sector of `above` for which keep() is true."""
    new, old = above.read_bytes(), bytearray(below.read_bytes() if below.exists() else b"")
    length = len(new) if keep() else len(old)
    old = old.ljust(length, b"\0")[:length]
    for start in range(0, min(len(new), length), SECTOR):
        if new[start:start + SECTOR] != old[start:start + SECTOR] and keep():
            old[start:start + SECTOR] = new[start:min(start + SECTOR, length)]
    below.write_bytes(old)


def leave_of_the_disk(above, below, chance):
    """Makes of the two directories what the next start finds at `above`."""
    def keep():
        return random.random() < chance

    for path in sorted(above.rglob("*")):
        under = below / path.relative_to(above)
        if path.is_dir():
            under.mkdir(parents=True, exist_ok=True)
        elif under.exists() or keep():
            mix_file(path, under, keep)
    for under in sorted(below.rglob("*")):
        if not (above / under.relative_to(below)).exists() and keep():
            under.unlink()  # the removal had reached the disk
    shutil.rmtree(above)
    shutil.copytree(below, above)


def publish_until_cut(broker, channel, answered):
    try:
        with broker.connect() as connection:
            while True:
                token = f"{random.getrandbits(64):016x}"
                body = json.dumps({"token": token, "x": "x" * random.randint(0, 3000)}).encode()
                answer = connection.request("POST", "/channels/" + channel, {
                    "Content-Type": "application/json"}, body)
                if answer.status != 200:
                    raise AssertionError(answer)
                answered[answer.json()["offset"]] = (answer.json()["id"], token)
    except (OSError, http.Closed):
        pass  # the cut


def stored(broker, channel):
    messages, gaps = broker.all_messages(channel, since="0")
    assert gaps == [] and [message["offset"] for message in messages] == \
        list(range(1, len(messages) + 1)), channel
    return {message["offset"]: (message["id"], message["data"]["token"]) for message in messages}


def compare(broker, safe, fast):
    """After the cut: nothing safe is lost; of the fast only an end, and that is told. Gives how
    much of it."""
    kept = stored(broker, "safe/a")
    for offset, what in safe.items():
        assert kept.get(offset) == what, f"offset {offset} was answered after a sync and is lost"
    kept = stored(broker, "fast/a")
    lost = [offset for offset, what in fast.items() if kept.get(offset) != what]
    if lost:
        assert min(lost) > max((offset for offset, what in fast.items()
                                if kept.get(offset) == what), default=0)
        page = broker.page("fast/a", since=fast[max(lost)][0])
        assert "gap" in page, "an id of the lost tail is answered with silence"
    for offset in lost:
        del fast[offset]
    return len(lost)


@pytest.mark.deadline(400)
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.9])
def test_a_power_cut_loses_no_synced_message_and_leaves_a_directory_that_opens(library, chance):
    random.seed(chance)
    broker = Broker("--workers", "2", config=CONFIG)
    above, below = pathlib.Path(broker.data), pathlib.Path(broker.scratch, "below")
    below.mkdir()
    broker.environment = {
        "LD_PRELOAD": str(library), "TIDINGS_DISK_ABOVE": str(above),
        "TIDINGS_DISK_BELOW": str(below),
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    safe, fast, lost = {}, {}, 0
    try:
        broker.start()
        for number in range(ROUNDS):
            # In every second round nobody syncs but the fold: then there is something to lose.
            publishers = [("fast/a", fast)] * 2 + [("safe/a", safe)] * (2 * (number % 2))
            threads = [threading.Thread(target=publish_until_cut, args=(broker, channel, answered),
                                        daemon=True)
                       for channel, answered in publishers]
            for thread in threads:
                thread.start()
            before = len(safe)
            threading.Event().wait(random.uniform(0.05, 0.6))
            if number % 2:
                wait_for(lambda before=before: len(safe) > before + 2, what="what is synced")
            broker.kill()
            for thread in threads:
                thread.join(20)
            assert not broker.bad_words(), broker.logged[-40:]
            leave_of_the_disk(above, below, chance)
            broker.start()
            lost += compare(broker, safe, fast)
        assert len(safe) > ROUNDS
        assert lost > 0 or chance > 0, "the cut dropped nothing, so it proved nothing"
        broker.stop()
    finally:
        broker.close()
