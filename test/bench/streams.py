# SPDX-License-Identifier: Apache-2.0
"""Streams: how fast much data gets from one program into another."""

import contextlib
import fcntl
import glob
import os
import signal
import statistics
import subprocess
import time

from host import CLIENT, SSH, STREAM, SUDO, identity, socat_call, socat_serve
from table import Section

GIB = 1 << 30
SIZE = GIB  # a call, and a bare pipeline, take a hundredth of that to start
LOADED_SIZE = GIB // 2
PEER_SIZE = GIB // 2  # for those that take long; a rate is a rate
# Where the scheduler puts writer and reader, and what else runs, moves a single run by a fifth, so many short ones say more
# than a few long ones: the median of five is off by 0.05 as often as not, which is what the target leaves.
ROUNDS = 21
PEER_ROUNDS = 3
LOADED_ROUNDS = 25
LOADED_CALLS = 1500
SHAKEN_CALLS = 500
PIPE_DEFAULT = 1 << 16
PIPE_LARGE = 1 << 20
F_SETPIPE_SZ = 1031  # fcntl(2); this Python may not know it


class Stream:
    """A pipeline of one or two COMMANDS that moves SIZE bytes, with SETTINGS of Popen() (those of work).

    The pipe between two commands has PIPE_SIZE. The pipe that the reader of the data found at its end is in
    `reader_pipe` after each run (0: a socket, or nothing was said). It takes part in the first ROUNDS rounds, or in all.

    APART: the second command has a session of its own, as the service of another account has. Where processors are short the
    kernel shares them out by session first (sched_autogroup_enabled, sched(7)), so two programs in one session and in two are
    unlike things.
    """

    def __init__(self, name, commands, size=SIZE, pipe_size=PIPE_DEFAULT, reason=None, rounds=None, apart=False, settings=None):
        self.name, self.commands, self.size, self.pipe_size = name, commands, size, pipe_size
        self.reason, self.rounds, self.apart = reason, rounds, apart
        self.settings = settings or identity("work")
        self.reader_pipe = 0

    def run(self):
        """MB/s of one run; raises RuntimeError if a byte is missing or a status is not 0."""
        begin = time.perf_counter()
        processes = self._start()
        said = [process.stderr.read().decode(errors="replace") for process in processes]
        statuses = [process.wait() for process in processes]
        seconds = time.perf_counter() - begin
        for process in processes:
            process.stderr.close()
        if any(statuses):
            raise RuntimeError("%s: statuses %r: %s" % (self.name, statuses, "".join(said)))
        for line in "".join(said).splitlines():
            if line.startswith("pipe "):
                self.reader_pipe = int(line.split()[1])
        return self.size / seconds / 1e6

    def _start(self):
        settings = {"stderr": subprocess.PIPE, **self.settings}
        if len(self.commands) == 1:
            null = subprocess.DEVNULL
            return [subprocess.Popen(self.commands[0], stdin=null, stdout=null, **settings)]
        readable, writable = os.pipe()
        try:
            fcntl.fcntl(readable, F_SETPIPE_SZ, self.pipe_size)
            reader = subprocess.Popen(
                self.commands[1], stdin=readable, stdout=subprocess.DEVNULL, start_new_session=self.apart, **settings
            )
            writer = subprocess.Popen(self.commands[0], stdin=subprocess.DEVNULL, stdout=writable, **settings)
        finally:
            os.close(readable)
            os.close(writable)
        return [writer, reader]


def writer(size=SIZE):
    return [STREAM, "write", str(size)]


def reader(size=SIZE):
    return [STREAM, "read", str(size)]


def bare(size=SIZE):
    return [
        Stream("bare pipe, 64 KiB", [writer(size), reader(size)], size, apart=True),
        Stream("bare pipe, 1 MiB", [writer(size), reader(size)], size, pipe_size=PIPE_LARGE, apart=True),
    ]


def _local(size=SIZE):
    call = [CLIENT, "vault"]
    return [
        Stream("local_program -> service", [[*call, "test.Sink+%d" % size, *writer(size)]], size),
        Stream("service -> local_program", [[*call, "test.Source+%d" % size, *reader(size)]], size),
    ]


def _pumped(size=SIZE):
    call = [CLIENT, "vault"]
    return [
        Stream("pumped, caller -> service", [writer(size), [*call, "test.Sink+%d" % size]], size),
        Stream("pumped, service -> caller", [[*call, "test.Source+%d" % size], reader(size)], size),
    ]


def peers(host):
    size = PEER_SIZE
    write, read = writer(size), reader(size)
    if not host.peers["socat"]:
        socat_serve(host, "sink", " ".join(read))
        socat_serve(host, "source", " ".join(write))
    reasons = host.peers
    found = [
        Stream("sudo, caller -> service", [write, [*SUDO, *read]], size, reason=reasons["sudo"]),
        Stream("sudo, service -> caller", [[*SUDO, *write], read], size, reason=reasons["sudo"]),
        Stream("socat, caller -> service", [write, socat_call("sink")], size, reason=reasons["socat"]),
        Stream("socat, service -> caller", [socat_call("source"), read], size, reason=reasons["socat"]),
        Stream("ssh, caller -> service", [write, [*SSH, *read]], size, reason=reasons["ssh"]),
        Stream("ssh, service -> caller", [[*SSH, *write], read], size, reason=reasons["ssh"]),
    ]
    for stream in found:
        stream.rounds = PEER_ROUNDS
    return found


