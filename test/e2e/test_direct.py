# SPDX-License-Identifier: Apache-2.0
"""Direct mode: whole calls over plain pipes, between real processes."""

import contextlib
import fcntl
import hashlib
import os
import pty
import pwd
import re
import signal
import socket
import threading
import tty

import processes
import pytest
import wire
from waiting import wait_for
from world import agent_of

LIMIT_SEC = 20
SIZE = 64 << 20

F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032

POLICY = "*  *  work  vault  allow\n"

# What a service of these tests waits with: until its stdin ends.
WAIT = "cat >/dev/null"


@pytest.fixture
def host(world):
    world.add_domain("work", max_calls=2000)
    world.add_domain("vault")
    world.set_policy(POLICY)
    world.start()
    return world


# A local program that carries what it finds at the caller's stdin to the service, and back.
BOTH_WAYS = """
import os, threading

def copy(source, target):
    while data := os.read(source, 1 << 16):
        while data:
            data = data[os.write(target, data):]
    os.close(target)

thread = threading.Thread(target=copy, args=(int(os.environ["SAVED_FD_0"]), 1))
thread.start()
copy(0, int(os.environ["SAVED_FD_1"]))
thread.join()
"""


def feed(stream, blocks, digest):
    for block in blocks:
        digest.update(block)
        with contextlib.suppress(BrokenPipeError):
            stream.write(block)
    stream.close()


def drain(stream, digest):
    while block := stream.read(1 << 20):
        digest.update(block)


def blocks(size):
    """SIZE bytes that no two blocks have in common, cheaply."""
    base = os.urandom(1 << 20)
    return (bytes([number & 255]) + base[1:] for number in range(size >> 20))


# Who touches the data


def test_nobody_of_ours_has_the_pipes_of_a_program(host):
    """With a local program, the pipes are the service's and the program's alone."""
    host.add_service("my.Wait", "echo ready; read line; echo $line >&2; exit 3")
    script = "read line; echo $line >&2; read line <&$SAVED_FD_0; echo $line"
    call = host.start_call("work", "vault", "my.Wait", program=["/bin/sh", "-c", script])
    assert call.stderr.readline() == b"ready\n"
    (service,) = [process for process in processes.others() if process.command.endswith("/my.Wait")]
    ours = {processes.pipes_of(service.pid)[0], processes.pipes_of(service.pid)[1]}
    # The service and the local program, both of them shells: no client, no agent, no broker. The agent lets go only
    # when the service's program has been executed, which that may say before.
    def holders():
        return [process.program for process in processes.others() if ours & set(processes.pipes_of(process.pid).values())]

    wait_for(lambda: holders() == 2 * [os.path.realpath("/bin/sh")], holders)
    stdout, stderr = call.communicate(b"now\n", timeout=LIMIT_SEC)
    assert (call.returncode, stdout, stderr) == (3, b"", b"now\n")


def test_no_process_but_the_service(host):
    """A program is a child of the agent itself: there is no handler, and no QREXEC_AGENT_PID."""
    host.add_service("my.Env", "echo $PPID; echo ${QREXEC_AGENT_PID-unset}; " + WAIT)
    call = host.start_call("work", "vault", "my.Env")
    assert int(call.stdout.readline()) == agent_of("vault").pid
    assert call.stdout.readline() == b"unset\n"
    call.stdin.close()
    assert call.wait(LIMIT_SEC) == 0


@pytest.mark.parametrize("program", [False, True], ids=["pumped", "program"])
def test_every_byte_arrives_both_ways(host, program):
    host.add_service("my.Cat", "exec cat")
    call = host.start_call("work", "vault", "my.Cat", program=["/usr/bin/python3", "-c", BOTH_WAYS] if program else [])
    sent, got = hashlib.sha256(), hashlib.sha256()
    writer = threading.Thread(target=feed, args=(call.stdin, blocks(SIZE), sent))
    writer.start()
    drain(call.stdout, got)
    writer.join()
    assert call.wait(LIMIT_SEC) == 0
    assert sent.digest() == got.digest()


def test_files_at_both_ends(host, tmp_path):
    host.add_service("my.Cat", "exec cat")
    (tmp_path / "in").write_bytes(os.urandom(5 << 20))
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "wb") as target:
        call = host.start_call("work", "vault", "my.Cat", stdin=source, stdout=target)
        assert call.wait(LIMIT_SEC) == 0
    assert (tmp_path / "in").read_bytes() == (tmp_path / "out").read_bytes()


