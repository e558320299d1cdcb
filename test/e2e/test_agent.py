# SPDX-License-Identifier: Apache-2.0
"""The real qrexec-agent against a broker and callers played here, over the protocol of a local link.

Needs QAIR_BUILD, the build directory. As root the agent is started under an unprivileged uid; otherwise as ourselves.
"""

import array
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import pytest
from waiting import wait_for

AGENT = os.path.join(os.environ.get("QAIR_BUILD", "build"), "src/agent/qrexec-agent")
UID = 64123 if os.geteuid() == 0 else os.geteuid()
ACCOUNT = "agent-test"
LIMIT = 20  # seconds for anything that ought to happen at once
AT_ONCE = 2.5  # seconds for an end that nothing is waited for, or no longer than a second

STDIN, STDOUT, STDERR, EXIT_CODE = 0x190, 0x191, 0x192, 0x193
EXEC_CMDLINE, JUST_EXEC, HELLO = 0x200, 0x201, 0x300
CALL_ENDED, CALL_KILL, CALL_LIST, CALL_DRAIN = 0x400, 0x401, 0x402, 0x403
FRAMED, DIRECT = 0x7FFF0001, 0x7FFF0003
EXITED, SIGNALLED, NOT_FOUND, NOT_STARTED, DETACHED, KILLED, ABANDONED = range(7)


def message(kind, payload=b""):
    return struct.pack("<II", kind, len(payload)) + payload


def as_unprivileged(*arguments):
    command = [AGENT, *arguments]
    if os.geteuid() == 0:
        command = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", *command]
    return command


class Caller:
    """The caller's end of one framed data connection."""

    def __init__(self, stream):
        self.stream = stream
        self.stream.settimeout(LIMIT)
        # One that is refused at once may have closed before we say anything; what it said is still to be read.
        with contextlib.suppress(BrokenPipeError):
            self.send(HELLO, struct.pack("<I", 4))

    def send(self, kind, payload=b""):
        self.stream.sendall(message(kind, payload))

    def _read(self, n):
        data = b""
        while len(data) < n:
            try:
                piece = self.stream.recv(n - len(data))
            except ConnectionResetError:
                piece = b""
            if not piece:
                return None
            data += piece
        return data

    def next(self):
        """The next message as (type, payload), None at the end of the stream."""
        header = self._read(8)
        if header is None:
            return None
        kind, length = struct.unpack("<II", header)
        return kind, self._read(length)

    def messages(self):
        """All that comes after HELLO."""
        assert self.next() == (HELLO, struct.pack("<I", 4))
        return list(iter(self.next, None))

    def outcome(self):
        """Everything to the end, as (stdout, stderr, exit code); the exit code is None if none came."""
        out, err, code = b"", b"", None
        for kind, payload in self.messages():
            if kind == STDOUT:
                out += payload
            elif kind == STDERR:
                err += payload
            elif kind == EXIT_CODE:
                code = struct.unpack("<i", payload)[0]
        return out, err, code

    def give(self, data):
        if data:
            self.send(STDIN, data)
        self.send(STDIN)

    def read_stdout_until(self, marker):
        out = b""
        while marker not in out:
            kind, payload = self.next()
            if kind == STDOUT:
                assert payload, out
                out += payload
        return out

    def close(self):
        self.stream.close()


class World:
    def __init__(self, options=(), limit=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="test-agent."))
        self.folder.chmod(0o755)
        for name in "one", "two", "config":
            (self.folder / name).mkdir()
            (self.folder / name).chmod(0o755)
        self.home = self.folder / "home"
        self.home.mkdir()
        if os.geteuid() == 0:
            os.chown(self.home, UID, UID)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.settimeout(LIMIT)
        self.listen()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.settimeout(LIMIT)
        self.notify.bind(str(self.folder / "notify"))
        (self.folder / "notify").chmod(0o777)
        self.log_path = self.folder / "log"
        self.options = list(options)
        self.limit = limit
        self.next_id = 100
        self.link = None
        self.agent = None

    def listen(self):
        path = self.folder / "link"
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
        command = as_unprivileged(f"--link={self.folder}/link", *self.options)
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
            "QREXEC_SERVICE_PATH": f"{self.folder}/one:{self.folder}/two",
            "QUBES_RPC_CONFIG_PATH": f"{self.folder}/config",
            "NOTIFY_SOCKET": str(self.folder / "notify"),
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

    # --- what an administrator does

    def service(self, name, script, folder="one", mode=0o755):
        path = self.folder / folder / name
        path.write_text(script)
        path.chmod(mode)
        return path

    def config(self, name, text):
        (self.folder / "config" / name).write_text(text)

    def socket_service(self, path):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.settimeout(LIMIT)
        # Bound where the path is short: what it is called later may be longer than sun_path.
        listener.bind(str(self.folder / "new"))
        os.rename(self.folder / "new", path)
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

    def log(self):
        return self.log_path.read_text()

    def wait_log(self, text):
        wait_for(lambda: text in self.log(), lambda: f"{text!r} in the log:\n{self.log()}")

    def descendants(self):
        """Processes that carry this world's mark: all handlers and services, wherever they were adopted."""
        mark = f"QREXEC_SERVICE_PATH={self.folder}/".encode()
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
        shutil.rmtree(self.folder)


@pytest.fixture
def world():
    world = World()
    yield world
    world.stop()


@pytest.fixture
def agent(world):
    assert world.start() == []
    return world


# --- starting


