# SPDX-License-Identifier: Apache-2.0
"""qrexec-client-vm and qrexec-client as they are built, against a broker and a callee played here, byte for byte.

Needs nothing but QAIR_BUILD, the build folder. Whatever is waited for ends by an event; DEADLINE only keeps a broken
program from holding up the tests for ever. The numbers are those of the protocol specification's appendix A.
"""
import array
import contextlib
import fcntl
import os
import pty
import pwd
import select
import signal
import socket
import struct
import subprocess
import threading

import pytest

DEADLINE = 60
BUILD = os.environ.get("QAIR_BUILD", "build")
CLIENT_VM = os.path.abspath(os.path.join(BUILD, "src/client/qrexec-client-vm"))
CLIENT = os.path.abspath(os.path.join(BUILD, "src/client/qrexec-client"))

STDIN, STDOUT, STDERR, EXIT_CODE = 0x190, 0x191, 0x192, 0x193
EXEC_CMDLINE, JUST_EXEC, TRIGGER, HELLO = 0x200, 0x201, 0x213, 0x300
REFUSED, FRAMED, DIRECT = 0x7fff0000, 0x7fff0001, 0x7fff0003


class Peer:
    """One connection, blocking, that says and expects messages."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(DEADLINE)

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                raise EOFError(f"{len(data)} of {size} bytes")
            data += piece
        return data

    def receive(self):
        kind, size = struct.unpack("<II", self.read(8))
        return kind, self.read(size)

    def send(self, kind, data=b""):
        self.sock.sendall(struct.pack("<II", kind, len(data)) + data)

    def expect(self, kind, data=b""):
        assert self.receive() == (kind, data)

    def expect_closed(self):
        try:
            assert self.sock.recv(1) == b""
        except ConnectionResetError:
            pass

    def hello(self, version=4):
        self.send(HELLO, struct.pack("<I", version))
        self.expect(HELLO, struct.pack("<I", 4))

    def exit(self, status):
        self.send(EXIT_CODE, struct.pack("<i", status))

    def close(self):
        self.sock.close()


class Listener:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(str(path))
        self.sock.listen(5)
        self.sock.settimeout(DEADLINE)

    def accept(self):
        return Peer(self.sock.accept()[0])

    def close(self):
        self.sock.close()


class Trigger:
    """A request that has been received."""

    def __init__(self, peer):
        self.peer = peer
        kind, data = peer.receive()
        assert kind == TRIGGER
        self.data = data
        self.source, self.target, self.ident = data[:64], data[64:128], data[128:160]
        self.service = data[160:]

    def allow(self, call_id=17, pieces=False):
        ours, theirs = socket.socketpair()
        reply = struct.pack("<II", FRAMED, call_id)
        socket.send_fds(self.peer.sock, [reply[:3] if pieces else reply], [theirs.fileno()])
        if pieces:
            self.peer.sock.sendall(reply[3:])
        theirs.close()
        # The trigger connection has done its work (it is closed before the data connection begins).
        self.peer.expect_closed()
        self.peer.close()
        return Peer(ours)

    def refuse(self, *words):
        self.peer.sock.sendall(struct.pack(f"<{len(words)}I", *words))
        self.peer.close()


@pytest.fixture
def broker(tmp_path):
    listener = Listener(tmp_path / "agent")
    listener.path = str(tmp_path / "agent")
    yield listener
    listener.close()


@pytest.fixture
def run(broker):
    """Start qrexec-client-vm; whatever is left at the end is killed."""
    started = []

    def start(*args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=None, **kwargs):
        process = subprocess.Popen(
            [CLIENT_VM, f"--agent-socket={broker.path}", *args],
            stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, env={**os.environ, **(env or {})}, **kwargs)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def finish(process, data=None):
    out, err = process.communicate(data, timeout=DEADLINE)
    return process.returncode, out, err.decode()


def test_whole_call(broker, run):
    client = run("work", "my.svc+arg")
    trigger = Trigger(broker.accept())
    assert trigger.source == bytes(64)
    assert trigger.target == b"work".ljust(64, b"\0")
    assert trigger.ident == b"QAIR1".ljust(32, b"\0")
    assert trigger.service == b"my.svc+arg\0"
    callee = trigger.allow()
    callee.hello()
    client.stdin.write(b"question")
    client.stdin.flush()
    callee.expect(STDIN, b"question")
    callee.send(STDOUT, b"answer")
    callee.send(STDERR, b"complaint\n")
    client.stdin.close()
    client.stdin = None
    callee.expect(STDIN)
    callee.send(STDOUT)
    callee.send(STDERR)
    callee.exit(42)
    assert finish(client) == (42, b"answer", "complaint\n")
    callee.expect_closed()


def test_answer_in_pieces(broker, run):
    client = run("work", "my.svc")
    callee = Trigger(broker.accept()).allow(pieces=True)
    callee.hello()
    callee.send(STDOUT)
    callee.exit(0)
    assert finish(client)[0] == 0


@pytest.mark.parametrize("target, sent", [
    ("$dispvm:base", b"@dispvm:base"),
    ("@default", b"@default"),
    ("", b""),
    ("dom0", b"dom0"),
    ("x" * 70, b"x" * 63),
])
def test_target_and_source(broker, run, target, sent):
    run("--source-qube=there", "--", target, "my.svc")
    trigger = Trigger(broker.accept())
    assert trigger.target == sent.ljust(64, b"\0")
    assert trigger.source == b"there".ljust(64, b"\0")


def test_longest_service(broker, run):
    run("work", "a+" + "b" * 64997)
    assert len(Trigger(broker.accept()).data) == 65160


@pytest.mark.parametrize("service", ["", "a+" + "b" * 64998], ids=["empty", "too long"])
def test_service_that_cannot_be_sent(run, service):
    status, out, err = finish(run("work", service))
    assert (status, out) == (126, b"")
    assert err == "Request refused\nqrexec-client-vm: request not understood\n"


ACCOUNT = pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.parametrize("words, said", [
    ([], ""),
    ([REFUSED, 17, 1], "refused (call 17): the administrator finds the reason in the audit log\n"),
    ([REFUSED, 0, 2],
     f"not a domain: ask the administrator to run: qair domain add NAME user={ACCOUNT}\n"),
    ([REFUSED, 0, 3], "too many calls of yours: try again when some of them have ended\n"),
    ([REFUSED, 18, 4], "service unavailable (call 18)\n"),
    ([REFUSED, 0, 5], "request not understood\n"),
    ([REFUSED, 19, 99], "refused (call 19): the administrator finds the reason in the audit log\n"),
])
def test_refusals(broker, run, words, said):
    client = run("work", "my.svc")
    Trigger(broker.accept()).refuse(*words)
    assert finish(client) == (126, b"", "Request refused\n" + (said and "qrexec-client-vm: " + said))


@pytest.mark.parametrize("answer", [
    b"\1", struct.pack("<I", FRAMED) + b"\0\0\0", struct.pack("<III", REFUSED, 1, 1)[:-1],
    struct.pack("<II", FRAMED, 17), struct.pack("<II", 43, 1024),
], ids=["one byte", "seven", "eleven", "no descriptor", "a domain id"])
def test_broken_answers(broker, run, answer):
    client = run("work", "my.svc")
    trigger = Trigger(broker.accept())
    trigger.peer.sock.sendall(answer)
    trigger.peer.close()
    status, out, err = finish(client)
    assert (status, out) == (1, b"")
    assert err.startswith("qrexec-client-vm: the answer to the request ")


def leave_unread(peer):
    """Go away when the request is there, without having read it."""
    assert select.select([peer.sock], [], [], DEADLINE)[0]
    peer.close()


def test_brokers_that_go_away_before_they_read(broker, run):
    """The next one is asked, and nobody notices."""
    client = run("work", "my.svc")
    for _ in range(2):
        leave_unread(broker.accept())
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    callee.send(STDOUT)
    callee.send(STDERR)
    callee.exit(7)
    assert finish(client) == (7, b"", "")


def test_a_broker_that_goes_away_after_it_has_read(broker, run):
    """The call may run: it is not asked for again."""
    client = run("work", "my.svc")
    Trigger(broker.accept()).peer.close()
    assert finish(client) == (126, b"", "Request refused\n")
    broker.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        broker.accept()


def test_no_broker_stays(broker, run):
    client = run("work", "my.svc")
    for _ in range(7 * 3):
        leave_unread(broker.accept())
    status, out, err = finish(client)
    assert (status, out) == (125, b"")
    assert err.startswith("qrexec-client-vm: broker after broker went away before it had read the request")


def test_two_descriptors(broker, run):
    client = run("work", "my.svc")
    trigger = Trigger(broker.accept())
    fds = array.array("i", [0, 1])
    trigger.peer.sock.sendmsg([struct.pack("<II", FRAMED, 17)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    assert finish(client)[0] == 1


def test_nobody_listens(broker, run, tmp_path):
    broker.close()
    for path, reason in ((broker.path, "Connection refused"), (str(tmp_path / "none"), "No such file or directory")):
        status, out, err = finish(run("-a", path, "work", "my.svc"))
        assert (status, out) == (1, b"")
        assert err == (f"qrexec-client-vm: cannot connect to {path}: {reason}; "
                       "is the service running? Try: systemctl status qair\n")


def test_hang_up_cancels(broker, run):
    client = run("work", "my.svc")
    trigger = Trigger(broker.accept())
    client.send_signal(signal.SIGTERM)
    trigger.peer.expect_closed()


@pytest.mark.parametrize("args", [
    [], ["work"], ["--nonsense", "work", "my.svc"], ["-p", "a", "-p", "b", "work", "my.svc"],
    ["-s", "a", "-s", "b", "work", "my.svc"], ["--use-stdin-socket", "--use-stdin-socket", "work", "my.svc"],
    ["--use-stdin-socket", "work", "my.svc", "/bin/true"],
], ids=str)
def test_usage(run, args):
    status, out, err = finish(run(*args))
    assert (status, out) == (2, b"")
    assert "Usage: qrexec-client-vm" in err


def test_help(run):
    status, out, err = finish(run("--help"))
    assert (status, err) == (0, "")
    assert out.startswith(b"Usage: qrexec-client-vm")


@pytest.mark.parametrize("size, good", [
    ("0", True), ("010", True), ("0x10000", True), ("2147483647", True), ("2147483648", False), ("-1", False),
    ("", False), ("1k", False), ("+1", False), (" 1", False), ("99999999999999999999", False),
])
def test_buffer_size(broker, run, size, good):
    client = run(f"--buffer-size={size}", "work", "my.svc")
    if good:
        callee = Trigger(broker.accept()).allow()
        callee.hello()
        callee.send(STDOUT)
        callee.exit(3)
        assert finish(client)[0] == 3
    else:
        status, _, err = finish(client)
        assert status == 1
        assert err.startswith("qrexec-client-vm: --buffer-size:")


def test_prefix(broker, run):
    client = run("--prefix-data=before", "work", "my.svc")
    client.stdin.write(b"after")
    client.stdin.flush()
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    callee.expect(STDIN, b"before")  # 82
    callee.expect(STDIN, b"after")


def test_handshake_failures(broker, run):
    for answer in (b"", struct.pack("<III", HELLO, 4, 1), struct.pack("<II", STDOUT, 0)):
        client = run("work", "my.svc")
        callee = Trigger(broker.accept()).allow()
        callee.sock.sendall(answer)
        callee.sock.shutdown(socket.SHUT_WR)
        assert finish(client)[0] == 1


def test_protocol_error(broker, run):
    client = run("work", "my.svc")
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    callee.send(0x194, b"what")
    assert finish(client)[0] == 1  # 85


def test_connection_lost(broker, run):
    client = run("work", "my.svc", "/bin/true")
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    callee.expect(STDIN)
    callee.close()
    assert finish(client)[0] == 255  # 78


@pytest.mark.parametrize("remote, local, status", [(0, 0, 0), (0, 3, 3), (4, 3, 4), (4, 0, 4)])
def test_local_program_status(broker, run, remote, local, status):
    client = run("work", "my.svc", "/bin/sh", "-c", f"cat >/dev/null; exit {local}")
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    callee.send(STDOUT)
    callee.exit(remote)
    assert finish(client)[0] == status  # 79


def test_local_program_environment(broker, run):
    script = ('echo "$0"; echo "$QREXEC_AGENT_PID"; echo saved >&$SAVED_FD_1; cat <&$SAVED_FD_0; '
              'echo "${SAVED_FD_2-unset}"; ls /proc/self/fd | wc -l; kill -PIPE $$; echo survived')
    client = run("work", "my.svc", "/bin/sh", "-c", script, stdin=subprocess.PIPE)
    callee = Trigger(broker.accept()).allow()
    client.stdin.write(b"through\n")
    client.stdin.close()
    client.stdin = None
    callee.hello()
    got = b""
    while (message := callee.receive()) != (STDIN, b""):
        assert message[0] == STDIN
        got += message[1]
    callee.send(STDOUT)
    callee.exit(0)
    status, out, _ = finish(client)
    # SIGPIPE has its default again, and killed the program.
    assert status == 128 + signal.SIGPIPE
    assert out == b"saved\n"
    # argv[0] is the last component; of descriptors there are 0 to 2, the two saved ones, and ls's own.
    assert got.decode().split("\n") == ["sh", str(client.pid), "through", "unset", "6", ""]


def test_local_program_stderr_saved(broker, run):
    client = run("work", "my.svc", "/bin/sh", "-c", "echo direct >&$SAVED_FD_2", env={"PASS_LOCAL_STDERR": ""})
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    callee.expect(STDIN)
    callee.send(STDOUT)
    callee.exit(0)
    assert finish(client) == (0, b"", "direct\n")


def test_local_program_missing(broker, run):
    client = run("work", "my.svc", "/nonexistent/program")
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    callee.expect(STDIN)
    callee.send(STDOUT)
    callee.exit(0)
    status, _, err = finish(client)
    assert status == 255
    assert "cannot execute /nonexistent/program: No such file or directory" in err


def test_local_program_not_started_when_refused(broker, run, tmp_path):
    client = run("work", "my.svc", "/usr/bin/touch", str(tmp_path / "started"))
    Trigger(broker.accept()).refuse(REFUSED, 1, 1)
    assert finish(client)[0] == 126
    assert not (tmp_path / "started").exists()


def test_local_program_single_socket(broker, run):
    client = run("work", "my.svc", "/bin/sh", "-c", "kill -USR1 $QREXEC_AGENT_PID; exec >&0; echo moved; cat")
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    callee.expect(STDIN, b"moved\n")
    callee.send(STDOUT, b"back")
    callee.expect(STDIN, b"back")
    callee.send(STDOUT)
    callee.expect(STDIN)
    callee.exit(0)
    assert finish(client)[0] == 0


def test_stdin_socket(broker, run):
    ours, theirs = socket.socketpair()
    client = run("--use-stdin-socket", "work", "my.svc", stdin=theirs)
    theirs.close()
    local = Peer(ours)
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    ours.sendall(b"in")
    callee.expect(STDIN, b"in")
    callee.send(STDOUT, b"out")
    callee.send(STDOUT)
    assert local.read(3) == b"out"
    local.expect_closed()  # 87: only this direction
    ours.sendall(b"more")
    callee.expect(STDIN, b"more")
    ours.shutdown(socket.SHUT_WR)
    callee.expect(STDIN)
    callee.exit(0)
    assert finish(client) == (0, b"", "")


def test_stdin_is_no_stream_socket(run):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        for stdin in (subprocess.PIPE, theirs):
            status, out, err = finish(run("--use-stdin-socket", "work", "my.svc", stdin=stdin))
            assert (status, out) == (2, b"")
            assert "not a stream socket" in err


@pytest.mark.parametrize("option, filtered", [(None, True), ("-t", True), ("--no-filter-escape-chars-stdout", False)])
def test_filter_on_a_terminal(broker, run, option, filtered):
    master, slave = pty.openpty()
    client = run(*([option] if option else []), "work", "my.svc", stdout=slave)
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    callee.send(STDOUT, b"a\x1b[2J\x80z")
    callee.send(STDOUT)
    callee.exit(0)
    assert finish(client)[0] == 0
    os.close(slave)
    assert os.read(master, 100) == (b"a_[2J_z" if filtered else b"a\x1b[2J\x80z")
    os.close(master)


def test_filter_with_a_program(broker, run):
    """No terminal of ours is written to: a local program gets the bytes as they are, but for -t."""
    for options, expected in (([], b"\x1b"), (["-t"], b"_")):
        client = run(*options, "work", "my.svc", "/bin/cat")
        callee = Trigger(broker.accept()).allow()
        callee.hello()
        callee.send(STDOUT, b"\x1b")
        callee.expect(STDIN, expected)
        callee.send(STDOUT)
        callee.expect(STDIN)
        callee.exit(0)
        assert finish(client)[0] == 0


def test_flags_of_a_terminal_stay(broker, run):
    """Killed in the middle of a call, it leaves the terminal of its parent's shell as it was."""
    master, slave = pty.openpty()
    client = run("work", "my.svc", stdin=slave, stdout=slave)
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    os.write(master, b"line\n")
    callee.expect(STDIN, b"line\n")
    callee.send(STDOUT, b"shown")
    assert not fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK
    client.kill()
    client.wait()
    assert not fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK
    os.close(slave)
    os.close(master)