def measure(section, streams, ours, rounds, target=(">=", 0.95)):
    """Interleave all STREAMS for ROUNDS; those in OURS have the TARGET. Gives the MB/s of each round, by name."""
    figures, ratios = [], {stream.name: [] for stream in streams}
    for number in range(rounds):
        figures.append({})
        for stream in streams:
            if stream.reason or number >= (stream.rounds or rounds):
                continue
            try:
                figures[-1][stream.name] = stream.run()
            except RuntimeError as error:
                if stream in ours:
                    raise
                stream.reason = "not available: %s" % error
                continue
            # Of the same size: what the reader found. A socket is compared with an ordinary pipe, and so is a pipe that
            # was made smaller than one.
            pipe = streams[1] if stream.reader_pipe >= PIPE_LARGE else streams[0]
            ratios[stream.name].append(figures[-1][stream.name] / figures[-1][pipe.name])
    for stream in streams:
        if stream.reason:
            section.add(stream.name, reason=stream.reason)
            continue
        note = ""
        if stream in ours:
            low, _, high = statistics.quantiles(ratios[stream.name], n=4)
            note = "half of the rounds: %.2f to %.2f; the reader's end: %s" % (low, high, stream.reader_pipe or "a socket")
        section.add(
            stream.name,
            statistics.median(figure[stream.name] for figure in figures if stream.name in figure),
            "MB/s",
            ratio=statistics.median(ratios[stream.name]),
            target=target if stream in ours else None,
            note=note,
        )
    return figures


PIPE_PAGES = "/proc/sys/fs/pipe-user-pages-soft"


def _read_number(path):
    with open(path) as file:
        return int(file.read())


def _shipped_pipe_pages():
    """What the sysctl file that we install says, or 0."""
    for name in glob.glob("/usr/lib/sysctl.d/*qair*"):
        with open(name) as file:
            for line in file:
                key, _, value = line.partition("=")
                if key.strip().lstrip("-") in ("fs.pipe-user-pages-soft", "fs/pipe-user-pages-soft"):
                    return int(value)
    return 0


@contextlib.contextmanager
def _pipe_pages(pages):
    """The kernel's limit for the `with`, as a machine has it on which we are installed. It is the whole machine's: there is
    none for a namespace. So it is never lowered, and put back whatever ends the `with`."""
    before = _read_number(PIPE_PAGES)
    handlers = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        if 0 < before < pages:
            with open(PIPE_PAGES, "w") as file:
                file.write("%d\n" % pages)
        yield
    finally:
        with open(PIPE_PAGES, "w") as file:
            file.write("%d\n" % before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(number, frame):
    raise SystemExit(128 + number)


def _measure_loaded(host, name, title, target):
    """Streams while LOADED_CALLS are open, under the limit that is in force."""
    section = Section(name, title, "x bare")
    ours = _local(LOADED_SIZE) + _pumped(LOADED_SIZE)
    with host.held(LOADED_CALLS) as (held, _, complaint):
        measure(section, bare(LOADED_SIZE) + ours, ours, LOADED_ROUNDS, target)
        section.add("fs.pipe-user-pages-soft", _read_number(PIPE_PAGES), "pages")
        if held < LOADED_CALLS:
            section.add("calls open: %d" % held, reason="no more: " + complaint)
    return section


def _measure_hostile(host):
    section = Section(
        "streams-hostile",
        "Streams, %d calls open, %d of a domain that grows and shrinks its pipes; with our sysctl"
        % (LOADED_CALLS + SHAKEN_CALLS, SHAKEN_CALLS),
        "x bare",
    )
    ours = _local(LOADED_SIZE) + _pumped(LOADED_SIZE)
    with host.held(LOADED_CALLS), host.held(SHAKEN_CALLS, "mallory", shake=True) as (_, pipes, _):
        measure(section, bare(LOADED_SIZE) + ours, ours, LOADED_ROUNDS)
    if pipes == 0:
        section.add("pipes to resize", reason="none: the calls are framed, their ends are sockets")
    else:
        section.add("pipes to resize", pipes)
    return section


def streams(host):
    section = Section("streams", "Streams", "x bare")
    ours = _local() + _pumped()
    measure(section, bare() + ours + peers(host), ours, ROUNDS)
    return [section]


def streams_open(host):
    title = "Streams, while %d calls are open; " % LOADED_CALLS
    sections = [_measure_loaded(host, "streams-open-bare", title + "without our sysctl: the kernel's own limit", None)]
    with _pipe_pages(_shipped_pipe_pages()):
        sections.append(_measure_loaded(host, "streams-open", title + "with our sysctl", (">=", 0.95)))
    return sections


def streams_hostile(host):
    with _pipe_pages(_shipped_pipe_pages()):
        return [_measure_hostile(host)]