def test_usage():
    for option, expect in ("-h", b"Usage:"), ("--help", b"Usage:"), ("--nonsense", b"Usage:"), ("extra", b"Usage:"):
        result = subprocess.run([AGENT, option], capture_output=True, timeout=LIMIT)
        assert result.returncode == 2
        assert expect in result.stderr and result.stdout == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_bad_domain_name():
    result = subprocess.run(as_unprivileged("--domain=../x"), capture_output=True, timeout=LIMIT)
    assert result.returncode == 1
    assert b"the name of the domain" in result.stderr


@pytest.mark.parametrize(
    "arguments, environment, path",
    [
        (["--domain=work"], {}, "/run/qubes/domains/work/link"),
        ([], {"QREXEC_DOMAIN": "vault"}, "/run/qubes/domains/vault/link"),
        (["--domain=work"], {"QREXEC_DOMAIN": "vault"}, "/run/qubes/domains/work/link"),
        ([], {}, "/run/qubes/link"),
        (["--domain=work", "--link=/nonexistent/link"], {}, "/nonexistent/link"),
    ],
)
def test_which_link(arguments, environment, path):
    if os.path.exists(path):
        pytest.skip(f"{path} exists here")
    environment = {"PATH": "/usr/bin:/bin", "USER": ACCOUNT, **environment}
    with subprocess.Popen(as_unprivileged(*arguments), env=environment, stderr=subprocess.PIPE, text=True) as agent:
        assert agent.stderr.readline() == (
            f"qrexec-agent: {path}: No such file or directory; trying again until it works\n"
        )
        agent.terminate()
        assert agent.wait(LIMIT) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a uid without a name")
def test_an_account_without_a_name():
    result = subprocess.run(
        as_unprivileged("--link=/nonexistent/link"), env={"PATH": "/usr/bin:/bin"}, capture_output=True, timeout=LIMIT
    )
    assert result.returncode == 1
    assert b"has no name: set USER" in result.stderr


def test_ready_is_said_when_the_link_is_up(world):
    world.start()
    assert world.notify.recv(100) == b"READY=1"
    # and only once
    world.link.close()
    world.accept()
    world.notify.settimeout(0)
    with pytest.raises(BlockingIOError):
        world.notify.recv(100)


def test_sigterm_ends_it(agent):
    agent.agent.send_signal(signal.SIGTERM)
    assert agent.agent.wait(LIMIT) == 0


# --- calls of programs


def test_program(agent):
    agent.service("svc", '#!/bin/sh\necho "arg:$#:$1"; cat; exit 7\n')
    call_id, caller = agent.call("svc+a+b")
    caller.give(b"input\n")
    assert caller.outcome() == (b"arg:1:a+b\ninput\n", b"", 7)
    assert agent.ended() == (call_id, EXITED, 7)


def test_empty_argument_is_no_argument(agent):
    agent.service("svc", '#!/bin/sh\necho "$#"\n')
    _, caller = agent.call("svc+")
    assert caller.outcome() == (b"0\n", b"", 0)


def test_killed_by_signal(agent):
    agent.service("svc", "#!/bin/sh\nkill -9 $$\n")
    call_id, caller = agent.call("svc+")
    assert caller.outcome() == (b"", b"", 137)
    assert agent.ended() == (call_id, SIGNALLED, 137)


def test_environment(agent):
    agent.service("svc", "#!/bin/sh\nenv | sort; pwd; echo $PPID; ulimit -n\n")
    _, caller = agent.call("svc+arg", source="work")
    out, _, code = caller.outcome()
    *variables, cwd, parent, files = out.decode().splitlines()
    variables = dict(line.split("=", 1) for line in variables)
    assert variables["QREXEC_SERVICE_FULL_NAME"] == "svc+arg"
    assert variables["QREXEC_SERVICE_ARGUMENT"] == "arg"
    assert variables["QREXEC_REMOTE_DOMAIN"] == "work"
    assert variables["QREXEC_REQUESTED_TARGET_TYPE"] == ""
    assert variables["QREXEC_AGENT_PID"] == parent
    assert variables["PLAIN"] == "y"
    assert not {"QREXEC_STRAY", "NOTIFY_SOCKET", "QREXEC_REQUESTED_TARGET"} & set(variables)
    assert cwd == str(agent.home)
    assert code == 0
    soft = subprocess.run(["sh", "-c", "ulimit -n"], capture_output=True, check=True, text=True).stdout.strip()
    assert files == soft


def test_call_of_dom0(agent):
    agent.service("svc", '#!/bin/sh\necho "$QREXEC_REQUESTED_TARGET_TYPE:$QREXEC_REQUESTED_TARGET"\n')
    _, stream = agent.order(f"{ACCOUNT}:QUBESRPC svc+ work name dom0")
    assert Caller(stream).outcome() == (b"name:dom0\n", b"", 0)


def test_stderr_reaches_caller_and_log(agent):
    agent.service("svc", "#!/bin/sh\necho visible >&2; echo again >/proc/self/fd/2\n")
    call_id, caller = agent.call("svc+x", source="work")
    assert caller.outcome() == (b"", b"visible\nagain\n", 0)
    agent.ended()
    if not os.path.exists("/run/systemd/journal/socket") and not os.path.exists("/dev/log"):
        agent.wait_log(f"call {call_id}: svc+x-work: visible\n")
        agent.wait_log(f"call {call_id}: svc+x-work: again\n")


def test_two_directories(agent):
    agent.service("svc", "#!/bin/sh\necho one\n", "one")
    agent.service("svc+arg", "#!/bin/sh\necho two\n", "two")
    assert agent.call("svc+arg")[1].outcome()[0] == b"two\n"
    assert agent.call("svc+other")[1].outcome()[0] == b"one\n"