def test_closed_standard_descriptors(broker, run):
    client = run("work", "my.svc", stdin=None, stdout=None, preexec_fn=lambda: (os.close(0), os.close(1)))
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    callee.expect(STDIN)
    callee.send(STDOUT, b"for nobody")
    callee.send(STDOUT)
    callee.exit(9)
    assert finish(client)[0] == 9


def test_much_data_both_ways(broker, run):
    data = os.urandom(8 << 20)
    client = run("work", "my.svc")
    callee = Trigger(broker.accept()).allow()
    callee.hello()
    received = []

    def receive():
        while (message := callee.receive()) != (STDIN, b""):
            received.append(message[1])

    def send():
        for at in range(0, len(data), 65536):
            callee.send(STDOUT, data[at:at + 65536])
        callee.send(STDOUT)

    threads = [threading.Thread(target=receive), threading.Thread(target=send)]
    for thread in threads:
        thread.start()
    out, got_err = [], []
    reader = threading.Thread(target=lambda: out.append(client.stdout.read()))
    reader.start()
    client.stdin.write(data)
    client.stdin.close()
    for thread in threads:
        thread.join()
    callee.exit(0)
    reader.join()
    assert client.wait(DEADLINE) == 0
    assert b"".join(received) == data
    assert out == [data]
    assert got_err == []


