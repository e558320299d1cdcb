# SPDX-License-Identifier: Apache-2.0
"""One call under strace(1): how many system calls it makes, in which process, and where its time goes."""

import os
import re
import signal
import statistics
import subprocess
import tempfile

from host import CLIENT, SUPERVISOR, identity, pids, poll
from table import Section

CALLS = 5
QUIET_POLLS = 20  # of a hundredth of a second each: nobody has written a line for so long
QUIET_SEC = 20

SERVICE = "service, from its execve on"
HANDLER = "agent: what it forks, until the service's execve"

LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
NAME = re.compile(r"^(?:<\.\.\. )?(\w+)(?:\(| resumed)")


class Event:
    """One system call that ended (or never returned, like exit_group)."""

    def __init__(self, pid, time, text):
        self.pid, self.time, self.text = pid, time, text
        self.name = NAME.match(text).group(1)


def _events(path, begin=0.0):
    """The completed system calls in the trace PATH since BEGIN."""
    started = {}
    found = []
    with open(path, errors="replace") as file:
        for line in file:
            match = LINE.match(line)
            if not match:
                continue
            pid, time, text = int(match[1]), float(match[2]), match[3]
            if text.startswith(("---", "+++")) or time < begin or not NAME.match(text):
                continue
            if text.endswith("<unfinished ...>"):
                started[pid] = text
                continue
            if text.startswith("<..."):
                text = started.pop(pid, "").replace("<unfinished ...>", "") + text.split("resumed>", 1)[1]
                if not NAME.match(text):
                    continue
            found.append(Event(pid, time, text))
    return found


class Tracer:
    """strace on the processes that are there before a call: those that serve it."""

    def __init__(self, path, traced):
        self.path = path
        # -qq leaves out nothing but the messages; without it strace says when it has attached.
        command = ["/usr/bin/strace", "-f", "-ttt", "-s", "64", "-o", path]
        for pid in traced:
            command += ["-p", str(pid)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE)
        for _ in traced:
            self.process.stderr.readline()

    def settle(self):
        """Wait until nobody has anything more to do."""
        sizes = []

        def quiet():
            sizes.append(os.stat(self.path).st_size)
            return len(sizes) > QUIET_POLLS and sizes[-1] == sizes[-1 - QUIET_POLLS]

        poll(quiet, QUIET_SEC)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.process.stderr.close()


def _one_call(host, folder, number):
    """All system calls of one call, in the order of their time, and the names of the processes."""
    names = {host.broker: "broker", host.agent(): "agent"}
    names.update((pid, "supervisor") for pid in pids(SUPERVISOR))
    servers, client = (os.path.join(folder, "%s-%d" % (who, number)) for who in ("servers", "client"))
    tracer = Tracer(servers, names)
    try:
        tracer.settle()
        # The identity is changed by the tracer's own child, before the program starts.
        command = ["/usr/bin/strace", "-f", "-ttt", "-s", "64", "-o", client, "-u", "work", CLIENT, "vault", "test.Noop"]
        settings = {"env": identity("work")["env"], "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        if subprocess.run(command, stderr=subprocess.DEVNULL, **settings).returncode != 0:
            raise RuntimeError("the traced call failed")
        tracer.settle()
    finally:
        tracer.stop()
    events = _events(client)
    for event in events:
        names[event.pid] = "client"
    events += _events(servers, begin=events[0].time)
    for event in events:
        if event.text.startswith('execve("/etc/qubes-rpc/test.Noop"'):
            names[event.pid] = SERVICE
        names.setdefault(event.pid, HANDLER)
    return sorted(events, key=lambda event: event.time), names


def _count(events, names):
    """System calls by process; one that becomes the service counts for the agent until then."""
    counts = {}
    executed = set()
    for event in events:
        who = names[event.pid]
        if who == SERVICE and event.pid not in executed:
            who = HANDLER
            if event.name == "execve" and event.text.endswith("= 0"):
                executed.add(event.pid)
        counts[who] = counts.get(who, 0) + 1
    return counts


def _stages(events, names):
    """[(stage, microseconds)] of one call; stages that cannot be told apart are left out."""

    def first(who, *words, after=0.0):
        for event in events:
            if event.time >= after and names[event.pid] == who and all(w in event.text for w in words):
                return event.time
        return None

    begin = events[0].time
    asked = first("client", "connect(", "qrexec-agent")
    accepted = first("broker", "accept4(", after=asked or 0)
    ordered = first("broker", "SCM_RIGHTS", "sendmsg(", after=accepted or 0)
    taken = first("agent", "recvmsg(", after=ordered or 0)
    told = first("client", "recvmsg(", "SCM_RIGHTS", after=ordered or 0)
    started = first(SERVICE, "execve(", after=taken or 0)
    ended = max((event.time for event in events if names[event.pid] == SERVICE), default=None)
    done = max(event.time for event in events if names[event.pid] == "client")
    everything = max(event.time for event in events)
    steps = [
        ("client starts, up to its connect", begin, asked),
        ("broker accepts", asked, accepted),
        ("broker reads, decides, orders the agent", accepted, ordered),
        ("agent takes the order", ordered, taken),
        ("agent starts the service, up to its execve", taken, started),
        ("service runs and exits", started, ended),
        ("exit code travels, client exits", ended, done),
        ("after that: the call's end is reported and recorded", done, everything),
        ("(meanwhile the client got its answer, after the accept)", accepted, told),
        ("client's whole life", begin, done),
    ]
    return [(name, (end - start) * 1e6) for name, start, end in steps if start is not None and end is not None]


def trace(host):
    counts = Section("syscalls", "System calls of one call")
    title = "Where the time of one call goes (under strace, which slows each system call: shares alone mean something)"
    stages = Section("stages", title, "share")
    if not os.access("/usr/bin/strace", os.X_OK):
        counts.add("all processes", target=("<=", 140), reason="strace is not installed")
        return [counts]
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(CALLS):
            runs.append(_one_call(host, folder, number))
    counted = [_count(*run) for run in runs]
    total = statistics.median(sum(count.values()) for count in counted)
    counts.add("all processes", total, "", target=("<=", 140))
    for who in sorted({who for count in counted for who in count}):
        counts.add(who, statistics.median(count.get(who, 0) for count in counted))

    staged = [dict(_stages(*run)) for run in runs]
    for name in staged[0]:
        figures = [stage[name] for stage in staged if name in stage]
        shares = [stage[name] / stage["client's whole life"] for stage in staged if name in stage]
        stages.add(name, statistics.median(figures), "us", ratio=statistics.median(shares))
    return [counts, stages]
