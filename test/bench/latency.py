# SPDX-License-Identifier: Apache-2.0
"""One whole call, and calls per second: every way to run a service that does nothing."""

import json
import statistics
import subprocess
import time

from host import ECHO_SOCKET, LIBRARY, identity
from table import Section, rounds_median, rounds_ratio

ROUNDS = 12
CALLS_PER_ROUND = 20

# On which processor the caller is, and with whom, is decided when it starts, and moves the ratio by a fifth.
LIBRARY_STARTS = 11
LIBRARY_ROUNDS = 5
LIBRARY_EACH = 100

CALLERS = (1, 8, 32, 128)
RATE_ROUNDS = 5
RATE_SECONDS = 0.4

# In the order of Host.contenders().
FLOOR, BARE, NOOP, SOCKET, S6 = range(5)


def call(host):
    """One caller, one call after the other."""
    contenders = host.contenders()
    section = Section("call", "One whole call: client started, service run, exit code back", "x floor")
    present = [contender for contender in contenders if not contender.reason]
    rounds = []
    for number in range(ROUNDS + 1):
        figures = {}
        for contender in present:
            report = host.run_calls(contender, CALLS_PER_ROUND)
            if report["lost"]:
                raise RuntimeError("%s: %d calls lost" % (contender.name, report["lost"]))
            figures[contender.name] = statistics.median(report["times"]) / 1000
        if number > 0:  # the first one warms everything up
            rounds.append(figures)
    targets = {NOOP: ("<=", 2.8), SOCKET: ("<=", 1.8)}
    floor = contenders[FLOOR].name
    for i, contender in enumerate(contenders):
        if contender.reason:
            section.add(contender.name, reason=contender.reason)
            continue
        section.add(
            contender.name,
            rounds_median(rounds, contender.name),
            "ms",
            ratio=rounds_ratio(rounds, contender.name, floor),
            target=targets.get(i),
        )
    section.add(
        "qrexec-client-vm -> no-op, x bare",
        rounds_median(rounds, contenders[NOOP].name),
        "ms",
        ratio=rounds_ratio(rounds, contenders[NOOP].name, contenders[BARE].name),
        target=("<=", 1.2),
    )
    return [section, library(host)]


def library(host):
    """The same without starting a client: one process calls through libqair, over a connection that it keeps."""
    command = [LIBRARY, str(LIBRARY_ROUNDS), str(LIBRARY_EACH), ECHO_SOCKET, "vault", "test.Echo"]
    plain, calls = [], []
    for _ in range(LIBRARY_STARTS):
        said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, **identity("work"))
        if said.returncode != 0:
            raise RuntimeError("%s: %s" % (LIBRARY, said.stderr.decode()))
        report = json.loads(said.stdout)
        plain += report["plain"][1:]  # the first round warms everything up
        calls += report["call"][1:]
    section = Section("library", "A short exchange with a server that runs, from a program that runs", "x plain")
    section.add("plain: connect, header, reply, close", statistics.median(plain), "us", ratio=1.0)
    ratios = [call / one for call, one in zip(calls, plain)]
    low, ratio, high = statistics.quantiles(ratios, n=4)
    section.add(
        "a call through libqair, to the same socket",
        statistics.median(calls),
        "us",
        ratio=ratio,
        target=("<=", 5),
        note="half of the rounds: %.2f to %.2f" % (low, high),
    )
    return section


def rate(host):
    """Callers at once, each calling as fast as it can.

    One process that starts all of them, as a server would, is what the targets were set for; where it is the
    bottleneck, callers that start independently of each other show what the rest could do.
    """
    contenders = [contender for contender in host.contenders() if "--help" not in contender.name]
    sections = []
    for callers in CALLERS:
        title = "Calls per second, %d caller%s at once" % (callers, "" if callers == 1 else "s")
        section = Section("rate-%d" % callers, title, "x floor")
        _rate_rows(section, contenders, callers, *rates(host, contenders, callers, starters=1))
        sections.append(section)
        if callers >= 8:
            section = Section("independent-%d" % callers, title + ", each started by its own process", "x floor")
            few = [contenders[i] for i in (FLOOR, BARE, NOOP, S6)]
            _rate_rows(section, few, callers, *rates(host, few, callers, starters=callers), targets=False)
            sections.append(section)
    return sections


def rates(host, contenders, callers, starters):
    """(rounds of calls per second, calls lost, calls made), each by the name of the contender"""
    lost, made, rounds = {}, {}, []
    for _ in range(RATE_ROUNDS):
        figures = {}
        for contender in contenders:
            if contender.reason:
                continue
            name = contender.name
            report = host.run_calls(contender, "%gs" % RATE_SECONDS, callers, starters)
            figures[name] = (report["calls"] - report["lost"]) / (report["usec"] / 1e6)
            lost[name] = lost.get(name, 0) + report["lost"]
            made[name] = made.get(name, 0) + report["calls"]
        rounds.append(figures)
    return rounds, lost, made


def _rate_rows(section, contenders, callers, rounds, lost, made, targets=True):
    floor, ours = contenders[FLOOR].name, contenders[NOOP].name
    s6 = next(contender.name for contender in contenders if contender.name.startswith("s6-ipc"))
    for contender in contenders:
        name = contender.name
        if contender.reason:
            section.add(name, reason=contender.reason)
            continue
        section.add(
            name,
            rounds_median(rounds, name),
            "/s",
            ratio=rounds_ratio(rounds, name, floor),
            target=(">=", 0.43) if targets and name == ours and callers >= 8 else None,
            note="%d of %d lost" % (lost[name], made[name]) if lost[name] else "",
        )
    section.add("%s: calls lost" % ours, lost[ours], "of %d" % made[ours], target=("<=", 0))
    if callers >= 8:
        name, target = "%s, x s6-ipc" % ours, (">", 1.0)
        if s6 not in rounds[0]:
            section.add(name, target=target, reason="s6-ipc is not available")
        else:
            section.add(
                name, rounds_median(rounds, ours), "/s", ratio=rounds_ratio(rounds, ours, s6), target=target
            )


def loaded(host, count=5000):
    """A new call while many are open."""
    contenders = host.contenders()
    floor, noop = contenders[FLOOR], contenders[NOOP]
    section = Section("open", "A new call while %d are open" % count, "x idle")

    def measure():
        times, floors = [], []
        for _ in range(6):
            times += host.run_calls(noop, CALLS_PER_ROUND)["times"]
            floors += host.run_calls(floor, CALLS_PER_ROUND)["times"]
        return statistics.median(times) / 1000, statistics.median(floors) / 1000

    # The better of before and after is what idle is: work that is left from closing them all is no excuse.
    before, floor_before = measure()
    begin = time.monotonic()
    with host.held(count) as (held, _, complaint):
        opened = time.monotonic() - begin
        during, floor_during = measure()
    after, floor_after = measure()
    idle, floor_idle = min(before, after), min(floor_before, floor_after)
    section.add("no call open", idle, "ms", ratio=1.0, note="before: %.3g, after: %.3g" % (before, after))
    target = ("<=", 1.2)
    if held < count:
        section.add("%d calls open" % count, target=target, reason="only %d could be opened: %s" % (held, complaint))
        target = None
    note = "opened in %.1f s" % opened
    section.add("%d calls open" % held, during, "ms", ratio=during / idle, target=target, note=note)
    section.add("floor, no call open", floor_idle, "ms", ratio=1.0)
    section.add("floor, %d calls open" % held, floor_during, "ms", ratio=floor_during / floor_idle)
    return [section]
