#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plays conversations with faults in them against a broker.

    mutants.py < told.json

`told` has the conversations (conversations.py), a port for each door, a seed, the seconds, the
least number to go on for when they are over (attacks.py), and a folder: where the broker takes no
more connections, its last conversations are left there.
Prints what became of them, as counts.
"""
import base64
import collections
import json
import os
import pathlib
import random
import socket
import struct
import sys
import time

from attacks import is_time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.websocket import frame  # noqa: E402  pylint: disable=wrong-import-position

KEPT = 200  # conversations, so that the one that broke something is among them
STEP_S = 0.004  # for an answer to come before the next step
END_S = 0.02
EDGES = (0, 1, 0x7e, 0x7f, 0x80, 0xfe, 0xff)


# --- faults in bytes: each takes a bytearray and a source of other bytes --------------------------


def flip(data, _, dice):
    for _ in range(dice.choice((1, 1, 1, 2, 8))):
        place = dice.randrange(len(data))
        data[place] ^= 1 << dice.randrange(8)
    return data


def edge(data, _, dice):
    data[dice.randrange(len(data))] = dice.choice(EDGES)
    return data


def lie(data, _, dice):
    """A length: two bytes near the beginning, or anywhere."""
    place = dice.randrange(min(len(data), dice.choice((4, 16, len(data)))))
    data[place:place + 2] = struct.pack(">H", dice.choice((0, 1, 0x7f, 0xff, 0x100, 0x7fff, 0x8000,
                                                           0xffff, len(data) & 0xffff)))
    return data


def cut(data, _, dice):
    return data[:dice.randrange(len(data))]


def cut_front(data, _, dice):
    return data[dice.randrange(len(data)):]


def repeat(data, _, dice):
    start = dice.randrange(len(data))
    end = dice.randrange(start, len(data)) + 1
    data[end:end] = data[start:end] * dice.choice((1, 2, 50))
    return data


def splice(data, other, dice):
    start, place = dice.randrange(len(other)), dice.randrange(len(data))
    data[place:] = other[start:]
    return data


def insert(data, _, dice):
    place = dice.randrange(len(data))
    data[place:place] = bytes(dice.randrange(256) for _ in range(dice.choice((1, 2, 4, 100))))
    return data


def blow(data, _, dice):
    place = dice.randrange(len(data))
    data[place:place] = data[place:place + 1] * dice.choice((300, 5000, 70000))
    return data


FAULTS = (flip, flip, flip, edge, lie, lie, cut, cut_front, repeat, splice, insert, blow)


def mutate_bytes(data, others, dice):
    data = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4))):
        if data:
            data = dice.choice(FAULTS)(data, dice.choice(others), dice)
    return bytes(data)


def mutate(steps, all_steps, dice):
    """The conversation with faults: in the bytes of a step, or in the order of steps."""
    steps = list(steps)
    for _ in range(dice.choice((1, 1, 2, 3))):
        place = dice.randrange(len(steps))
        kind = dice.random()
        if kind < 0.7:
            step = steps[place]
            others = [other[-1] for other in all_steps if other[-1]]
            steps[place] = (*step[:-1], mutate_bytes(step[-1], others, dice))
            if step[0] == "frame" and dice.random() < 0.1:
                steps[place] = ("frame", dice.randrange(16), steps[place][-1])
        elif kind < 0.8:
            steps.insert(place, steps[dice.randrange(len(steps))])
        elif kind < 0.9:
            steps.insert(place, dice.choice(all_steps))
        elif len(steps) > 1:
            del steps[place]
    return steps


def bytes_of(step, dice):
    if step[0] == "bytes":
        return step[1]
    fault = dice.random()
    return frame(step[1], step[2], fin=fault > 0.02, rsv=dice.randrange(8) if fault > 0.97 else 0,
                 is_masked=not 0.5 < fault < 0.51,
                 length=dice.randrange(100000) if 0.6 < fault < 0.62 else None)


def play(port, steps, dice, counts):
    """One connection. ConnectionRefusedError: nobody is there any more."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.bind((f"127.0.0.{dice.randrange(2, 60)}", 0))
        one.settimeout(5)
        one.connect(("127.0.0.1", port))
        answered = 0
        try:
            for step in steps:
                data = bytes_of(step, dice)
                if dice.random() < 0.1 and len(data) > 1:  # in two parts
                    half = dice.randrange(1, len(data))
                    one.sendall(data[:half])
                    data = data[half:]
                one.sendall(data)
                answered += receive(one, STEP_S)
            if dice.random() < 0.5:
                one.shutdown(socket.SHUT_WR)
            answered += receive(one, END_S)
        except TimeoutError:
            counts["takes no more"] += 1  # flow control: it reads no faster than it answers
        except OSError:
            counts["ended_by_the_broker"] += 1
        counts["answered"] += answered > 0


def receive(one, seconds):
    """How many bytes came; ConnectionError at the end."""
    one.settimeout(seconds)
    try:
        data = one.recv(262144)
    except socket.timeout:
        return 0
    finally:
        one.settimeout(5)
    if not data:
        raise ConnectionError
    return len(data)


def main():
    os.nice(19)
    told = json.load(sys.stdin)
    dice = random.Random(told["seed"])
    spoken = [(one["door"], [(*step[:-1], base64.b64decode(step[-1])) for step in one["steps"]])
              for one in told["conversations"]]
    all_steps = [step for _, steps in spoken for step in steps]
    counts, last = collections.Counter(), collections.deque(maxlen=KEPT)
    begin = time.monotonic()
    while is_time(begin, told["seconds"], counts["conversations"] >= told["least"]):
        door, steps = dice.choice(spoken)
        steps = mutate(steps, all_steps, dice)
        last.append([door, [[*step[:-1], base64.b64encode(step[-1]).decode()] for step in steps]])
        counts["conversations"] += 1
        try:
            play(told["ports"][door], steps, dice, counts)
        except ConnectionRefusedError:
            path = pathlib.Path(told["folder"], f"mutants-{told['seed']}.json")
            path.write_text(json.dumps(list(last)), encoding="ascii")
            counts["refused"] += 1
            break
        except OSError:
            counts["no connection"] += 1
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
