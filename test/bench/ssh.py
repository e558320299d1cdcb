# SPDX-License-Identifier: Apache-2.0
"""split-ssh, beside the agent's own socket and a bridge of socat and qrexec-client-vm, which looks at nothing."""

import contextlib
import json
import os
import socket
import statistics
import subprocess

from host import CALLS, HERE, identity, pids, poll
from memory import pss
from splitssh import COMMAND, FILTER, SplitSsh
from table import Section, rounds_median, rounds_ratio

ROUNDS = 9
USES_PER_ROUND = 20
CONNECTIONS = 50
TARGET = ("<=", 1.5)
REQUEST = b"\0\0\0\1\x0b"
SOCAT = "/usr/bin/socat"
assert HERE  # host.py has put the end-to-end tests' folder into the path

DIRECT, BRIDGE, OURS = "straight at the agent's socket", "socat bridge", "split-ssh forward, with the filter"


def ssh(host):
    keys = SplitSsh(host.world, policy="* * @anyvm @anyvm allow", domains=False)
    try:
        keys.install_key("id")
        keys.start_agent()
        host.world.write("/etc/split-ssh/filter.conf", "[source work]\nconfirm = never\nnotify = no\nrate = off\n"
                         "max-connections = 64\n")
        host.world.write("/etc/qubes-rpc/test.Agent", "#!/bin/sh\nexec socat - UNIX-CONNECT:%s\n" % keys.socket_of(),
                         mode=0o755)
        keys.forward("--service", "qubes.SshAgent+work", "--target", "vault")
        bridge = os.path.dirname(keys.path) + "/bridge"
        keys.start("work", "socat", "UNIX-LISTEN:%s,fork,backlog=128" % bridge, "EXEC:qrexec-client-vm vault test.Agent")
        poll(lambda: os.path.exists(bridge), 10)
        # The agent serves its own account alone.
        ways = {DIRECT: ("vault", keys.socket_of()), BRIDGE: ("work", bridge), OURS: ("work", keys.path)}
        public = keys.folder + "/id.pub"
        uses = {
            "ssh-list": ("ssh-add -L", ["/usr/bin/ssh-add", "-L"]),
            "ssh-sign": ("One signature (ssh-keygen -Y sign)", ["/usr/bin/ssh-keygen", "-Y", "sign", "-n", "file", "-f", public]),
        }
        sections = [_uses(name, title, command, ways) for name, (title, command) in uses.items()]
        return [*sections, _memory(bridge, keys.path)]
    finally:
        keys.close()


def _uses(name, title, command, ways):
    section = Section(name, title, "x socat bridge")
    rounds = []
    for number in range(ROUNDS + 1):
        figures = {way: statistics.median(_times(command, *of)) / 1000 for way, of in ways.items()}
        if number > 0:  # the first one warms everything up
            rounds.append(figures)
    for way in ways:
        section.add(way, rounds_median(rounds, way), "ms", ratio=rounds_ratio(rounds, way, BRIDGE),
                    target=TARGET if way == OURS else None)
    return section


def _times(command, account, path):
    settings = identity(account)
    settings["env"]["SSH_AUTH_SOCK"] = path
    said = subprocess.run([CALLS, "1", "1", str(USES_PER_ROUND), *command], stdin=subprocess.DEVNULL, capture_output=True,
                          check=True, **settings)
    report = json.loads(said.stdout)
    if report.get("error") or report["lost"]:
        raise RuntimeError("%r: %r" % (command, report))
    return report["times"]


def _memory(bridge, path):
    section = Section("ssh-memory", "Memory for each open connection (PSS)")
    programs = (SOCAT, "/usr/bin/qrexec-client-vm")
    section.add("socat bridge: all of its processes", _each(bridge, programs), "KiB")
    section.add("split-ssh: forwarder and filter", _each(path, (COMMAND, FILTER)), "KiB")
    section.add("the forwarder alone", _each(path, (COMMAND,)), "KiB")
    return section


def _each(path, programs):
    """What a connection to PATH, which has been used once, adds to PROGRAMS."""

    def total():
        return pss([pid for program in programs for pid in pids(program)])

    with contextlib.ExitStack() as stack:
        before = total()
        for _ in range(CONNECTIONS):
            client = stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
            client.connect(path)
            client.sendall(REQUEST)
            if not client.recv(1):
                raise RuntimeError("%s: refused" % path)
        return (total() - before) / CONNECTIONS
