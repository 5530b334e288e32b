# SPDX-License-Identifier: Apache-2.0
"""What a sink delivered, judged: nothing lost, in order, the same id for the same messages, and no
repeat but of what was under way, or just settled, when something was killed.

A place is (channel, offset); arrivals are those of harness/endpoints.py; a kill is when it was and
when the victim was back. Each judge gives what is wrong, as a list of sentences that is empty where
nothing is.
"""
import bisect
import math
from collections import defaultdict

# Two stores of a sink's place are 50 ms apart, so of a broker that goes on what was taken longer
# ago is stored. Whether it goes on is told by Progress and not by a clock.
REMEMBERED_S = 1.0
# The answer is read; a store that is under way ends; the next begins; it ends; and one more.
STEPS = 5
TOLD = 5  # of each kind of fault


def missing(expected, delivered):
    """Places that are in the log and were never taken."""
    lost = sorted(set(expected) - set(delivered))
    return [f"{len(lost)} were never taken: {lost[:TOLD]}"] if lost else []


def foreign(expected, delivered):
    """Places that are not in the log."""
    invented = sorted(set(delivered) - set(expected))
    return [f"{len(invented)} are not in the log: {invented[:TOLD]}"] if invented else []


def disorder(places, kills, lane=lambda place: place[0]):
    """Of each lane the places come one after another; behind a kill it may begin again further
    back, once, and goes on from there without a hole."""
    newest, previous, steps = {}, {}, defaultdict(int)
    wrong = []
    for place in places:
        name, number = lane(place), place[1]
        if number > newest.get(name, 0) + 1:
            wrong.append(f"{place} came while {newest.get(name, 0)} was the newest of its lane")
        elif name in previous and number != previous[name] + 1:
            steps[name] += 1
        newest[name] = max(number, newest.get(name, 0))
        previous[name] = number
    wrong += [f"{name} stepped back {count} times, and there were {kills} kills"
              for name, count in steps.items() if count > kills]
    return wrong[:TOLD]


def identity(arrivals):
    """The same id means the same body, and a place always comes under the same id."""
    bodies, ids, wrong = {}, {}, []
    for arrival in arrivals:
        if bodies.setdefault(arrival.id, arrival.body) != arrival.body:
            wrong.append(f"{arrival.id} came with two bodies")
        for place in arrival.places:
            if ids.setdefault(place, arrival.id) != arrival.id:
                wrong.append(f"{place} came as {ids[place]} and as {arrival.id}")
    return wrong[:TOLD]


def repeats(arrivals):
    """[(when the first was answered, when the next came, place)] of those that were taken
    already."""
    taken, found = {}, []
    for arrival in arrivals:
        for place in arrival.places:
            if place in taken:
                found.append((taken[place], arrival.at_s, place))
        if arrival.answered_s is not None and arrival.status // 100 == 2:
            for place in arrival.places:
                taken[place] = arrival.answered_s
    return found


class Progress:
    """That a broker goes on, as seen from outside: a message that is published and then comes to
    any endpoint was written by its log and sent by the thread of its sinks. So whatever each of
    them had been asked before is done, however slow the machine is. `begun`: {place: when its
    publish began}, of those that were answered."""

    def __init__(self, begun, arrivals):
        first = {}
        for arrival in arrivals:
            for place in arrival.places:
                first[place] = min(arrival.at_s, first.get(place, math.inf))
        seen = sorted((begun_s, first[place]) for place, begun_s in begun.items()
                      if place in first)
        self.begun_s = [begun_s for begun_s, _ in seen]
        self.came_s = [came_s for _, came_s in seen]  # the earliest of this one and all behind it
        for index in range(len(seen) - 2, -1, -1):
            self.came_s[index] = min(self.came_s[index], self.came_s[index + 1])

    def after(self, at_s, steps=STEPS):
        """When it has gone on by so many steps since then, one behind the other; infinite: never
        as far as was seen."""
        for _ in range(steps):
            index = bisect.bisect_left(self.begun_s, at_s)
            if index == len(self.begun_s):
                return math.inf
            at_s = self.came_s[index]
        return at_s


def unexcused(arrivals, kills, progress):
    """Repeats of what was answered well before any kill."""
    def is_excused(answered_s, again_s):
        stored_s = max(answered_s + REMEMBERED_S, progress.after(answered_s))
        return any(killed_s < min(again_s, stored_s)
                   and answered_s < max(back_s, killed_s + REMEMBERED_S)
                   for killed_s, back_s in kills)

    return [f"{place} was taken and came again, with no kill in between or shortly behind: "
            f"answered at {answered_s:.3f}, again at {again_s:.3f}, kills "
            + ", ".join(f"{killed_s:.3f}" for killed_s, _ in kills)
            for answered_s, again_s, place in repeats(arrivals)
            if not is_excused(answered_s, again_s)][:TOLD]
