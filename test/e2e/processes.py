# SPDX-License-Identifier: Apache-2.0
"""The processes of the private world: its process namespace holds nothing but the test and what the test started."""

import contextlib
import os
import select
import signal
import time

# Programs of other architectures are run by one of these, which is told their path.
EMULATOR = "/usr/libexec/qemu-binfmt/"


class Process:
    """One process, held by pidfd so that its number cannot come to mean another."""

    def __init__(self, pid):
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.program = _link(pid, "exe")
        self.command = _command(pid)
        if self.command.startswith(EMULATOR):
            self.program = self.command.split()[1]

    def __del__(self):
        if hasattr(self, "pidfd"):
            os.close(self.pidfd)

    def __str__(self):
        return "%d %s" % (self.pid, self.command or self.program)

    def kill(self, number=signal.SIGKILL):
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            pass

    def wait(self, timeout):
        """Wait until the process has ended; False if it has not in TIMEOUT seconds."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(max(0, timeout) * 1000))


def others():
    """Every live process of the world but this one and those that it descends from."""
    own = set(_ancestors(os.getpid()))
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in own:
            continue
        try:
            process = Process(int(name))
        except ProcessLookupError:
            continue
        if process.wait(0) or status_of(process.pid, "State") in (None, "Z", "X"):
            continue  # ended, but for being reaped
        found.append(process)
    return found


def running(program):
    """The live processes whose executable is the file PROGRAM."""
    return [process for process in others() if process.program == program]


def first_of(program):
    """As running(), without those that another of them has forked."""
    found = running(program)
    pids = [process.pid for process in found]
    return [process for process in found if parent_of(process.pid) not in [*pids, None]]


def wait_all_gone(timeout):
    """Wait until the world is empty but for this process; return those that are left after TIMEOUT seconds."""
    deadline = time.monotonic() + timeout
    while True:
        left = others()
        if not left or not left[0].wait(deadline - time.monotonic()):
            return left


def _ancestors(pid):
    while pid:
        yield pid
        pid = int(status_of(pid, "PPid") or 0)


def status_of(pid, key):
    """The first word of a line of /proc/PID/status; None if the process is gone."""
    try:
        with open("/proc/%d/status" % pid) as file:
            for line in file:
                if line.startswith(key + ":"):
                    return line.split()[1]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def _link(pid, name):
    try:
        return os.readlink("/proc/%d/%s" % (pid, name))
    except OSError:
        return ""


def _command(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            return file.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def parent_of(pid):
    """None if the process is gone."""
    parent = status_of(pid, "PPid")
    return parent and int(parent)


def children_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(child) for child in file.read().split()]


def pipes_of(pid):
    """The pipes that a process holds, as {descriptor: name}."""
    found = {}
    for fd in os.listdir("/proc/%d/fd" % pid):
        with contextlib.suppress(OSError):
            name = os.readlink("/proc/%d/fd/%s" % (pid, fd))
            if name.startswith("pipe:"):
                found[int(fd)] = name
    return found


def private_kib(pid):
    with open("/proc/%d/smaps_rollup" % pid) as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(("Private_Clean", "Private_Dirty")))