def is_instrumented():
    with open(CLIENT_VM, "rb") as program:
        return b"__asan_init" in program.read()


def test_is_static():
    """What it loads is what each call pays for."""
    if is_instrumented():
        pytest.skip("built with sanitizers")
    headers = subprocess.run(["readelf", "-ld", CLIENT_VM], capture_output=True, text=True, check=True).stdout
    assert "DYN (Position-Independent Executable file)" in headers
    assert "INTERP" not in headers and "(NEEDED)" not in headers


@pytest.mark.parametrize("words", [None, [REFUSED, 17, 1], [REFUSED, 0, 2]], ids=["no broker", "refused", "stranger"])
def test_loads_nothing(broker, tmp_path, words):
    """No name service, no locale, no character sets: a static program must not need files of libc's. (Messages are where
    they would come in.)"""
    if is_instrumented():
        pytest.skip("built with sanitizers")
    trace = str(tmp_path / "trace")
    path = broker.path if words else str(tmp_path / "nobody")
    client = subprocess.Popen(
        ["strace", "-f", "-o", trace, "-e", "trace=open,openat,execve", CLIENT_VM, "-a", path, "work", "my.svc"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={"LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8", "PATH": "/usr/bin:/bin"})
    if words:
        Trigger(broker.accept()).refuse(*words)
    assert finish(client)[0] == (126 if words else 1)
    with open(trace) as file:
        opened = [line.split('"')[1] for line in file if "open" in line]
    assert opened == (["/etc/passwd"] if words == [REFUSED, 0, 2] else [])


# qrexec-client


@pytest.fixture
def daemon(tmp_path):
    listener = Listener(tmp_path / "qrexec.work")
    listener.dir = str(tmp_path)
    yield listener
    listener.close()


def run_host(daemon, *args, **kwargs):
    return subprocess.Popen([CLIENT, f"--socket-dir={daemon.dir}", *args], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)


def daemon_request(daemon, command, kind=EXEC_CMDLINE):
    """It says that it takes pipes; where there is no data, that it takes a stream. We may give it a stream each time."""
    client = daemon.accept()
    client.send(HELLO, struct.pack("<I", 3))
    client.expect(HELLO, struct.pack("<I", 3))
    mode = FRAMED if kind == JUST_EXEC else DIRECT
    client.expect(kind, struct.pack("<II", mode, 0) + command + b"\0")
    return client


def daemon_allow(client, kind=EXEC_CMDLINE):
    ours, theirs = socket.socketpair()
    socket.send_fds(client.sock, [struct.pack("<IIII", kind, 8, FRAMED, 21)], [theirs.fileno()])
    theirs.close()
    return Peer(ours)


@pytest.mark.parametrize("options, status", [([], 42), (["-E"], 0), (["--no-exit-code"], 0)])
def test_host_call(daemon, options, status):
    process = run_host(daemon, "-d", "work", *options, "DEFAULT:QUBESRPC my.svc+arg dom0")
    client = daemon_request(daemon, b"DEFAULT:QUBESRPC my.svc+arg dom0")
    callee = daemon_allow(client)
    callee.hello()
    process.stdin.write(b"question")
    process.stdin.close()
    process.stdin = None
    callee.expect(STDIN, b"question")
    callee.expect(STDIN)
    callee.send(STDOUT, b"answer\x1b")
    callee.send(STDOUT)
    callee.exit(42)
    assert finish(process) == (status, b"answer\x1b", "")
    client.expect_closed()


def test_host_local_command(daemon):
    process = run_host(daemon, "-d", "work", "-l", 'echo "$QREXEC_REMOTE_DOMAIN"; read x; exit $x', "user:true")
    callee = daemon_allow(daemon_request(daemon, b"user:true"))
    callee.hello()
    callee.expect(STDIN, b"work\n")
    callee.send(STDOUT, b"5\n")
    callee.send(STDOUT)
    callee.expect(STDIN)
    callee.exit(0)
    assert finish(process)[0] == 5


def test_host_just_exec(daemon):
    process = run_host(daemon, "-e", "-d", "work", "user:true")
    callee = daemon_allow(daemon_request(daemon, b"user:true", JUST_EXEC), JUST_EXEC)
    callee.hello()
    callee.exit(127)
    assert finish(process, b"")[0] == 127


def test_host_filter(daemon):
    process = run_host(daemon, "-t", "-T", "-d", "work", "user:true")
    callee = daemon_allow(daemon_request(daemon, b"user:true"))
    callee.hello()
    callee.send(STDOUT, b"\x1b")
    callee.send(STDERR, b"\x1b")
    callee.send(STDOUT)
    callee.exit(0)
    assert finish(process) == (0, b"_", "_")


def test_host_refused(daemon):
    process = run_host(daemon, "-d", "work", "user:true")
    daemon_request(daemon, b"user:true").close()
    assert finish(process) == (125, b"", "qrexec-client: the daemon refused, or could not reach the domain\n")


def test_host_no_daemon(daemon):
    status, _, err = finish(run_host(daemon, "-d", "vault", "user:true"))
    assert status == 125
    assert "qrexec.vault: No such file or directory; no such domain, or it is not running" in err


def test_host_old_daemon(daemon):
    process = run_host(daemon, "-d", "work", "user:true")
    client = daemon.accept()
    client.send(HELLO, struct.pack("<I", 2))
    assert finish(process)[0] == 125


def test_host_wait(daemon):
    process = run_host(daemon, "-w", "1", "-d", "work", "user:true")
    callee = daemon_allow(daemon_request(daemon, b"user:true"))
    callee.expect(HELLO, struct.pack("<I", 4))
    assert finish(process) == (125, b"", "qrexec-client: the service's end was not there in time\n")


@pytest.mark.parametrize("args, status", [
    (["user:true"], 1), (["-d", "work"], 1), (["-d", "work", "a:b", "c"], 1), (["-d", "../work", "a:b"], 1),
    (["-d", "work", "-e", "-l", "true", "a:b"], 1), (["-d", "work", "-w", "x", "a:b"], 1),
    (["-d", "work", "-p", "a", "-p", "b", "a:b"], 2), (["-d", "work", "--use-stdin-socket", "-l", "true", "a:b"], 1),
    (["-d", "work", "-c", "SOCKET1,a", "a:b"], 1), (["-d", "work", "-c", "SOCKET1,dom0,5", "a:b"], 1),
    (["-d", "work", "-c", "SOCKET1,a,5", "-l", "true", "a:b"], 1), (["-d", "work", "-c", "SOCKET1,a,5", "-e", "a:b"], 1),
    (["-d", "dom0", "DEFAULT:id"], 125), (["-d", "dom0", "-l", "true", "DEFAULT:QUBESRPC my.svc+ dom0"], 125),
    (["-d", "work", "x" * 65527], 1), (["-h"], 0), (["--nonsense"], 0),
], ids=lambda value: str(value)[:60])
def test_host_usage(daemon, args, status):
    got, out, err = finish(run_host(daemon, *args))
    assert got == status
    assert out.startswith(b"Usage: qrexec-client") if status == 0 else err


def test_host_longest_command(daemon):
    process = run_host(daemon, "-d", "work", "x" * 65526)
    daemon_request(daemon, b"x" * 65526).close()
    assert finish(process)[0] == 125