def test_a_file_that_is_appended_to(host, tmp_path):
    """splice(2) refuses O_APPEND; nothing that was there is overwritten."""
    host.add_service("my.Data", "head -c 3000000 /dev/zero")
    (tmp_path / "out").write_bytes(b"before")
    with open(tmp_path / "out", "ab") as target:
        call = host.start_call("work", "vault", "my.Data", stdout=target)
        call.stdin.close()
        assert call.wait(LIMIT_SEC) == 0
    assert (tmp_path / "out").read_bytes() == b"before" + bytes(3000000)


def test_a_socket_at_both_ends(host):
    host.add_service("my.Cat", "exec cat")
    ours, theirs = socket.socketpair()
    data = os.urandom(3 << 20)
    with ours:
        call = host.start_call("work", "vault", "my.Cat", stdin=theirs, stdout=theirs)
        theirs.close()
        writer = threading.Thread(target=lambda: (ours.sendall(data), ours.shutdown(socket.SHUT_WR)))
        writer.start()
        ours.settimeout(LIMIT_SEC)
        assert wire.receive_all(ours) == data
        writer.join()
        assert call.wait(LIMIT_SEC) == 0


def test_use_stdin_socket(host):
    """The service's end of output ends that direction alone; input goes on."""
    host.add_service("my.Half", "echo out; exec >&-; cat >&2")
    ours, theirs = socket.socketpair()
    with ours:
        call = host.start_call("work", "vault", "my.Half", options=["--use-stdin-socket"], stdin=theirs)
        theirs.close()
        ours.settimeout(LIMIT_SEC)
        assert wire.receive_all(ours) == b"out\n"
        ours.sendall(b"in")
        ours.shutdown(socket.SHUT_WR)
        assert call.stderr.read() == b"in"
        assert call.wait(LIMIT_SEC) == 0


def test_a_terminal_at_both_ends(host):
    """What is typed arrives line by line, what comes back is filtered, and the terminal's flags stay as they were."""
    host.add_service("my.Echo", "read line; printf '<%s>\\033[31m' \"$line\"; " + WAIT)
    master, slave = pty.openpty()
    tty.setraw(slave)
    before = fcntl.fcntl(slave, fcntl.F_GETFL)
    call = host.start_call("work", "vault", "my.Echo", stdin=slave, stdout=slave)
    os.write(master, b"typed\n")
    got = b""
    while len(got) < 12:
        got += os.read(master, 100)
    assert got == b"<typed>_[31m"
    assert fcntl.fcntl(slave, fcntl.F_GETFL) == before
    call.kill()
    call.wait()
    assert fcntl.fcntl(slave, fcntl.F_GETFL) == before
    os.close(slave)
    os.close(master)


def both_ends(kind, folder):
    """What a caller may have inherited: its stdin and stdout, and what else has to be closed."""
    if kind == "pipes":
        (stdin, other_in), (other_out, stdout) = os.pipe(), os.pipe()
        return stdin, stdout, [other_in, other_out]
    if kind == "terminal":
        master, slave = pty.openpty()
        tty.setraw(slave)
        return slave, slave, [master]
    if kind == "files":
        (folder / "in").write_bytes(bytes(1 << 20))
        return os.open(folder / "in", os.O_RDONLY), os.open(folder / "out", os.O_CREAT | os.O_WRONLY), []
    ours, theirs = socket.socketpair()
    fd = theirs.detach()
    return fd, fd, [ours.detach()]


@pytest.mark.parametrize("end", ["killed", "ended"])
@pytest.mark.parametrize("kind", ["pipes", "sockets", "one-socket", "terminal", "files"])
def test_flags_of_what_the_caller_inherited(host, tmp_path, kind, end):
    """They are the user's: not changed while a call runs, so not left changed by whatever ends it."""
    options = ["--use-stdin-socket"] if kind == "one-socket" else []
    host.add_service("my.Flood", "echo begun >&2; head -c 300000 /dev/zero; echo done >&2; " + ("exit 0" if end == "ended" else WAIT))
    stdin, stdout, others = both_ends(kind, tmp_path)
    before = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (stdin, stdout)]
    assert not any(flags & os.O_NONBLOCK for flags in before)
    taker = threading.Thread(target=take, args=(others[-1:] if kind != "terminal" else others,))
    taker.start()
    call = host.start_call("work", "vault", "my.Flood", options=options, stdin=stdin, stdout=stdout)
    for line in (b"begun\n", b"done\n"):
        assert call.stderr.readline() == line
        assert [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (stdin, stdout)] == before
    if end == "killed":
        call.kill()
        call.wait()
    else:
        assert call.wait(LIMIT_SEC) == 0
    assert [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (stdin, stdout)] == before
    for fd in {stdin, stdout}:
        os.close(fd)
    taker.join()
    for fd in others:
        os.close(fd)