def expect_failure(agent, text, code, how):
    """62: stdout end, stderr end, exit code, and nothing else."""
    call_id, stream = agent.order(text)
    assert Caller(stream).messages() == [(STDOUT, b""), (STDERR, b""), (EXIT_CODE, struct.pack("<i", code))]
    assert agent.ended() == (call_id, how, code)


def test_not_started(agent):
    agent.service("svc", "#!/bin/sh\necho started >&2\n")
    agent.service("plain", "#!/bin/sh\n", "one", 0o644)
    agent.service("plain", "#!/bin/sh\n", "two", 0o755)
    agent.service("garbage", "no program")
    agent.service("noshell", "#!/no/such/shell\n")
    agent.service("badconfig", "#!/bin/sh\n")
    agent.config("badconfig", "wait-for-session=2\n")
    agent.service("forced", "#!/bin/sh\n")
    agent.config("forced", "force-user='root'\n")
    for text, code, how in (
        ("QUBESRPC nothing+ work", 127, NOT_FOUND),
        ("QUBESRPC noshell+ work", 127, NOT_FOUND),
        ("QUBESRPC garbage+ work", 125, NOT_STARTED),
        ("QUBESRPC plain+ work", 125, NOT_STARTED),  # 99
        ("QUBESRPC badconfig+ work", 125, NOT_STARTED),
        ("QUBESRPC forced+ work", 125, NOT_STARTED),
        ("QUBESRPC . work", 125, NOT_STARTED),
        ("QUBESRPC svc+/../svc work", 125, NOT_STARTED),
        ("QUBESRPCx svc+ work", 125, NOT_STARTED),  # 91
        ("QUBESRPC svc+  work", 125, NOT_STARTED),  # 92
        ("QUBESRPC svc+ work name", 125, NOT_STARTED),  # 93
        ("QUBESRPC svc+ work name a b", 125, NOT_STARTED),  # 93
        ("QUBESRPC " + 256 * "n" + "+ work", 125, NOT_STARTED),  # 94
        ("QUBESRPC " + 255 * "n" + "+ work", 127, NOT_FOUND),  # 94
        ("QUBESRPC +x work", 125, NOT_STARTED),
    ):
        expect_failure(agent, f"{ACCOUNT}:{text}", code, how)
    # 115: another user, none, and no user at all
    expect_failure(agent, "root:QUBESRPC svc+ work", 125, NOT_STARTED)
    expect_failure(agent, ":QUBESRPC svc+ work", 125, NOT_STARTED)
    expect_failure(agent, "QUBESRPC svc+ work", 125, NOT_STARTED)
    assert "started" not in agent.log()


def test_force_user_may_name_our_own_account(agent):
    agent.service("svc", "#!/bin/sh\necho ran\n")
    agent.config("svc", f"force-user='{ACCOUNT}'\nwait-for-session=true\nunknown=1\n")
    _, stream = agent.order("somebody:QUBESRPC svc+ work")
    assert Caller(stream).outcome() == (b"ran\n", b"", 0)
    agent.wait_log('nobody knows the key "unknown"')


def test_socket_options_are_ignored_for_programs(agent):
    agent.service("svc", "#!/bin/sh\necho out; exec >&-; cat >/dev/null; exit 3\n")
    agent.config("svc", "exit-on-service-eof=true\n")
    _, caller = agent.call("svc+")
    caller.give(b"x")
    assert caller.outcome() == (b"out\n", b"", 3)


def test_shell_commands_are_refused(agent):
    expect_failure(agent, f"{ACCOUNT}:echo no", 125, NOT_STARTED)
    agent.wait_log("a shell command was refused")


def test_shell_commands_if_allowed():
    world = World(["--shell"])
    try:
        world.start()
        call_id, stream = world.order(f"{ACCOUNT}:echo $PLAIN; echo err >&2; exit 4")
        assert Caller(stream).outcome() == (b"y\n", b"err\n", 4)
        assert world.ended() == (call_id, EXITED, 4)
        expect_failure(world, "root:id", 125, NOT_STARTED)
        assert "err" not in world.log()
    finally:
        world.stop()


def test_single_socket_mode(agent):
    """88: what is written to stdin after SIGUSR1 appears as stdout."""
    agent.service(
        "svc",
        "#!/bin/sh\necho before\nkill -USR1 $QREXEC_AGENT_PID\n"
        "echo after >&0\n",
    )
    _, caller = agent.call("svc+")
    assert caller.outcome() == (b"before\nafter\n", b"", 0)


def test_large_data_both_ways(agent):
    agent.service("svc", "#!/bin/sh\nexec cat\n")
    data = os.urandom(8 << 20)
    _, caller = agent.call("svc+")

    def feed():
        for start in range(0, len(data), 65536):
            caller.send(STDIN, data[start : start + 65536])
        caller.send(STDIN)

    feeder = threading.Thread(target=feed)
    feeder.start()
    out, _, code = caller.outcome()
    feeder.join()
    assert code == 0 and out == data


def test_caller_vanishes(agent):
    agent.service("svc", "#!/bin/sh\ncat >/dev/null; exit 5\n")
    call_id, caller = agent.call("svc+")
    caller.next()
    caller.close()
    assert agent.ended() == (call_id, ABANDONED, 5)


# --- JUST_EXEC


