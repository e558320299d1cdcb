# SPDX-License-Identifier: Apache-2.0
"""The real qrexec-agent against a broker and callers played here, over the protocol of a local link.

Needs QAIR_BUILD, the build directory. As root the agent is started under an unprivileged uid; otherwise as ourselves.
"""

import array
import contextlib
import os
import pathlib
import signal
import socket
import struct
import subprocess

from vchan import EXEC_CMDLINE, EXIT_CODE, HELLO, LIMIT, STDERR, STDOUT, Peer, Services, message
from waiting import wait_for

AGENT = os.path.join(os.environ.get("QAIR_BUILD", "build"), "src/agent/qrexec-agent")
UID = 64123 if os.geteuid() == 0 else os.geteuid()
ACCOUNT = "agent-test"
AT_ONCE = 2.5  # seconds for an end that nothing is waited for, or no longer than a second

CALL_ENDED, CALL_KILL, CALL_LIST, CALL_DRAIN = 0x400, 0x401, 0x402, 0x403
FRAMED, DIRECT = 0x7FFF0001, 0x7FFF0003
EXITED, SIGNALLED, NOT_FOUND, NOT_STARTED, DETACHED, KILLED, ABANDONED = range(7)


def as_unprivileged(*arguments):
    command = [AGENT, *arguments]
    if os.geteuid() == 0:
        command = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", *command]
    return command


class Caller(Peer):
    """The caller's end of one framed data connection."""

    def __init__(self, stream):
        super().__init__(stream)
        # One that is refused at once may have closed before we say anything; what it said is still to be read.
        with contextlib.suppress(BrokenPipeError):
            self.send(HELLO, struct.pack("<I", 4))

    def messages(self):
        """All that comes after HELLO."""
        self.expect(HELLO, struct.pack("<I", 4))
        return super().messages()

    def outcome(self):
        """Everything to the end, as (stdout, stderr, exit code); the exit code is None if none came."""
        return super().outcome()[:3]

    def read_stdout_until(self, marker):
        out = b""
        while marker not in out:
            kind, payload = self.next()
            if kind == STDOUT:
                assert payload, out
                out += payload
        return out