def take(fds):
    """Read what comes, to the end."""
    for fd in fds:
        with contextlib.suppress(OSError):  # a terminal's end is an error
            while os.read(fd, 65536):
                pass


# Ends


def test_the_end_of_input_reaches_the_service(host):
    host.add_service("my.Count", "wc -c")
    assert host.call("work", "vault", "my.Count", input=b"12345").stdout.strip() == b"5"
    assert host.call("work", "vault", "my.Count").stdout.strip() == b"0"


def test_a_service_that_closes_stdout_early(host):
    """Its reader sees the end at once; the call goes on."""
    host.add_service("my.Early", "echo out; exec >&-; read line; echo $line >&2; exit 4")
    call = host.start_call("work", "vault", "my.Early")
    assert call.stdout.read() == b"out\n"
    assert call.poll() is None
    call.stdin.write(b"go on\n")
    call.stdin.flush()
    assert call.stderr.read() == b"go on\n"
    assert call.wait(LIMIT_SEC) == 4


def test_a_service_that_does_not_read(host):
    """Its exit is the end, however much input there is; what was not read is nobody's."""
    host.add_service("my.Deaf", "exec <&-; echo done; exit 5")
    call = host.start_call("work", "vault", "my.Deaf")
    feed(call.stdin, blocks(4 << 20), hashlib.sha256())
    assert call.stdout.read() == b"done\n"
    assert call.wait(LIMIT_SEC) == 5


def test_stdin_may_stay_open(host):
    host.add_service("my.Quick", "echo done; exit 6")
    call = host.start_call("work", "vault", "my.Quick")
    assert call.wait(LIMIT_SEC) == 6
    assert call.stdout.read() == b"done\n"


def test_a_blocked_reader_holds_up_nothing_else(host):
    """Output that nobody takes does not stop input, nor messages."""
    host.add_service("my.Both", "head -c 10000000 /dev/zero & wc -c >&2; wait")
    call = host.start_call("work", "vault", "my.Both")
    feed(call.stdin, blocks(4 << 20), hashlib.sha256())
    assert call.stderr.readline().strip() == b"%d" % (4 << 20)
    assert len(call.stdout.read()) == 10000000
    assert call.wait(LIMIT_SEC) == 0


def test_blocked_input_holds_up_no_output(host):
    """256 KiB and more of input to a service that is not yet reading (86)."""
    host.add_service("my.Late", "head -c 5000000 /dev/zero; echo >&2; wc -c")
    call = host.start_call("work", "vault", "my.Late")
    writer = threading.Thread(target=feed, args=(call.stdin, blocks(6 << 20), hashlib.sha256()))
    writer.start()
    assert call.stdout.read(5000000) == bytes(5000000)
    assert call.stderr.readline() == b"\n"
    assert call.stdout.read().strip() == b"%d" % (6 << 20)
    writer.join()
    assert call.wait(LIMIT_SEC) == 0


def test_a_reader_that_leaves(host):
    """As in a shell's pipeline: the service finds nobody at its stdout, and the caller is told so."""
    host.add_service("my.Yes", "exec yes")
    call = host.start_call("work", "vault", "my.Yes")
    assert call.stdout.read(4) == b"y\ny\n"
    call.stdout.close()
    assert call.wait(LIMIT_SEC) == 128 + signal.SIGPIPE


def test_sigpipe_has_its_default_at_both_ends(host):
    host.add_service("my.Sig", "grep SigIgn /proc/self/status; " + WAIT)
    script = "cat >&$SAVED_FD_1; grep SigIgn /proc/self/status >&$SAVED_FD_1"
    call = host.start_call("work", "vault", "my.Sig", program=["/bin/sh", "-c", "exec >&-; " + script])
    # Its stdout is not the service's any more, so the service's input ends.
    ignored = [int(mask, 16) for mask in re.findall(rb"SigIgn:\s*(\w+)", call.stdout.read())]
    assert len(ignored) == 2 and not any(mask & 1 << (signal.SIGPIPE - 1) for mask in ignored)
    assert call.wait(LIMIT_SEC) in (0, 1)


