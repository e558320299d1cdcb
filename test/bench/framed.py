# SPDX-License-Identifier: Apache-2.0
"""Framed calls over vchan, as upstream has them: an agent and a daemon for each domain, frames on a socket between a client
and a handler, a policy daemon that is asked about each call.

The reference itself is not here to run beside us. What it reached was measured on another day beside the same floor and the
same peer: so its ratios to those are the yardstick, taken from the middle (geometric) of the ranges that were seen.
"""

import contextlib
import fcntl
import os
import pwd
import signal
import statistics
import struct
import subprocess
import termios

from host import AGENT, CLIENT, Contender, Unavailable, identity, pids, poll
from latency import FLOOR, rates
from memory import pss
from streams import PEER_ROUNDS, Stream, bare, measure, peers, reader, writer
from table import Section, rounds_median, rounds_ratio

DAEMON = "/usr/sbin/qrexec-daemon"
# What the agent becomes where there is a VCHAN_DOMAIN, and what its handlers are.
VCHAN_AGENT = AGENT + "-vchan"
POLICY_DAEMON = "/usr/lib/qubes/qrexec-policy-daemon"
POLICY_SOCKET = "/run/qubes/policy.sock"
SOCKETS = "/run/bench/vchan"
LOG = "/run/bench/vchan.log"
START_SEC = 30

# A daemon has 128 ports for peers whose number is above its domain's, and 128 for those below.
IDS = {"mallory": 41, "work": 42, "vault": 43, "crowd": 44}


def _middle(low, high):
    return (low * high) ** 0.5


# The reference's calls per second, to those of the floor.
REFERENCE_RATE = {8: 268 / 2530, 32: 191 / 2350}
# Its streams, a bare pipe's of 64 KiB, and socat's, in MB/s.
REFERENCE_STREAM = {"caller -> service": _middle(235, 276), "service -> caller": _middle(80, 89)}
PIPE_STREAM = _middle(1600, 4100)
SOCAT_STREAM = {"caller -> service": _middle(640, 925), "service -> caller": _middle(640, 925)}
# What we aim at, times the reference.
RATE_AIM = 2
STREAM_AIM = {"caller -> service": 2.5, "service -> caller": 5}

CALLERS = (1, 8, 32)
STREAM_ROUNDS = 9
SIZE = 1 << 29

# As many of each account as its half of the ports allows, and some left for what is measured beside them.
SLOW_CALLS = {"mallory": 100, "crowd": 100}
SLOW_BYTES = 1 << 30  # what each service would say
SLOW_SIP = 1 << 16  # what each reader takes in between
SLOW_ROUNDS = 5
# The client and the handler of one call: in each a chunk each way, and what any of our programs has.
SLOW_KIB_MAX = 400


def _settings(account):
    """As identity(), for a program of a domain of upstream's kind. The umask lets other domains dial."""
    settings = identity(account)
    settings["env"].update(VCHAN_DOMAIN=str(IDS[account]), VCHAN_SOCKET_DIR=SOCKETS)
    return {**settings, "umask": 0}


def _trigger_path(account):
    return "%s/agent.%s" % (SOCKETS, account)


def _call(service, account="work"):
    return [CLIENT, "--agent-socket=" + _trigger_path(account), "vault", service]


class Domains:
    """The domains of IDS, each with an agent and a daemon over vchan; use it in a `with`."""

    def __init__(self, uuids):
        self.uuids = uuids
        self.processes = []
        self.uid = pwd.getpwnam("vault").pw_uid

    def __enter__(self):
        os.makedirs(SOCKETS)
        os.chmod(SOCKETS, 0o1777)
        try:
            self._start([POLICY_DAEMON], POLICY_SOCKET)
            for name, number in IDS.items():
                uuid = self.uuids[name]
                agent = [AGENT, "--no-fork-server", "--agent-socket=" + _trigger_path(name)]
                self._start(agent, "%s/vchan.%d.0.512.sock" % (SOCKETS, number), **_settings(name))
                daemon = [DAEMON, "--direct", "--uuid=" + uuid, "--socket-dir=" + SOCKETS, str(number), name, name]
                environment = {**os.environ, "VCHAN_SOCKET_DIR": SOCKETS}
                self._start(daemon, "%s/qrexec.uuid:%s" % (SOCKETS, uuid), env=environment)
        except BaseException:
            self.__exit__()
            raise
        self.agents = set(pids(VCHAN_AGENT, self.uid))
        return self

    def _start(self, command, path, **options):
        with open(LOG, "ab") as log:
            process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        self.processes.append(process)
        if not poll(lambda: process.poll() is not None or os.path.exists(path), START_SEC) or process.poll() is not None:
            raise Unavailable("%s did not start" % command[0])

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            process.wait()

    @staticmethod
    def log():
        with open(LOG, errors="replace") as log:
            return log.read()[-4000:]

    def handlers(self):
        """The processes that carry calls into vault."""
        return set(pids(VCHAN_AGENT, self.uid)) - self.agents

    @contextlib.contextmanager
    def slow(self):
        """Calls whose services say much, and whose readers take little; gives the clients and the readers' ends."""
        clients, ends = [], []
        try:
            for account, count in SLOW_CALLS.items():
                for _ in range(count):
                    ours, theirs = os.pipe()
                    ends.append(ours)
                    command = _call("test.Source+%d" % SLOW_BYTES, account)
                    clients.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs,
                                                    start_new_session=True, **_settings(account)))
                    os.close(theirs)
            if not poll(lambda: all(map(_is_full, ends)), START_SEC):
                raise RuntimeError("%d of %d slow calls never began\n%s" % (sum(not _is_full(end) for end in ends), len(ends), self.log()))
            yield clients, ends
        finally:
            for end in ends:
                os.close(end)
            for client in clients:
                client.terminate()
                client.wait()
            poll(lambda: not self.handlers(), START_SEC)


