#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""soak.py [CALLS] - make many calls of every kind, and look whether memory and descriptors stay what they were

Inside test/world/enter (make soak). Samples the supervisor, the broker and the agents after each tenth of the calls, when
nobody calls; prints a table, and PASS or FAIL, which is the status too.
"""

import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from host import CALLS, CLIENT, Host, identity, pids, poll  # noqa: E402
from world import BROKER  # noqa: E402 (host has made it known)

DEFAULT_CALLS = 1_000_000
SAMPLES = 10
CALLERS = 16
# What the memory of a process may have grown by from the second sample on: a heap's own ups and downs. Judged is what is its
# alone: the other part of its PSS depends on how many others have the same libraries just then.
GROWTH_KIB = 128
SETTLE_SEC = 60

# Share of the calls in per cent, name, command, and whether its status is 0 (None: either, for it may be too late to hang up).
KINDS = [
    (40, "direct", [CLIENT, "vault", "test.Noop"], True),
    (15, "framed", [CLIENT, "vault", "test.Framed"], True),
    (15, "socket", [CLIENT, "vault", "test.Echo"], True),
    (10, "refused", [CLIENT, "vault", "test.Denied"], False),
    (5, "no such service", [CLIENT, "vault", "test.Nowhere"], False),
    (5, "fails", [CLIENT, "crowd", "test.Fails"], False),
    (5, "hangs up", ["/usr/bin/timeout", "-s", "KILL", "0.005", CLIENT, "vault", "test.Cat"], None),
    (5, "with data", ["/bin/sh", "-c", "echo data | %s vault test.Cat >/dev/null" % CLIENT], True),
]


def configure(host):
    world = host.world
    world.set_policy("test.Denied * @anyvm @anyvm deny\n* * @anyvm @anyvm allow")
    services = "/etc/qubes-rpc/"
    for name, script in (("Framed", "exit 0"), ("Fails", "exit 7"), ("Cat", "exec cat")):
        world.write(services + "test." + name, "#!/bin/sh\n%s\n" % script, mode=0o755)
    world.write("/etc/qubes/rpc-config/test.Framed", "direct = false\n")


def sample(processes):
    """{name: (PSS, the part of it that is no file's, both in KiB; descriptors)}"""
    found = {}
    for name, pid in processes.items():
        with open("/proc/%d/smaps_rollup" % pid) as file:
            lines = dict(line.split(":", 1) for line in file if ": " in line and line.endswith("kB\n"))
        pss, own = (int(lines[key].split()[0]) for key in ("Pss", "Pss_Anon"))
        found[name] = (pss, own, len(os.listdir("/proc/%d/fd" % pid)))
    return found


def settle(agents):
    """Wait until no call runs any more: agents have no children."""

    def quiet():
        for pid in agents:
            with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
                if file.read().split():
                    return False
        return True

    if not poll(quiet, SETTLE_SEC):
        raise RuntimeError("calls still run after %d seconds" % SETTLE_SEC)


def run(kind, count):
    """COUNT calls of one KIND. Return: how many failed that should not have, or did not that should have."""
    _, name, command, succeeds = kind
    result = subprocess.run(
        [CALLS, "1", str(CALLERS), str(count), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        **identity("work"),
    )
    report = json.loads(result.stdout)
    wrong = 0 if succeeds is None else report["lost"] if succeeds else report["calls"] - report["lost"]
    if wrong or report["hung"]:
        print("%s: %d of %d calls were not as they should be, %d hung" % (name, wrong, report["calls"], report["hung"]))
    return wrong + report["hung"]


def show(samples, total):
    names = list(samples[0])
    print("\n%10s" % "calls" + "".join("  %20s" % name for name in names))
    print("%10s" % "" + "  %8s %6s %4s" % ("PSS, KiB", "own", "open") * len(names))
    for number, found in enumerate(samples):
        cells = "".join("  %8d %6d %4d" % found[name] for name in names)
        print("%10d%s" % (total * number // (len(samples) - 1), cells))


def judge(samples):
    """What grew. The first tenth warms everything up."""
    problems = []
    for name in samples[0]:
        later = [found[name] for found in samples[1:]]
        if later[-1][1] > later[0][1] + GROWTH_KIB:
            problems.append("%s: from %d to %d KiB of its own" % (name, later[0][1], later[-1][1]))
        if later[-1][2] > later[0][2]:
            problems.append("%s: from %d to %d descriptors" % (name, later[0][2], later[-1][2]))
    return problems


def main(arguments):
    if os.environ.get("QAIR_WORLD") != "1":
        print("soak: run me in a private world: make soak", file=sys.stderr)
        return 1
    total = int(arguments[0]) if arguments and arguments[0] else DEFAULT_CALLS
    begin = time.monotonic()
    wrong = 0
    with Host(os.environ["QAIR_BUILD"]) as host:
        configure(host)
        host.world.call("work", "crowd", "test.Noop")
        agents = {"agent of " + name: host.agent(name) for name in ("vault", "crowd")}
        processes = {"supervisor": host.world.supervisor.pid, "broker": host.broker, **agents}
        samples = [sample(processes)]
        for number in range(SAMPLES):
            for kind in KINDS:
                wrong += run(kind, max(1, total * kind[0] // 100 // SAMPLES))
            settle(agents.values())
            samples.append(sample(processes))
            print("%d %%, %.0f s" % (100 * (number + 1) // SAMPLES, time.monotonic() - begin), flush=True)
        if pids(BROKER) != [host.broker]:
            wrong += 1
            print("the broker is another one than at the start")
    show(samples, total)
    problems = judge(samples)
    for problem in problems:
        print("grew: " + problem)
    passed = not problems and not wrong
    print("%s: %d calls in %.0f seconds" % ("PASS" if passed else "FAIL", total, time.monotonic() - begin))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
