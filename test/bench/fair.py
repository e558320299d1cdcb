# SPDX-License-Identifier: Apache-2.0
"""What one domain's flood of calls does to another domain's calls, beside what the same load does that is not ours."""

import contextlib
import json
import os
import pwd
import signal
import statistics
import subprocess

from host import BARE, CALLS, CLIENT, NOOP, identity, pids, poll
from table import Section, rounds_median, rounds_ratio

CROWD = 64  # processes that each do one thing after the other, as fast as they can
ROUNDS = 6
CALLS_PER_ROUND = 15

# What keeps the processors busy meanwhile: as whom, what, and beside which other load it is to be judged. A bare is what
# a call costs at least: one client and one service. The scheduler gives each session its share of the processors, and each
# service has a session, so many services of one domain are many shares: hence the second yardstick.
IDLE = "nothing else"
ELSEWHERE = "64 x bare: the same load, not through us"
INSIDE = "64 x bare among the target's own processes"
LOADS = {
    IDLE: None,
    ELSEWHERE: ("mallory", [BARE, NOOP], None),
    "64 x calls of another domain, to a third": ("mallory", [CLIENT, "crowd", "test.Noop"], ELSEWHERE),
    "64 x requests that are refused": ("mallory", [CLIENT, "nowhere", "test.Noop"], ELSEWHERE),
    INSIDE: ("vault", None, None),
    "64 x calls of another domain, to the same": ("mallory", [CLIENT, "vault", "test.Noop"], INSIDE),
}
SERVICE = "/etc/qubes-rpc/test.Crowd"


def _latency(host, load):
    """The median of one caller's calls, in ms, while LOAD goes on."""
    ours = [CALLS, "1", "1", str(CALLS_PER_ROUND), CLIENT, "vault", "test.Noop"]
    if load is None:
        return statistics.median(json.loads(_run(ours, "work"))["times"]) / 1000
    account, command, _ = load
    # In the target it has to be a service that starts them, or they would have a session of their own.
    crowd = subprocess.Popen(
        [CALLS, str(CROWD), "1", "30s", *command] if command else [CLIENT, "vault", "test.Crowd"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **identity(account if command else "work"),
    )
    uid = pwd.getpwnam(account).pw_uid
    try:
        # All of them run by now, and have for a while: the first calls are not the measured ones.
        poll(lambda: len(pids(CALLS, uid)) >= CROWD, 20)
        _run([CALLS, "1", "1", "3", *ours[4:]], "work")
        return statistics.median(json.loads(_run(ours, "work"))["times"]) / 1000
    finally:
        while pids(CALLS, uid):
            for pid in pids(CALLS, uid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        crowd.wait()


def _run(command, account):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, **identity(account)).stdout


def fair(host):
    title = "One call of a domain while others keep the machine busy"
    section = Section("fair", title, "x beside")
    one = "setsid %s 1 1 30s %s %s" % (CALLS, BARE, NOOP)
    host.world.write(SERVICE, "#!/bin/sh\nfor i in $(seq %d); do %s & done\nwait\n" % (CROWD, one), mode=0o755)
    rounds = []
    for number in range(ROUNDS + 1):
        figures = {}
        for name, load in LOADS.items():
            figures[name] = _latency(host, load)
            host.settle()
        if number > 0:
            rounds.append(figures)
    for name, load in LOADS.items():
        beside = load and load[2]
        ratio = rounds_ratio(rounds, name, beside) if beside else None
        target = ("<=", 2.0) if beside else None
        section.add(name, rounds_median(rounds, name), "ms", ratio=ratio, target=target)
    return [section]
