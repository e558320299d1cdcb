# SPDX-License-Identifier: Apache-2.0
"""Streams: how fast much data gets from one program into another."""

import fcntl
import glob
import os
import statistics
import subprocess
import time

from host import CLIENT, SSH, STREAM, SUDO, identity, socat_call, socat_serve
from table import Section

GIB = 1 << 30
SIZE = 2 * GIB
PEER_SIZE = GIB // 2  # for those that take long; a rate is a rate
ROUNDS = 3
LOADED_CALLS = 1500
SHAKEN_CALLS = 500
PIPE_DEFAULT = 1 << 16
PIPE_LARGE = 1 << 20
F_SETPIPE_SZ = 1031  # fcntl(2); this Python may not know it


class Stream:
    """A pipeline of one or two COMMANDS that moves SIZE bytes.

    The pipe between two commands has PIPE_SIZE. The pipe that the reader of the data found at its end is in
    `reader_pipe` afterwards (0: a socket, or nothing was said).
    """

    def __init__(self, name, commands, size=SIZE, pipe_size=PIPE_DEFAULT, reason=None):
        self.name, self.commands, self.size, self.pipe_size = name, commands, size, pipe_size
        self.reason = reason
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
        settings = {"stderr": subprocess.PIPE, **identity("work")}
        if len(self.commands) == 1:
            null = subprocess.DEVNULL
            return [subprocess.Popen(self.commands[0], stdin=null, stdout=null, **settings)]
        readable, writable = os.pipe()
        try:
            fcntl.fcntl(readable, F_SETPIPE_SZ, self.pipe_size)
            reader = subprocess.Popen(self.commands[1], stdin=readable, stdout=subprocess.DEVNULL, **settings)
            writer = subprocess.Popen(self.commands[0], stdin=subprocess.DEVNULL, stdout=writable, **settings)
        finally:
            os.close(readable)
            os.close(writable)
        return [writer, reader]


def _write(size=SIZE):
    return [STREAM, "write", str(size)]


def _read(size=SIZE):
    return [STREAM, "read", str(size)]


def _bare():
    return [
        Stream("bare pipe, 64 KiB", [_write(), _read()]),
        Stream("bare pipe, 1 MiB", [_write(), _read()], pipe_size=PIPE_LARGE),
    ]


def _local(size=SIZE):
    call = [CLIENT, "vault"]
    return [
        Stream("local_program -> service", [[*call, "test.Sink+%d" % size, *_write(size)]], size),
        Stream("service -> local_program", [[*call, "test.Source+%d" % size, *_read(size)]], size),
    ]


def _pumped(size=SIZE):
    call = [CLIENT, "vault"]
    return [
        Stream("pumped, caller -> service", [_write(size), [*call, "test.Sink+%d" % size]], size),
        Stream("pumped, service -> caller", [[*call, "test.Source+%d" % size], _read(size)], size),
    ]


def _peers(host):
    size = PEER_SIZE
    write, read = _write(size), _read(size)
    if not host.peers["socat"]:
        socat_serve(host, "sink", " ".join(read))
        socat_serve(host, "source", " ".join(write))
    reasons = host.peers
    return [
        Stream("sudo, caller -> service", [_write(), [*SUDO, *_read()]], SIZE, reason=reasons["sudo"]),
        Stream("sudo, service -> caller", [[*SUDO, *_write()], _read()], SIZE, reason=reasons["sudo"]),
        Stream("socat, caller -> service", [write, socat_call("sink")], size, reason=reasons["socat"]),
        Stream("socat, service -> caller", [socat_call("source"), read], size, reason=reasons["socat"]),
        Stream("ssh, caller -> service", [write, [*SSH, *read]], size, reason=reasons["ssh"]),
        Stream("ssh, service -> caller", [[*SSH, *write], read], size, reason=reasons["ssh"]),
    ]


def _measure(section, streams, ours, rounds):
    """Interleave all STREAMS for ROUNDS; those in OURS have the target."""
    figures = []
    for _ in range(rounds):
        figures.append({})
        for stream in streams:
            if stream.reason:
                continue
            try:
                figures[-1][stream.name] = stream.run()
            except RuntimeError as error:
                if stream in ours:
                    raise
                stream.reason = "not available: %s" % error
    for stream in streams:
        if stream.reason:
            section.add(stream.name, reason=stream.reason)
            continue
        # Of the same size: what the reader found. A socket is compared with an ordinary pipe, and so is a pipe that
        # was made smaller than one.
        bare = streams[1] if stream.reader_pipe >= PIPE_LARGE else streams[0]
        section.add(
            stream.name,
            statistics.median(figure[stream.name] for figure in figures),
            "MB/s",
            ratio=statistics.median(figure[stream.name] / figure[bare.name] for figure in figures),
            target=(">=", 0.95) if stream in ours else None,
            note="the reader's end: %s" % (stream.reader_pipe or "a socket") if stream in ours else "",
        )


def _note_pipe_pages(section):
    """Whether this machine has the sysctl that we ship. It is the whole machine's, so it is not for us to set here."""
    path = "/proc/sys/fs/pipe-user-pages-soft"
    shipped = 0
    for name in glob.glob("/usr/lib/sysctl.d/*qair*"):
        with open(name) as file:
            for line in file:
                key, _, value = line.partition("=")
                if key.strip().lstrip("-") in ("fs.pipe-user-pages-soft", "fs/pipe-user-pages-soft"):
                    shipped = int(value)
    with open(path) as file:
        here = int(file.read())
    note = ""
    if 0 < here < shipped:
        note = "we ship %d: with many calls open, pipes shrink here as they would not there" % shipped
    section.add("fs.pipe-user-pages-soft", here, "pages", note=note)


def streams(host):
    quiet = Section("streams", "Streams, 2 GiB (socat, ssh: 0.5 GiB)", "x bare")
    ours = _local() + _pumped()
    _measure(quiet, _bare() + ours + _peers(host), ours, ROUNDS)

    full = Section("streams-open", "Streams, 1 GiB, while %d calls are open" % LOADED_CALLS, "x bare")
    ours = _local(GIB) + _pumped(GIB)
    with host.held(LOADED_CALLS) as (held, _, complaint):
        _measure(full, _bare() + ours, ours, 2)
        _note_pipe_pages(full)
        if held < LOADED_CALLS:
            full.add("calls open: %d" % held, reason="no more: " + complaint)
        shaken = Section(
            "streams-hostile",
            "Streams, 1 GiB, %d calls open, %d of a domain that resizes its pipes" % (held + SHAKEN_CALLS, SHAKEN_CALLS),
            "x bare",
        )
        with host.held(SHAKEN_CALLS, "mallory", shake=True) as (_, pipes, _):
            ours = _local(GIB) + _pumped(GIB)
            _measure(shaken, _bare() + ours, ours, 2)
        if pipes == 0:
            shaken.add("pipes to resize", reason="none: the calls are framed, their ends are sockets")
        else:
            shaken.add("pipes to resize", pipes)
    return [quiet, full, shaken]