class World(Services):
    """An agent, its broker and its callers."""

    def __init__(self, options=(), limit=None):
        super().__init__()
        self.home = self.path / "home"
        self.home.mkdir()
        if os.geteuid() == 0:
            os.chown(self.home, UID, UID)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.settimeout(LIMIT)
        self.listen()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.settimeout(LIMIT)
        self.notify.bind(str(self.path / "notify"))
        (self.path / "notify").chmod(0o777)
        self.options = list(options)
        self.limit = limit
        self.next_id = 100
        self.link = None
        self.agent = None

    def listen(self):
        path = self.path / "link"
        if path.exists():
            path.unlink()
        self.listener.bind(str(path))
        self.listener.listen(5)
        path.chmod(0o777)

    def relisten(self):
        self.listener.close()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.settimeout(LIMIT)
        self.listen()

    def command(self):
        command = as_unprivileged(f"--link={self.path}/link", *self.options)
        if self.limit:
            command = ["prlimit", f"--nofile={self.limit}:{self.limit}", *command]
        return command

    def start(self):
        self.spawn()
        return self.accept()

    def spawn(self):
        environment = {
            "PATH": "/usr/bin:/bin",
            "USER": ACCOUNT,
            "HOME": str(self.home),
            "QREXEC_SERVICE_PATH": f"{self.path}/one:{self.path}/two",
            "QUBES_RPC_CONFIG_PATH": f"{self.path}/config",
            "NOTIFY_SOCKET": str(self.path / "notify"),
            "QREXEC_STRAY": "x",
            "PLAIN": "y",
        }
        with open(self.log_path, "wb") as log:
            self.agent = subprocess.Popen(
                self.command(), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=True
            )

    def accept(self):
        """Take the agent's connection and do what a broker does first. Return: the ids of its CALL_LIST."""
        self.link, _ = self.listener.accept()
        self.link.settimeout(LIMIT)
        assert self.link.recv(65600) == message(HELLO, struct.pack("<I", 4))
        self.link.send(message(HELLO, struct.pack("<I", 4)))
        kind, length, *ids = [n for n, in struct.iter_unpack("<I", self.link.recv(65600))]
        assert (kind, length) == (CALL_LIST, 4 * len(ids))
        return sorted(ids)

    def socket_service(self, path):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.settimeout(LIMIT)
        # Bound where the path is short: what it is called later may be longer than sun_path.
        listener.bind(str(self.path / "new"))
        os.rename(self.path / "new", path)
        listener.listen(5)
        os.chmod(path, 0o777)
        return listener

    # --- what a broker does

    def order(self, text, call_id=None, kind=EXEC_CMDLINE, mode=FRAMED, n_fds=1):
        """Order a call. Return: its id, and our end of its stream."""
        if call_id is None:
            self.next_id += 1
            call_id = self.next_id
        ours, theirs = socket.socketpair()
        fds = [theirs.fileno()] + [0] * (n_fds - 1) if n_fds else []
        packet = message(kind, struct.pack("<II", mode, call_id) + text.encode() + b"\0")
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.link.sendmsg([packet], control)
        theirs.close()
        return call_id, ours

    def call(self, service, source="work", **options):
        call_id, stream = self.order(f"{ACCOUNT}:QUBESRPC {service} {source}", **options)
        return call_id, Caller(stream)

    def kill(self, call_id):
        self.link.send(message(CALL_KILL, struct.pack("<I", call_id)))

    def ended(self):
        """The next CALL_ENDED as (id, how, status)."""
        kind, length, call_id, how, status, usec = struct.unpack("<IIIIiQ", self.link.recv(100))
        assert (kind, length) == (CALL_ENDED, 20)
        assert usec < LIMIT * 1000000
        return call_id, how, status

    def assert_silent(self):
        """Nothing more comes from the agent: it answers a HELLO that is not due by closing, after all it had to say."""
        self.link.send(message(HELLO, struct.pack("<I", 4)))
        assert self.link.recv(100) == b""
        self.accept()

    # --- what can be seen from outside

    def wait_log(self, text):
        wait_for(lambda: text in self.log(), lambda: f"{text!r} in the log:\n{self.log()}")

    def descendants(self):
        """Processes that carry this world's mark: all handlers and services, wherever they were adopted."""
        mark = f"QREXEC_SERVICE_PATH={self.path}/".encode()
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != self.agent.pid:
                with contextlib.suppress(OSError):
                    if mark in pathlib.Path("/proc", entry, "environ").read_bytes():
                        found.append(int(entry))
        return found

    def agent_fds(self):
        return sorted(int(fd) for fd in os.listdir(f"/proc/{self.agent.pid}/fd"))

    def stop_now(self):
        """Told once it waits for its calls, told twice it does not."""
        self.agent.send_signal(signal.SIGTERM)
        assert self.link.recv(100) == message(CALL_DRAIN)
        self.agent.send_signal(signal.SIGTERM)
        assert self.agent.wait(LIMIT) == 0

    def stop(self):
        while self.agent and self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert self.agent.wait(0.2) == 0
        if self.link:
            self.link.close()
        self.listener.close()
        self.notify.close()
        if self.agent:
            wait_for(lambda: not self.descendants(), f"the end of {self.descendants()}")
        self.remove()


class DirectCaller:
    """The caller's ends of one direct call."""

    def __init__(self, status, stdin, stdout):
        self.status = Caller.__new__(Caller)
        self.status.stream = status
        status.settimeout(LIMIT)
        self.stdin = os.fdopen(stdin, "wb", buffering=0)
        self.stdout = os.fdopen(stdout, "rb")

    def outcome(self, data=b""):
        """Everything to the end, as (stdout, stderr, exit code); the exit code is None if none came."""
        with contextlib.suppress(BrokenPipeError):
            self.stdin.write(data)
        self.stdin.close()
        out = self.stdout.read()
        self.stdout.close()
        err, code, hello = b"", None, False
        for kind, payload in iter(self.status.next, None):
            assert code is None, "something came after the exit code"
            assert hello == (kind != HELLO), "HELLO comes first, and once"
            if kind == HELLO:
                hello = payload == struct.pack("<I", 4)
            elif kind == STDERR:
                assert 0 < len(payload) <= 4096
                err += payload
            else:
                assert kind == EXIT_CODE
                code = struct.unpack("<i", payload)[0]
        self.status.close()
        return out, err, code


def direct_call(world, service, kind=EXEC_CMDLINE, text=None):
    world.next_id += 1
    ours, theirs = socket.socketpair()
    stdin, stdout = os.pipe(), os.pipe()
    text = text or f"{ACCOUNT}:QUBESRPC {service} work"
    packet = message(kind, struct.pack("<II", DIRECT, world.next_id) + text.encode() + b"\0")
    socket.send_fds(world.link, [packet], [theirs.fileno(), stdin[0], stdout[1]])
    theirs.close()
    os.close(stdin[0])
    os.close(stdout[1])
    return world.next_id, DirectCaller(ours, stdin[1], stdout[0])


def finish(caller, data):
    """Give a caller's service the rest of its input. Return: its exit code."""
    if isinstance(caller, DirectCaller):
        return caller.outcome(data)[2]
    caller.end_stdin(data)
    return caller.outcome()[2]