def test_just_exec(agent):
    agent.service(
        "svc",
        "#!/usr/bin/python3\nimport os, sys\n"
        "for fd in 0, 1: print(os.readlink(f'/proc/self/fd/{fd}'), file=sys.stderr)\n"
        "print('done', file=sys.stderr)\nsys.exit(9)\n",
    )
    call_id, caller = agent.call("svc+", kind=JUST_EXEC)
    # 64, 65
    assert caller.messages() == [(EXIT_CODE, struct.pack("<i", 0))]
    assert agent.ended() == (call_id, DETACHED, 0)
    if not os.path.exists("/run/systemd/journal/socket") and not os.path.exists("/dev/log"):
        agent.wait_log("svc+-work: done\n")
        assert agent.log().count("svc+-work: /dev/null\n") == 2


def test_just_exec_does_not_wait(agent):
    fifo = agent.home / "fifo"
    os.mkfifo(fifo, 0o666)
    os.chmod(fifo, 0o666)
    agent.service("svc", f"#!/bin/sh\nread line <{fifo}; echo got $line >{agent.home}/result\n")
    call_id, caller = agent.call("svc+", kind=JUST_EXEC)
    assert caller.messages() == [(EXIT_CODE, struct.pack("<i", 0))]
    assert agent.ended() == (call_id, DETACHED, 0)
    fifo.write_text("word\n")
    wait_for(lambda: (agent.home / "result").exists() and "got word" in (agent.home / "result").read_text(), "result")


def test_just_exec_failures(agent):
    agent.service("garbage", "no program")
    call_id, caller = agent.call("nothing+", kind=JUST_EXEC)
    assert caller.messages() == [(EXIT_CODE, struct.pack("<i", 127))]
    assert agent.ended() == (call_id, NOT_FOUND, 127)
    call_id, stream = agent.order("QUBESRPC", kind=JUST_EXEC)
    assert Caller(stream).messages() == [(EXIT_CODE, struct.pack("<i", 125))]
    assert agent.ended() == (call_id, NOT_STARTED, 125)
    # There was a process, that is all the caller learns; the broker learns more.
    call_id, caller = agent.call("garbage+", kind=JUST_EXEC)
    assert caller.messages() == [(EXIT_CODE, struct.pack("<i", 0))]
    assert agent.ended() == (call_id, NOT_STARTED, 125)


# --- sockets


def test_unix_socket_service(agent):
    with agent.socket_service(str(agent.folder / "one/svc")) as service:
        call_id, caller = agent.call("svc+arg", source="work")
        caller.give(b"question")
        connection, _ = service.accept()
        connection.settimeout(LIMIT)
        data = b""
        while piece := connection.recv(100):
            data += piece
        assert data == b"svc+arg work\0question"
        connection.sendall(b"answer")
        connection.close()
        # 61: stderr ends first
        assert caller.messages() == [
            (STDERR, b""),
            (STDOUT, b"answer"),
            (STDOUT, b""),
            (EXIT_CODE, struct.pack("<i", 0)),
        ]
        assert agent.ended() == (call_id, EXITED, 0)


def test_unix_socket_with_a_long_path(agent):
    deep = agent.folder / "two" / ("d" * 200)
    deep.mkdir()
    (agent.folder / "one/svc").symlink_to(deep / ("s" * 200))
    name = "n" * 150
    with agent.socket_service(str(deep / ("s" * 200))) as service, agent.socket_service(
        str(agent.folder / "two" / name)
    ) as named:
        for text, listener in ("svc", service), (name, named):
            _, caller = agent.call(f"{text}+")
            caller.give(b"")
            connection, _ = listener.accept()
            connection.settimeout(LIMIT)
            while connection.recv(100):
                pass
            connection.sendall(b"x")
            connection.close()
            assert caller.outcome() == (b"x", b"", 0)


def test_unix_socket_without_descriptor(agent):
    agent.config("svc", "skip-service-descriptor=true\nexit-on-client-eof=true\n")
    with agent.socket_service(str(agent.folder / "one/svc")) as service:
        _, caller = agent.call("svc+arg")
        caller.give(b"only this")
        connection, _ = service.accept()
        connection.settimeout(LIMIT)
        # 72: the call ends although the service keeps its socket open
        assert caller.outcome() == (b"", b"", 0)
        assert connection.recv(100) == b"only this"
        connection.close()


def test_exit_on_service_eof(agent):
    agent.config("svc", "exit-on-service-eof=true\n")
    with agent.socket_service(str(agent.folder / "one/svc")) as service:
        _, caller = agent.call("svc+")
        connection, _ = service.accept()
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        # 73: although the caller keeps stdin open
        assert caller.outcome() == (b"bye", b"", 0)
        connection.close()


def test_unix_socket_nobody_listens(agent):
    agent.socket_service(str(agent.folder / "one/svc")).close()
    expect_failure(agent, f"{ACCOUNT}:QUBESRPC svc+ work", 125, NOT_STARTED)


def test_just_exec_of_a_socket(agent):
    with agent.socket_service(str(agent.folder / "one/svc")) as service:
        call_id, caller = agent.call("svc+arg", kind=JUST_EXEC)
        assert caller.messages() == [(EXIT_CODE, struct.pack("<i", 0))]
        assert agent.ended() == (call_id, DETACHED, 0)
        connection, _ = service.accept()
        connection.settimeout(LIMIT)
        assert connection.recv(100) == b"svc+arg work\0"
        assert connection.recv(100) == b""
        connection.close()


