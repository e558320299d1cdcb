# SPDX-License-Identifier: Apache-2.0
"""What one domain's flood of calls does to another domain's calls, beside what the same load does that is not ours."""

import json
import statistics
import subprocess

from host import BARE, CALLS, CLIENT, NOOP, identity, poll
from table import Section, rounds_median, rounds_ratio

CROWD = 64  # processes that each do one thing after the other, as fast as they can
ROUNDS = 6
CALLS_PER_ROUND = 15

# What keeps the processors busy meanwhile, as whom. A bare is what a call costs at least: one client and one service.
IDLE = "nothing else"
ELSEWHERE = "64 x bare: the same load, not through us"
LOADS = {
    IDLE: None,
    ELSEWHERE: ("mallory", [BARE, NOOP]),
    "64 x calls of another domain, to a third": ("mallory", [CLIENT, "crowd", "test.Noop"]),
    "64 x calls of another domain, to the same": ("mallory", [CLIENT, "vault", "test.Noop"]),
    "64 x requests that are refused": ("mallory", [CLIENT, "nowhere", "test.Noop"]),
}


def _latency(host, load):
    """The median of one caller's calls, in ms, while LOAD goes on."""
    ours = [CALLS, "1", "1", str(CALLS_PER_ROUND), CLIENT, "vault", "test.Noop"]
    if load is None:
        return statistics.median(json.loads(_run(ours, "work"))["times"]) / 1000
    account, command = load
    crowd = subprocess.Popen(
        [CALLS, str(CROWD), "1", "30s", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **identity(account),
    )
    try:
        # All of them run by now, and have for a while: the first call is not the measured one.
        poll(lambda: _children(crowd.pid) >= CROWD, 20)
        _run([CALLS, "1", "1", "3", *ours[4:]], "work")
        return statistics.median(json.loads(_run(ours, "work"))["times"]) / 1000
    finally:
        _end(crowd)


def _run(command, account):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, **identity(account)).stdout


def _children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return len(file.read().split())


def _end(crowd):
    """Every process of the crowd: they are one session of their own."""
    subprocess.run(["/usr/bin/pkill", "-KILL", "-s", str(crowd.pid)], check=False)
    crowd.wait()


def fair(host):
    title = "One call of a domain while others keep the machine busy"
    section = Section("fair", title, "x elsewhere")
    rounds = []
    for number in range(ROUNDS + 1):
        figures = {}
        for name, load in LOADS.items():
            figures[name] = _latency(host, load)
            host.settle()
        if number > 0:
            rounds.append(figures)
    for name in LOADS:
        target = None if name in (IDLE, ELSEWHERE) else ("<=", 2.0)
        ratio = rounds_ratio(rounds, name, ELSEWHERE)
        section.add(name, rounds_median(rounds, name), "ms", ratio=ratio, target=target)
    return [section]