def _is_full(end):
    """Pages of a pipe may be full in part, so a full pipe has less than its size in it."""
    return struct.unpack("i", fcntl.ioctl(end, termios.FIONREAD, b"\0" * 4))[0] >= SLOW_SIP // 2


def framed(host):
    with Domains(host.uuids) as domains:
        yield from _rates(host, domains)
        yield _streams(host)
        yield _slow(host, domains)


def _rates(host, domains):
    contenders = host.contenders()[FLOOR : FLOOR + 1]
    ours = Contender("framed: qrexec-client-vm -> no-op", _call("test.Noop"), settings=_settings("work"))
    ours.check()
    if ours.reason:
        raise RuntimeError("%s: %s\n%s" % (ours.name, ours.reason, domains.log()))
    contenders.append(ours)
    for callers in CALLERS:
        title = "Framed calls per second over vchan, %d caller%s at once" % (callers, "" if callers == 1 else "s")
        section = Section("framed-rate-%d" % callers, title, "x floor")
        rounds, lost, made = rates(host, contenders, callers, starters=1)
        for contender in contenders:
            section.add(contender.name, rounds_median(rounds, contender.name), "/s",
                        ratio=rounds_ratio(rounds, contender.name, contenders[0].name))
        if callers in REFERENCE_RATE:
            ratio = rounds_ratio(rounds, ours.name, contenders[0].name) / REFERENCE_RATE[callers]
            section.add("framed, x reference", rounds_median(rounds, ours.name), "/s", ratio=ratio, target=(">=", RATE_AIM))
        section.add("framed: calls lost", lost[ours.name], "of %d" % made[ours.name], target=("<=", 0))
        yield section


def _framed_streams(size):
    settings = _settings("work")
    return [
        Stream("caller -> service", [writer(size), _call("test.Sink+%d" % size)], size, settings=settings),
        Stream("service -> caller", [_call("test.Source+%d" % size), reader(size)], size, settings=settings),
    ]


def _streams(host):
    section = Section("framed-streams", "Framed streams over vchan", "x bare")
    pipes, ours = bare(SIZE), _framed_streams(SIZE)
    socat = [stream for stream in peers(host) if stream.name.startswith("socat")]
    rounds = measure(section, pipes + ours + socat, ours, STREAM_ROUNDS, target=None)
    for stream in ours:
        target = (">=", STREAM_AIM[stream.name])
        value = rounds_median(rounds, stream.name)
        ratio = rounds_ratio(rounds, stream.name, pipes[0].name) / (REFERENCE_STREAM[stream.name] / PIPE_STREAM)
        section.add(stream.name + ", x reference, by the pipe", value, "MB/s", ratio=ratio, target=target)
        name = "socat, " + stream.name
        ratio_to_socat = REFERENCE_STREAM[stream.name] / SOCAT_STREAM[stream.name]
        if name not in rounds[0]:
            section.add(stream.name + ", x reference, by socat", reason="socat is not available")
            continue
        ratio = rounds_ratio(rounds[:PEER_ROUNDS], stream.name, name) / ratio_to_socat
        section.add(stream.name + ", x reference, by socat", value, "MB/s", ratio=ratio, target=target)
    return section


def _sip(ends):
    """Each reader takes a little, and more comes: nobody holds more than before."""
    for end in ends:
        left = SLOW_SIP
        while left > 0:
            left -= len(os.read(end, left))
    if not poll(lambda: all(map(_is_full, ends)), START_SEC):
        raise RuntimeError("a slow call has stopped")


def _slow(host, domains):
    """What 200 calls hold that nobody reads, and what another call has of them."""
    count = sum(SLOW_CALLS.values())
    section = Section("framed-slow", "%d framed calls open, each with a slow reader" % count, "x idle")
    contender = Contender("call", _call("test.Noop"), settings=_settings("work"))
    streams = _framed_streams(SIZE // 4)

    def figures():
        found = {"call": statistics.median(host.run_calls(contender, 20)["times"]) / 1000}
        found.update((stream.name, stream.run()) for stream in streams)
        return found

    def median(rounds, name):
        return statistics.median(one[name] for one in rounds)

    figures()
    idle = [figures() for _ in range(SLOW_ROUNDS)]
    with domains.slow() as (clients, ends):
        def held():
            return pss([client.pid for client in clients] + list(domains.handlers())) / count

        before = held()
        busy = []
        for _ in range(SLOW_ROUNDS):
            busy.append(figures())
            _sip(ends)
        after = held()
        n_handlers = len(domains.handlers())
    section.add("calls open", n_handlers, "of %d" % count, target=(">=", count))
    section.add("client and handler, per call", before, "KiB", target=("<=", SLOW_KIB_MAX))
    section.add("the same, after each reader took %d KiB" % (SLOW_ROUNDS * SLOW_SIP >> 10), after, "KiB",
                ratio=after / before, target=("<=", 1.1))
    value = median(busy, "call")
    section.add("another call", value, "ms", ratio=value / median(idle, "call"), target=("<=", 1.25))
    for stream in streams:
        value = median(busy, stream.name)
        section.add("another stream, " + stream.name, value, "MB/s", ratio=value / median(idle, stream.name), target=(">=", 0.9))
    return section