def test_tcp_service(agent):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(LIMIT)
    port = listener.getsockname()[1]
    (agent.folder / "one/fixed").symlink_to(f"/dev/tcp/127.0.0.1/{port}")
    (agent.folder / "one/host").symlink_to("/dev/tcp/127.0.0.1")
    (agent.folder / "one/any").symlink_to("/dev/tcp")
    for name in "fixed", f"host+{port}", f"any+127.0.0.1+{port}":
        _, caller = agent.call(name)
        caller.give(b"q")
        connection, _ = listener.accept()
        connection.settimeout(LIMIT)
        data = b""
        while piece := connection.recv(100):
            data += piece
        assert data == f"{name} work\0q".encode()
        connection.sendall(b"a")
        connection.close()
        assert caller.outcome() == (b"a", b"", 0)
        assert agent.ended()[1:] == (EXITED, 0)
    listener.close()
    expect_failure(agent, f"{ACCOUNT}:QUBESRPC fixed work", 125, NOT_STARTED)  # refused by the port
    expect_failure(agent, f"{ACCOUNT}:QUBESRPC fixed+1 work", 125, NOT_STARTED)
    expect_failure(agent, f"{ACCOUNT}:QUBESRPC any+localhost+80 work", 125, NOT_STARTED)  # 105


# --- the end by order


def test_kill(agent):
    agent.service("svc", "#!/bin/sh\necho ready; exec sleep 1000\n")
    call_id, caller = agent.call("svc+")
    assert caller.next()[0] == HELLO
    caller.read_stdout_until(b"ready")
    agent.kill(call_id)
    assert caller.next() is not None
    assert agent.ended() == (call_id, KILLED, 143)


def test_kill_reaches_the_whole_group(agent):
    agent.service("svc", "#!/bin/sh\nsleep 1000 &\necho ready; wait\n")
    call_id, caller = agent.call("svc+")
    caller.next()
    caller.read_stdout_until(b"ready")
    agent.kill(call_id)
    # No exit code comes while anybody holds stdout (67): that it comes proves that nobody does.
    assert [kind for kind, _ in iter(caller.next, None)][-1] == EXIT_CODE
    assert agent.ended() == (call_id, KILLED, 143)


def test_kill_what_ignores_sigterm(agent):
    agent.service("svc", "#!/bin/sh\ntrap '' TERM\necho ready\nwhile :; do sleep 1000; done\n")
    call_id, caller = agent.call("svc+")
    caller.next()
    caller.read_stdout_until(b"ready")
    start = time.monotonic()
    agent.kill(call_id)
    agent.kill(call_id)
    assert agent.ended() == (call_id, KILLED, 137)
    assert time.monotonic() - start >= 4.5
    caller.close()


def test_kill_what_left_the_group(agent):
    pid_file = agent.home / "pid"
    agent.service("svc", f"#!/bin/sh\nsetsid sh -c 'echo $$ >{pid_file}; echo ready; exec sleep 1000' &\nwait\n")
    call_id, caller = agent.call("svc+")
    caller.next()
    caller.read_stdout_until(b"ready")
    agent.kill(call_id)
    # It lives on, as anything may that an account starts; the call does not.
    assert agent.ended()[:2] == (call_id, KILLED)
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    caller.close()


def test_kill_a_socket_call(agent):
    with agent.socket_service(str(agent.folder / "one/svc")) as service:
        call_id, caller = agent.call("svc+")
        connection, _ = service.accept()
        connection.settimeout(LIMIT)
        assert connection.recv(100) == b"svc+ work\0"
        agent.kill(call_id)
        assert connection.recv(100) == b""
        assert agent.ended() == (call_id, KILLED, 143)
        connection.close()


def test_kill_before_the_caller_says_hello(agent):
    agent.service("svc", "#!/bin/sh\nexec sleep 1000\n")
    call_id, stream = agent.order(f"{ACCOUNT}:QUBESRPC svc+ work")
    other_id, other = agent.order(f"{ACCOUNT}:QUBESRPC nothing+ work")
    agent.kill(call_id)
    agent.kill(other_id)
    ends = {agent.ended()[:2] for _ in range(2)}
    assert ends == {(call_id, KILLED), (other_id, KILLED)}
    stream.close()
    other.close()


def test_kill_of_an_unknown_call_is_nothing(agent):
    agent.kill(4711)
    agent.service("svc", "#!/bin/sh\n")
    call_id, caller = agent.call("svc+")
    assert caller.outcome() == (b"", b"", 0)
    assert agent.ended() == (call_id, EXITED, 0)


# --- the link


def test_reconnect_with_running_calls(agent):
    agent.service("svc", "#!/bin/sh\nexec cat\n")
    stays, caller = agent.call("svc+")
    ends, other = agent.call("svc+")
    assert caller.next()[0] == HELLO and other.next()[0] == HELLO
    agent.link.close()
    agent.relisten()

    # Calls do not notice.
    caller.send(STDIN, b"while away")
    assert caller.next() == (STDOUT, b"while away")
    other.send(STDIN)
    assert [kind for kind, _ in iter(other.next, None)][-1] == EXIT_CODE

    # What ended meanwhile is in the list, and its end is told right after it: nobody else knows how it went.
    wait_for(lambda: len([pid for pid in agent.descendants()]) <= 2, "the end of the other call")
    assert sorted(agent.accept()) == sorted([stays, ends])
    assert agent.ended() == (ends, EXITED, 0)
    caller.send(STDIN)
    assert [kind for kind, _ in iter(caller.next, None)][-1] == EXIT_CODE
    assert agent.ended() == (stays, EXITED, 0)
    agent.assert_silent()
    assert ends != stays


