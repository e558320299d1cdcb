# SPDX-License-Identifier: Apache-2.0
"""Memory: the proportional set size (PSS) of our processes, idle and for each open call."""

import pwd
import subprocess

from host import AGENT, CLIENT, MONITOR, identity, pids, poll, wait_processes
from table import Section

OPEN_CALLS = 1000
CLIENTS = 100
SERVICE = "/etc/qubes-rpc/test.Hold"


def pss(processes, key="Pss"):
    """The sum of their PSS, or of another KEY of smaps_rollup, in KiB."""
    total = 0
    for pid in processes:
        with open("/proc/%d/smaps_rollup" % pid) as file:
            total += next(int(line.split()[1]) for line in file if line.startswith(key + ":"))
    return total


def available():
    """MemAvailable, in KiB."""
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:"))


def memory(host):
    section = Section("memory", "Memory (PSS)")
    uid = pwd.getpwnam("vault").pw_uid
    # Everything has run once, so that what is measured below is what calls cost, not the first touch of the heap.
    with host.held(10):
        pass
    monitors = pids(MONITOR)
    main = host.world.supervisor.pid
    broker_idle, agent_idle = pss([host.broker]), pss([host.agent()])
    section.add("broker + supervisor, idle", broker_idle + pss([main]), "KiB", target=("<=", 3000))
    section.add("monitor", pss(monitors) / len(monitors), "KiB", note="the first pays for PAM's libraries")
    section.add("monitor, each further", pss(monitors, "Pss_Dirty") / len(monitors), "KiB", note="what no other shares")
    section.add("agent, idle", agent_idle, "KiB", target=("<=", 320))

    before = available()
    with host.held(OPEN_CALLS) as (held, _, complaint):
        note = "%d open%s" % (held, "; no more: " + complaint if complaint else "")
        broker = (pss([host.broker]) - broker_idle) / held
        agent = (pss([host.agent()]) - agent_idle) / held
        handlers = pss(set(pids(AGENT, uid)) - {host.agent()}) / held
        machine = (before - available()) / held
    section.add("broker, per open call", broker, "KiB", target=("<=", 2), note=note)
    section.add("agent and its handlers, per open call", agent + handlers, "KiB", target=("<=", 1), note=note)
    section.add("the agent alone, per open call", agent, "KiB", note=note)
    section.add("machine, per open call", machine, "KiB", note="MemAvailable, with the service and the kernel's share")

    section.add("waiting client", _clients(), "KiB", target=("<=", 110), note="%d at once" % CLIENTS)
    return [section]


def _clients():
    """What a real client that waits for the end of its call has, with as many others beside it."""
    command = [CLIENT, "vault", "test.Hold"]
    clients = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **identity("work"))
        for _ in range(CLIENTS)
    ]
    try:
        wait_processes(SERVICE, CLIENTS)
        return pss([client.pid for client in clients]) / CLIENTS
    finally:
        for client in clients:
            client.stdin.close()
        for client in clients:
            client.wait()
        poll(lambda: not pids(SERVICE), 20)