def test_a_process_left_behind_with_stdout(host):
    """Output goes on until its last writer is gone; the status is the service's own (67)."""
    host.add_service("my.Daemon", "(read line </run/test/fifo; echo late) & exit 7")
    os.mkfifo("/run/test/fifo")
    os.chmod("/run/test/fifo", 0o666)
    call = host.start_call("work", "vault", "my.Daemon")
    host.wait_log("ended: exited, status 7")
    assert call.poll() is None
    with open("/run/test/fifo", "w") as fifo:
        fifo.write("now\n")
    assert call.stdout.read() == b"late\n"
    assert call.wait(LIMIT_SEC) == 7


def test_a_process_left_behind_with_stderr(host):
    """It does not hold up the exit code; what it still writes goes to the log."""
    host.add_service("my.Daemon", "#!/bin/bash\n(exec >&- <&-; read line </run/test/fifo; echo to the log >&2) & echo before >&2; exit 8")
    os.mkfifo("/run/test/fifo")
    os.chmod("/run/test/fifo", 0o666)
    result = host.call("work", "vault", "my.Daemon")
    assert (result.returncode, result.stdout, result.stderr) == (8, b"", "before\n")
    with open("/run/test/fifo", "w") as fifo:
        fifo.write("now\n")
    host.wait_log("my.Daemon[^ ]*-work: to the log")


def test_status_of_a_service(host):
    host.add_service("my.Exit", 'case $1 in kill) kill -9 $$;; *) exit $1;; esac')
    for argument, status in (("0", 0), ("42", 42), ("255", 255), ("kill", 128 + 9)):
        assert host.call("work", "vault", "my.Exit+" + argument).returncode == status
    assert host.call("work", "vault", "my.None").returncode == 127


def test_status_of_a_local_program(host):
    host.add_service("my.Exit", "exit $1")
    for remote, local, status in ((0, 0, 0), (0, 3, 3), (4, 0, 4), (4, 3, 4)):
        result = host.call("work", "vault", "my.Exit+%d" % remote, program=["/bin/sh", "-c", "exit %d" % local])
        assert result.returncode == status, (remote, local)
    assert host.call("work", "vault", "my.Exit+0", program=["/nonexistent"]).returncode == 255


# stderr


def test_stderr_is_forwarded_and_logged(host):
    host.add_service("my.Err", "echo one >&2; echo two >/proc/self/fd/2; echo three >/dev/stderr; echo out >/dev/stdout")
    result = host.call("work", "vault", "my.Err")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"out\n", "one\ntwo\nthree\n")
    host.wait_log("my.Err[^ ]*-work: three")


def test_much_stderr_arrives(host):
    host.add_service("my.Err", "head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 9")
    result = host.call("work", "vault", "my.Err")
    assert (result.returncode, len(result.stderr)) == (9, 3000000)


def test_a_caller_that_does_not_read_its_status_stream(host):
    """The one service stops at its stderr; other calls, their stderr included, go on, and nothing is lost."""
    host.add_service("my.Err", "head -c 2000000 /dev/zero | tr '\\0' x >&2; exit 9")
    with wire.connect_as("work", wire.SHARED) as connection:
        connection.sendall(wire.trigger("vault", "my.Err"))
        data, fds, _, _ = socket.recv_fds(connection, 100, 4)
    assert len(data) == 8 and len(fds) == 3
    with wire.Channel(fds) as channel:
        for _ in range(3):
            result = host.call("work", "vault", "my.Err")
            assert (result.returncode, len(result.stderr)) == (9, 2000000)
        data = wire.receive_all(channel.stream)
    assert data.startswith(wire.hello()) and data.endswith(wire.exit_code(9)) and data.count(b"x") >= 2000000


def test_a_caller_cannot_send_on_its_status_stream(host):
    host.add_service("my.Wait", WAIT)
    with wire.connect_as("work", wire.SHARED) as connection:
        connection.sendall(wire.trigger("vault", "my.Wait"))
        _, fds, _, _ = socket.recv_fds(connection, 100, 4)
    with wire.Channel(fds) as channel:
        with pytest.raises(BrokenPipeError):
            channel.stream.send(b"x")


def test_stderr_is_filtered_where_asked(host):
    host.add_service("my.Err", "printf '\\033x' >&2; printf '\\033y'")
    result = host.call("work", "vault", "my.Err", options=["-t", "-T"])
    assert (result.stdout, result.stderr) == (b"_y", "_x")
    result = host.call("work", "vault", "my.Err", options=["-t"], program=["/bin/sh", "-c", "cat >&$SAVED_FD_1"])
    assert result.stdout == b"_y"