def test_reconnect_back_off(agent):
    """It tries again for ever, but not without waits: 50, 100, 200 and 400 ms (test-link.c has the rest)."""
    start = time.monotonic()
    agent.link.close()
    for _ in range(4):
        connection, _ = agent.listener.accept()
        connection.close()
    assert time.monotonic() - start >= 0.75
    assert agent.accept() == []


def test_protocol_violations_close_the_link(agent):
    agent.service("svc", "#!/bin/sh\nexec cat\n")
    call_id, caller = agent.call("svc+")
    assert caller.next()[0] == HELLO
    for packet in (
        b"\0",
        message(0x1234),
        message(CALL_KILL, b"abc"),
        message(EXEC_CMDLINE, struct.pack("<II", FRAMED, 1)),
        message(HELLO, struct.pack("<I", 4)),
    ):
        agent.link.send(packet)
        assert agent.link.recv(100) == b""
        assert agent.accept() == [call_id]
    caller.send(STDIN)
    assert [kind for kind, _ in iter(caller.next, None)][-1] == EXIT_CODE
    assert agent.ended() == (call_id, EXITED, 0)


def test_hello_must_come_first(world):
    world.spawn()
    link, _ = world.listener.accept()
    link.settimeout(LIMIT)
    assert link.recv(100) == message(HELLO, struct.pack("<I", 4))
    link.send(message(CALL_KILL, struct.pack("<I", 1)))
    assert link.recv(100) == b""
    link.close()
    # it tries again, and this broker behaves
    assert world.accept() == []


def test_broker_that_is_too_old(world):
    world.spawn()
    link, _ = world.listener.accept()
    link.settimeout(LIMIT)
    assert link.recv(100) == message(HELLO, struct.pack("<I", 4))
    link.send(message(HELLO, struct.pack("<I", 1)))
    assert link.recv(100) == b""
    link.close()
    assert world.accept() == []


def test_duplicate_id(agent):
    agent.service("svc", "#!/bin/sh\nexec cat\n")
    call_id, caller = agent.call("svc+")
    assert caller.next()[0] == HELLO
    _, second = agent.call("svc+", call_id=call_id)
    assert second.messages() == [(STDOUT, b""), (STDERR, b""), (EXIT_CODE, struct.pack("<i", 125))]
    caller.send(STDIN, b"alive")
    assert caller.next() == (STDOUT, b"alive")
    caller.send(STDIN)
    assert [kind for kind, _ in iter(caller.next, None)][-1] == EXIT_CODE
    assert agent.ended() == (call_id, EXITED, 0)
    agent.assert_silent()


def test_descriptors_that_do_not_match(agent):
    agent.service("svc", "#!/bin/sh\necho started >&2\n")
    before = agent.agent_fds()
    text = f"{ACCOUNT}:QUBESRPC svc+ work"
    for options in (
        {"n_fds": 0},
        {"n_fds": 2},
        {"n_fds": 3},
        {"n_fds": 4},
        {"n_fds": 50},
        {"n_fds": 1, "mode": DIRECT},
        {"n_fds": 2, "mode": DIRECT},
        {"n_fds": 4, "mode": DIRECT},
        {"n_fds": 0, "mode": 43},
    ):
        call_id, stream = agent.order(text, **options)
        assert agent.ended() == (call_id, NOT_STARTED, 125)
        assert stream.recv(100) == b""
        stream.close()
    assert agent.agent_fds() == before
    assert "started" not in agent.log()


@pytest.mark.parametrize("room", [0, 1])
def test_no_room_for_descriptors(room):
    """A call whose stream (0) or handler's pidfd (1) finds no room ends, and the agent lives."""
    world = World(limit=13 + room)
    try:
        world.start()
        assert len(world.agent_fds()) == 13
        for _ in range(3):
            call_id, stream = world.order(f"{ACCOUNT}:QUBESRPC svc+ work")
            assert world.ended() == (call_id, NOT_STARTED, 125)
            if room:
                assert Caller(stream).outcome() == (b"", b"", 125)
            else:
                assert stream.recv(100) == b""
                stream.close()
        assert len(world.agent_fds()) == 13
    finally:
        world.stop()


def test_broker_that_does_not_read(agent):
    """Ends wait until there is room, orders wait meanwhile, and none is lost."""
    ids, callers = [], []
    # The kernel holds 278 ends for us, and then 70 orders before our own next one would wait.
    for _ in range(330):
        call_id, caller = agent.call("nothing+")
        ids.append(call_id)
        callers.append(caller)
        # Each has run before the next, so that the ends pile up, not the orders.
        if len(ids) < 200:
            assert caller.outcome()[2] == 127
    ends = [agent.ended() for _ in ids]
    assert sorted(ends) == [(call_id, NOT_FOUND, 127) for call_id in ids]
    for caller in callers:
        caller.close()


# --- many calls, and nothing left of them


def test_many_calls_at_once(agent):
    before = agent.agent_fds()
    agent.service("svc", "#!/bin/sh\necho $1; cat; exit 3\n")
    calls = {}
    for n in range(200):
        call_id, caller = agent.call(f"svc+n{n}")
        calls[call_id] = caller, n
    for caller, n in calls.values():
        assert caller.next()[0] == HELLO
        assert caller.read_stdout_until(b"\n") == b"n%d\n" % n
    # All run at the same time; only now each gets its input, and ends.
    for caller, n in calls.values():
        caller.give(b"input %d" % n)
    for caller, n in calls.values():
        rest = list(iter(caller.next, None))
        assert b"".join(payload for kind, payload in rest if kind == STDOUT) == b"input %d" % n
        assert rest[-1] == (EXIT_CODE, struct.pack("<i", 3))
        caller.close()
    assert {agent.ended() for _ in calls} == {(call_id, EXITED, 3) for call_id in calls}
    wait_for(lambda: not agent.descendants(), "the end of all handlers")
    assert agent.agent_fds() == before


