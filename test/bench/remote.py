# SPDX-License-Identifier: Apache-2.0
"""Calls to another host, beside ssh with a shared connection that runs the same program there.

Two hosts as the end-to-end tests have them (test/e2e/hosts.py), on one machine: the network costs next to nothing, so the
figures are what the programs cost. Both ways use one OpenSSH with the same ciphers.
"""

import os
import shutil
import statistics
import subprocess
import threading
import time

from host import HERE, NOOP, STREAM
from hosts import Hosts
from table import Section

TRANSPORT = {"type": "RemoteVM", "transport_rpc": "qubesair.SSHProxy"}
CALLS = 100
CALLERS = (1, 8, 32, 128)
CALLS_OF_ALL = 256
SIZE = 128 << 20
ROUNDS = 3
CLIENT = "/usr/bin/qrexec-client-vm"
CONTROL = "/home/work/control"
TARGET_CALL = ("<=", 1.3)
TARGET_STREAM = (">=", 0.9)
assert HERE  # host.py has put the end-to-end tests' folder into the path


def relayed(service):
    return [CLIENT, "remote-vault", service]


def shared(command):
    return ["/usr/bin/ssh", "-o", "ControlPath=" + CONTROL, "-T", "vault@b", command]


def once(world, command, **settings):
    """Seconds that COMMAND took as work."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **settings}
    begin = time.perf_counter()
    process = world.popen_as("work", command, **streams)
    status = process.wait()
    seconds = time.perf_counter() - begin
    if status != 0:
        raise RuntimeError("%r: status %d" % (command, status))
    return seconds


def each(world, commands, n):
    """N rounds of one call each way. Return: the medians in ms."""
    times = [[once(world, command) for command in commands] for _ in range(n)]
    return [1000 * statistics.median(column) for column in zip(*times)]


def at_once(world, command, callers, n):
    """N calls by so many callers at a time. Return: calls a second."""
    left = iter(range(n))
    lock = threading.Lock()
    failures = []

    def caller():
        while True:
            with lock:
                if next(left, None) is None:
                    return
            try:
                once(world, command)
            except RuntimeError as error:
                failures.append(str(error))

    threads = [threading.Thread(target=caller) for _ in range(callers)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    return n / seconds, failures


def stream(world, reader, writer, size):
    """MB/s from WRITER through a pipe to READER; one of them is the call."""
    readable, writable = os.pipe()
    begin = time.perf_counter()
    read = world.popen_as("work", reader, stdin=readable, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    write = world.popen_as("work", writer, stdin=subprocess.DEVNULL, stdout=writable, stderr=subprocess.DEVNULL)
    os.close(readable)
    os.close(writable)
    statuses = [read.wait(), write.wait()]
    seconds = time.perf_counter() - begin
    if any(statuses):
        raise RuntimeError("%r %r: statuses %r" % (reader, writer, statuses))
    return size / seconds / 1e6


def master(world):
    """A connection of work's own, for ssh to share."""
    world.accounts_run("work", ["/usr/bin/ssh", "-M", "-N", "-f", "-o", "ControlPath=" + CONTROL, "vault@b"])


def programs(world, noop, writer):
    os.makedirs("/run/bench")
    for name, data in (("noop", noop), ("stream", writer)):
        with open("/run/bench/" + name, "wb") as file:
            file.write(data)
        os.chmod("/run/bench/" + name, 0o755)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def configure(a, b):
    a.add_domain("work")
    a.add_domain("net-relay")
    a.add_domain("remote-vault", relayvm="net-relay", remote_name="vault", remote_host="a-relay@b", **TRANSPORT)
    a.set_policy("* * work remote-vault allow\n")
    b.add_relay("a-relay", a.make_key("net-relay"))
    b.add_domain("vault")
    b.add_domain("work", relayvm="a-relay", **TRANSPORT)
    b.set_policy("* * work vault allow\n")
    for host in (a, b):
        host.run(programs, read(NOOP), read(STREAM))
    b.run(shutil_copy, "/run/bench/noop", "/etc/qubes-rpc/test.Noop")
    b.add_service("test.Sink", '#!/bin/sh\nexec /run/bench/stream read "$1"\n')
    b.add_service("test.Source", '#!/bin/sh\nexec /run/bench/stream write "$1"\n')
    # The peer: the same account and program over there, with an ordinary shell. 128 sessions on its one connection.
    b.run(let_in, "vault", a.make_key("work"))
    b.write("/etc/ssh/sshd_config.d/10-bench.conf", "MaxSessions 200\n")
    b.start_sshd()
    for account in ("net-relay", "work"):
        a.write_as(account, "/home/%s/.ssh/known_hosts" % account, "b %s\n" % b.host_key())
    a.start()
    b.start()
    a.run(master)


def shutil_copy(world, source, target):
    shutil.copy(source, target)


def let_in(world, account, key):
    with open("/etc/shadow") as file:
        shadow = file.read().replace("\n%s:!:" % account, "\n%s:*:" % account)
    world.write("/etc/shadow", shadow, mode=0o640)
    world.write_as(account, "/home/%s/.ssh/authorized_keys" % account, key + "\n")


def remote(_):
    """The sections of this part."""
    with Hosts("a", "b") as (a, b):
        configure(a, b)
        yield _calls(a)
        yield _rates(a)
        yield _streams(a)


def _calls(a):
    section = Section("remote", "A no-op on another host, one at a time", "ssh, shared connection")
    a.run(each, [relayed("test.Noop"), shared("/run/bench/noop")], 5)
    ours, theirs = a.run(each, [relayed("test.Noop"), shared("/run/bench/noop")], CALLS)
    section.add("ssh, shared connection", theirs, "ms", 1.0)
    section.add("relayed call", ours, "ms", ours / theirs, TARGET_CALL)
    return section


def _rates(a):
    section = Section("remote-rate", "%d no-ops by so many callers at a time" % CALLS_OF_ALL, "ssh, shared connection")
    for callers in CALLERS:
        theirs, their_failures = a.run(at_once, shared("/run/bench/noop"), callers, CALLS_OF_ALL)
        ours, failures = a.run(at_once, relayed("test.Noop"), callers, CALLS_OF_ALL)
        note = "%d failed" % len(their_failures) if their_failures else ""
        section.add("ssh, %d callers" % callers, theirs, "calls/s", 1.0, note=note)
        note = "%d FAILED: %s" % (len(failures), failures[0]) if failures else ""
        section.add("relayed, %d callers" % callers, ours, "calls/s", ours / theirs, note=note)
    return section


def _streams(a):
    section = Section("remote-stream", "%d MiB to another host and back" % (SIZE >> 20), "ssh, shared connection")
    write, read_all = ["/run/bench/stream", "write", str(SIZE)], ["/run/bench/stream", "read", str(SIZE)]
    ways = {
        "there": ([shared(" ".join(read_all)), write], [relayed("test.Sink+%d" % SIZE), write]),
        "back": ([read_all, shared(" ".join(write))], [read_all, relayed("test.Source+%d" % SIZE)]),
    }
    for name, (theirs, ours) in ways.items():
        rates = [(a.run(stream, *theirs, SIZE), a.run(stream, *ours, SIZE)) for _ in range(ROUNDS)]
        peer, own = (statistics.median(column) for column in zip(*rates))
        section.add("ssh, " + name, peer, "MB/s", 1.0)
        section.add("relayed, " + name, own, "MB/s", own / peer, TARGET_STREAM)
    return section