def test_prefix(host):
    host.add_service("my.Cat", "exec cat")
    long = "p" * 100000
    assert host.call("work", "vault", "my.Cat", options=["-p", "before "], input=b"after").stdout == b"before after"
    assert host.call("work", "vault", "my.Cat", options=["-p", long]).stdout == long.encode()
    script = "printf after; exec >&-; cat >&$SAVED_FD_1"
    result = host.call("work", "vault", "my.Cat", options=["-p", long], program=["/bin/sh", "-c", script])
    assert result.stdout == long.encode() + b"after"


def test_prefix_that_the_pipe_cannot_hold(host):
    """Pipes of an account that has too many are small, and stay so: the program starts all the same."""
    host.add_service("my.Cat", "exec cat")
    long = "p" * 100000
    script = "printf after; exec >&-; cat >&$SAVED_FD_1"
    with small_pipes("qrexec"):
        result = host.call("work", "vault", "my.Cat", options=["-p", long], program=["/bin/sh", "-c", script])
    assert result.stdout == long.encode() + b"after"


@contextlib.contextmanager
def small_pipes(account):
    """As if ACCOUNT had as many pages in pipes as one may have without privilege."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setresuid(*3 * [pwd.getpwnam(account).pw_uid])
            held = [os.pipe()]
            with contextlib.suppress(PermissionError):
                while len(held) < 200:
                    fcntl.fcntl(held[-1][0], F_SETPIPE_SZ, 1 << 20)
                    held.append(os.pipe())
            while fcntl.fcntl(held[-1][0], F_GETPIPE_SZ) > 8192 and len(held) < 400:
                held.append(os.pipe())
            if len(held) < 400:
                os.write(theirs, b"x")
                signal.pause()
        os._exit(0)
    os.close(theirs)
    try:
        assert os.read(ours, 1) == b"x"
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ours)


# What is not a program with pipes


def test_single_socket_needs_direct_false(host):
    script = "#!/bin/bash\nkill -USR1 $QREXEC_AGENT_PID; exec >&0; echo moved; exec cat"
    host.add_service("my.Single", script, config="direct = false\n")
    result = host.call("work", "vault", "my.Single", input=b"and back")
    assert (result.returncode, result.stdout) == (0, b"moved\nand back"), result


def test_direct_false_has_sockets(host):
    host.add_service("my.Sockets", "readlink /proc/self/fd/0 /proc/self/fd/1; cat; echo err >&2; exit 3", config="direct=false\n")
    result = host.call("work", "vault", "my.Sockets", input=b"in")
    assert re.fullmatch(rb"socket:.*\nsocket:.*\nin", result.stdout), result
    assert (result.returncode, result.stderr) == (3, "err\n")


def test_direct_false_every_byte(host):
    host.add_service("my.Cat", "exec cat", config="direct=false\n")
    call = host.start_call("work", "vault", "my.Cat")
    sent, got = hashlib.sha256(), hashlib.sha256()
    writer = threading.Thread(target=feed, args=(call.stdin, blocks(SIZE), sent))
    writer.start()
    drain(call.stdout, got)
    writer.join()
    assert call.wait(LIMIT_SEC) == 0
    assert sent.digest() == got.digest()


def test_direct_false_drops_what_nobody_takes(host):
    """A framed connection's rule: a reader who left is no reason for the service to end."""
    host.add_service("my.Much", "head -c 3000000 /dev/zero; echo end >&2; exit 2", config="direct=false\n")
    call = host.start_call("work", "vault", "my.Much")
    call.stdout.close()
    assert call.stderr.read() == b"end\n"
    assert call.wait(LIMIT_SEC) == 2


# Deaths


def test_a_client_that_is_killed(host):
    """The service finds the end of its input and nobody at its output; flags of what the client had inherited stay."""
    host.add_service("my.Stream", "cat >/dev/null; echo end of input >&2; yes; echo $? >&2")
    ours, theirs = os.pipe(), os.pipe()
    before = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (ours[0], theirs[1])]
    call = host.start_call("work", "vault", "my.Stream", stdin=ours[0], stdout=theirs[1])
    os.write(ours[1], b"x" * 30000)
    wait_for(lambda: host.started("my.Stream"), "the service")
    call.kill()
    call.wait()
    assert [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (ours[0], theirs[1])] == before
    host.wait_log("my.Stream[^ ]*-work: end of input")
    host.wait_log("my.Stream[^ ]*-work: 141")
    host.wait_log("work -> vault: ended")
    for fd in ours + theirs:
        os.close(fd)