LIST_DESCRIPTORS = """
import os
for fd in range(1000):
    try:
        os.fstat(fd)
    except OSError:
        continue
    print(fd)
"""


def test_services_inherit_nothing(agent):
    agent.service("waits", "#!/bin/sh\necho ready; exec cat\n")
    # No shell: it would hold its script open.
    agent.service("lists", f"#!/usr/bin/python3\n{LIST_DESCRIPTORS}")
    waiting = [agent.call("waits+") for _ in range(20)]
    for _, caller in waiting:
        caller.next()
        caller.read_stdout_until(b"ready")
    assert agent.call("lists+")[1].outcome() == (b"0\n1\n2\n", b"", 0)
    for _, caller in waiting:
        caller.close()


def test_handlers_hold_nothing_of_others(agent):
    """A stream is at its end when its own handler closes it, however many other calls run; and no handler holds more
    than its own call needs."""
    agent.service("waits", "#!/bin/sh\necho $PPID; exec cat\n")
    handlers = []
    for _ in range(10):
        _, caller = agent.call("waits+")
        caller.next()
        handlers.append((int(caller.read_stdout_until(b"\n")), caller))
    n_fds = {len(os.listdir(f"/proc/{handler}/fd")) for handler, _ in handlers}
    assert len(n_fds) == 1 and n_fds.pop() < 16
    assert agent.call("nothing+")[1].outcome() == (b"", b"", 127)
    for _, caller in handlers:
        caller.close()


def test_calls_outlive_the_agent(agent):
    agent.service("svc", "#!/bin/sh\nexec cat\n")
    _, caller = agent.call("svc+")
    assert caller.next()[0] == HELLO
    agent.stop_now()
    caller.give(b"still here")
    out = b"".join(payload for kind, payload in iter(caller.next, None) if kind == STDOUT)
    assert out == b"still here"


def finish(caller, data):
    """Give a caller's service the rest of its input. Return: its exit code."""
    if isinstance(caller, DirectCaller):
        return caller.outcome(data)[2]
    caller.give(data)
    return caller.outcome()[2]


@pytest.mark.parametrize("is_direct", [False, True], ids=["framed", "direct"])
def test_told_to_stop_it_ends_with_its_last_call(agent, is_direct):
    """Each caller gets its exit code, and the broker the ends; a broker that comes meanwhile is told what runs."""
    agent.service("svc", "#!/bin/sh\necho ready; read line; exit $line\n")
    calls = []
    for _ in range(3):
        call_id, caller = (direct_call if is_direct else lambda agent, service: agent.call(service))(agent, "svc+")
        calls.append((call_id, caller))
    agent.agent.send_signal(signal.SIGTERM)
    assert agent.link.recv(100) == message(CALL_DRAIN)
    assert finish(calls[0][1], b"3\n") == 3
    assert agent.ended() == (calls[0][0], EXITED, 3)
    # The link is lost: it comes again, with what is left instead of HELLO.
    agent.link.close()
    agent.link, _ = agent.listener.accept()
    kind, length, *ids = struct.unpack("<IIII", agent.link.recv(100))
    assert (kind, length) == (CALL_DRAIN, 8) and set(ids) == {calls[1][0], calls[2][0]}
    agent.kill(calls[1][0])
    assert agent.ended() == (calls[1][0], KILLED, 128 + signal.SIGTERM)
    assert agent.agent.poll() is None
    assert finish(calls[2][1], b"5\n") == 5
    assert agent.ended() == (calls[2][0], EXITED, 5)
    assert agent.agent.wait(AT_ONCE) == 0


def test_told_to_stop_without_a_broker(agent):
    """It does not wait for ever for somebody to tell the last end to."""
    agent.service("svc", "#!/bin/sh\nread line\n")
    _, caller = agent.call("svc+")
    agent.listener.close()
    agent.link.close()
    agent.agent.send_signal(signal.SIGTERM)
    assert finish(caller, b"x\n") == 0
    assert agent.agent.wait(AT_ONCE) == 0
    agent.wait_log("no broker could be told how the last 1 calls ended")


def test_told_to_stop_as_its_broker_answers(agent):
    """Both at once: it goes, and does not answer HELLO with what is no list."""
    agent.link.close()
    agent.link, _ = agent.listener.accept()
    assert agent.link.recv(100) == message(HELLO, struct.pack("<I", 4))
    agent.agent.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, agent.agent.pid, os.WSTOPPED | os.WNOWAIT)
    agent.agent.send_signal(signal.SIGTERM)
    agent.link.send(message(HELLO, struct.pack("<I", 4)))
    agent.agent.send_signal(signal.SIGCONT)
    with pytest.raises(ConnectionResetError):  # our HELLO was not read
        agent.link.recv(100)
    assert agent.agent.wait(AT_ONCE) == 0


def test_told_to_stop_while_its_broker_is_restarted(agent):
    """The last end waits for a broker that comes soon."""
    agent.service("svc", "#!/bin/sh\nread line\n")
    call_id, caller = agent.call("svc+")
    agent.listener.close()
    agent.link.close()
    agent.agent.send_signal(signal.SIGTERM)
    assert finish(caller, b"x\n") == 0
    agent.relisten()
    agent.link, _ = agent.listener.accept()
    assert agent.link.recv(100) == struct.pack("<III", CALL_DRAIN, 4, call_id)
    assert agent.ended() == (call_id, EXITED, 0)
    assert agent.agent.wait(AT_ONCE) == 0


def test_handler_that_dies(agent):
    agent.service("svc", "#!/bin/sh\nread line; kill -9 $PPID\n")
    call_id, caller = agent.call("svc+")
    caller.give(b"now\n")
    assert caller.outcome()[2] is None
    assert agent.ended() == (call_id, SIGNALLED, 125)


# --- direct mode


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


@pytest.mark.parametrize("config", [None, "direct=false\n"], ids=["pipes", "sockets"])
def test_direct_call(agent, config):
    agent.service("svc", "#!/bin/sh\ncat; echo oops >&2; exit 42\n")
    if config:
        agent.config("svc", config)
    before = agent.agent_fds()
    call_id, caller = direct_call(agent, "svc+arg")
    assert caller.outcome(b"data") == (b"data", b"oops\n", 42)
    assert agent.ended() == (call_id, EXITED, 42)
    wait_for(lambda: agent.agent_fds() == before, "the agent to close everything")


def test_direct_failures(agent):
    agent.service("interpreter", "#!/nonexistent\n")
    agent.service("mode", "#!/bin/sh\n", mode=0o644)
    for service, text, how, status in (
        ("nothing+", None, NOT_FOUND, 127),
        ("interpreter+", None, NOT_FOUND, 127),
        ("mode+", None, NOT_STARTED, 125),
        ("svc+", "nonsense", NOT_STARTED, 125),
        ("svc+", f"{ACCOUNT}:echo shell", NOT_STARTED, 125),
        ("nothing+", "root:QUBESRPC nothing+ work", NOT_FOUND, 127),
    ):
        call_id, caller = direct_call(agent, service, text=text)
        assert caller.outcome() == (b"", b"", status), text or service
        assert agent.ended() == (call_id, how, status)


def test_direct_just_exec(agent):
    agent.service("svc", f"#!/bin/sh\ncat\necho said >&2\necho done >{agent.home}/done\nexit 9\n")
    before = agent.agent_fds()
    call_id, caller = direct_call(agent, "svc+", kind=JUST_EXEC)
    assert caller.outcome() == (b"", b"", 0)
    assert agent.ended() == (call_id, DETACHED, 0)
    wait_for(lambda: (agent.home / "done").exists(), "the service to have run")
    agent.wait_log("svc+-work: said")
    wait_for(lambda: agent.agent_fds() == before, "the agent to close everything")


def test_direct_kill(agent):
    agent.service("ends", "#!/bin/sh\nsleep 1000 & echo ready; wait\n")
    call_id, caller = direct_call(agent, "ends+")
    assert caller.stdout.readline() == b"ready\n"
    agent.kill(call_id)
    assert agent.ended() == (call_id, KILLED, 128 + signal.SIGTERM)
    assert caller.outcome() == (b"", b"", 128 + signal.SIGTERM)
    wait_for(lambda: not agent.descendants(), "the end of the whole group")


def test_direct_kill_of_one_that_ignores_it(agent):
    agent.service("stays", "#!/bin/sh\ntrap '' TERM; echo ready; while :; do sleep 1; done\n")
    agent.service("svc", "#!/bin/sh\nexit 3\n")
    call_id, caller = direct_call(agent, "stays+")
    assert caller.stdout.readline() == b"ready\n"
    agent.kill(call_id)
    agent.kill(call_id)
    # The agent serves others meanwhile.
    other_id, other = direct_call(agent, "svc+")
    assert other.outcome() == (b"", b"", 3)
    assert agent.ended() == (other_id, EXITED, 3)
    assert agent.ended() == (call_id, KILLED, 128 + signal.SIGKILL)
    assert caller.outcome() == (b"", b"", 128 + signal.SIGKILL)


def test_direct_caller_that_vanishes(agent):
    agent.service("svc", "#!/bin/sh\ncat; echo said >&2; exit 5\n")
    call_id, caller = direct_call(agent, "svc+")
    caller.status.close()
    caller.stdin.close()
    assert agent.ended() == (call_id, ABANDONED, 5)
    agent.wait_log("svc+-work: said")
    caller.stdout.close()


def test_direct_calls_and_a_stopped_agent(agent):
    """Both stay what they were: a service that ends, and one that it left behind with its stderr."""
    agent.service("svc", "#!/bin/sh\necho ready; read line; echo said >&2; echo $line\n")
    agent.service("leaves", f"#!/bin/sh\n(exec >&- <&-; read x <{agent.home}/fifo; echo later >&2; echo x >{agent.home}/lived) & exit 0\n")
    os.mkfifo(agent.home / "fifo")
    os.chmod(agent.home / "fifo", 0o666)
    call_id, left = direct_call(agent, "leaves+")
    assert left.outcome() == (b"", b"", 0)
    assert agent.ended() == (call_id, EXITED, 0)
    _, caller = direct_call(agent, "svc+")
    assert caller.stdout.readline() == b"ready\n"
    agent.stop_now()
    assert caller.outcome(b"line\n") == (b"line\n", b"", None)
    agent.wait_log("svc+-work: said")
    (agent.home / "fifo").write_text("now\n")
    wait_for(lambda: (agent.home / "lived").exists(), "the process that was left behind")
    agent.wait_log("leaves+-work: later")