def test_an_agent_that_dies(host):
    """The caller is told 255; what the service still writes arrives."""
    host.add_service("my.Slow", "echo first; read line; echo $line")
    call = host.start_call("work", "vault", "my.Slow")
    assert call.stdout.readline() == b"first\n"
    agent_of("vault").kill()
    stdout, _ = call.communicate(b"and last\n", timeout=LIMIT_SEC)
    assert (call.returncode, stdout) == (255, b"and last\n")


def test_an_agent_that_is_stopped(host):
    """A service is not ended by that, its data arrive, and its exit code; then the agent ends."""
    host.add_service("my.Slow", "echo first; read line; echo aloud >&2; echo still >&2; echo $line; " + WAIT)
    call = host.start_call("work", "vault", "my.Slow")
    assert call.stdout.readline() == b"first\n"
    agent = agent_of("vault")
    agent.kill(signal.SIGTERM)
    host.wait_log("told to stop: 1 calls still run here")
    call.stdin.write(b"and last\n")
    call.stdin.flush()
    assert call.stdout.readline() == b"and last\n"
    assert call.communicate(timeout=LIMIT_SEC) == (b"", b"aloud\nstill\n")
    assert call.returncode == 0
    assert agent.wait(LIMIT_SEC)
    host.wait_audit(event="end", how="exited", service="my.Slow")


# Many


def test_many_calls_at_once(host):
    """300 open calls cost the agent three descriptors and less than a KiB each, and none of them is confused."""
    host.add_service("my.Echo", "read line; echo $1 $line; exit 3")
    assert host.call("work", "vault", "my.Echo+x", input=b"warm\n").returncode == 3
    agent = agent_of("vault")
    before_fds, before_kib = len(os.listdir("/proc/%d/fd" % agent.pid)), processes.private_kib(agent.pid)
    calls = [host.start_call("work", "vault", "my.Echo+%d" % number) for number in range(300)]
    wait_for(lambda: len(processes.children_of(agent.pid)) == 300, "300 services")
    # Those of the last start are closed a moment after its process is there.
    wait_for(lambda: len(os.listdir("/proc/%d/fd" % agent.pid)) - before_fds <= 3 * 300, "three descriptors a call")
    assert processes.private_kib(agent.pid) - before_kib <= 300
    for number, call in enumerate(calls):
        stdout, _ = call.communicate(b"line %d\n" % number, timeout=LIMIT_SEC)
        assert (call.returncode, stdout) == (3, b"%d line %d\n" % (number, number))
    wait_for(lambda: len(os.listdir("/proc/%d/fd" % agent.pid)) <= before_fds, "the agent to close everything")


def test_a_framed_call_of_the_host(host):
    """Who asks for a stream on a daemon socket still gets one."""
    host.add_service("my.Echo", "cat; exit 5")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LIMIT_SEC)
        connection.connect("/run/qubes/qrexec.vault")
        assert connection.recv(100) == wire.hello(3)
        command = wire.struct.pack("<II", wire.DOMAIN_FRAMED, 0) + b"DEFAULT:QUBESRPC my.Echo+ dom0\0"
        connection.sendall(wire.hello(3) + wire.message(wire.EXEC_CMDLINE, command))
        data, fds, _, _ = socket.recv_fds(connection, 16, 4)
        assert wire.struct.unpack("<4I", data)[:3] == (wire.EXEC_CMDLINE, 8, wire.DOMAIN_FRAMED) and len(fds) == 1
        with socket.socket(fileno=fds[0]) as stream:
            stream.settimeout(LIMIT_SEC)
            stream.sendall(wire.hello() + wire.message(wire.DATA_STDIN, b"in") + wire.message(wire.DATA_STDIN))
            data = wire.receive_all(stream)
    assert data.startswith(wire.hello()) and wire.message(wire.DATA_STDOUT, b"in") in data
    assert data.endswith(wire.exit_code(5))


def test_a_direct_call_of_the_host(host):
    host.add_service("my.Echo", "cat; echo err >&2; exit 5")
    command = ["/usr/bin/qrexec-client", "-d", "vault", "DEFAULT:QUBESRPC my.Echo+ dom0"]
    result = host.run_as("root", command, input=b"in")
    assert (result.returncode, result.stdout, result.stderr) == (5, b"in", "err\n")
    result = host.run_as("root", [*command[:-1], "-e", command[-1]])
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", "")
