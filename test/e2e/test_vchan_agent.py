# SPDX-License-Identifier: Apache-2.0
"""The real qrexec-agent on a vchan link, against a daemon and callers of upstream's kind that are played here.

The programs are driven as appendix D of the protocol specification says. A test named A17_… is about line 17 of its
appendix A. Needs nothing but QAIR_BUILD, the build folder.
"""

import os
import signal
import socket
import struct
import subprocess

import pytest

from vchan import (
    ACCOUNT,
    CONNECTION_TERMINATED,
    CONTROL,
    EXEC_CMDLINE,
    EXIT_CODE,
    HELLO,
    HOST,
    JUST_EXEC,
    LIMIT,
    OTHER,
    OWN,
    SERVICE_CONNECT,
    SERVICE_REFUSED,
    STDERR,
    STDIN,
    STDOUT,
    TRIGGER2,
    TRIGGER3,
    TRIGGER4,
    Folder,
    Peer,
    kill_and_wait,
    message,
    params,
    trigger4,
    wait_for,
)

PORT = 1024
AGENT = "src/agent/qrexec-agent"


class Agent(Folder):
    """The agent of domain 42, and what its daemon, its callers and its local clients do."""

    def __init__(self):
        super().__init__()
        self.trigger_path = self.sockets / "agent.sock"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.settimeout(LIMIT)
        self.notify.bind(str(self.path / "notify"))
        os.chmod(self.path / "notify", 0o777)
        self.process = None
        self.daemon = None

    def spawn(self, **environment):
        self.process = self.start(
            AGENT,
            "--no-fork-server",
            "--agent-socket=%s" % self.trigger_path,
            environment={"NOTIFY_SOCKET": str(self.path / "notify"), "QREXEC_STRAY": "x", **environment},
        )

    def dial_control(self):
        self.daemon = self.dial(OWN, HOST, CONTROL)
        return self.daemon

    def handshake(self, version=4):
        daemon = self.dial_control()
        daemon.expect(HELLO, struct.pack("<I", 4))
        daemon.send(HELLO, struct.pack("<I", version))
        wait_for(self.trigger_path.exists, "the trigger socket")
        return daemon

    # --- what a daemon and a caller do

    def order(self, text, port=PORT, kind=EXEC_CMDLINE, domain=OTHER):
        self.daemon.send(kind, params(domain, port, text if isinstance(text, bytes) else text.encode() + b"\0"))

    def execute(self, text, port=PORT, kind=EXEC_CMDLINE, version=4):
        """Order a command and be its caller. Return: the caller's end, after the handshake."""
        listener = self.listen(OTHER, OWN, port)
        self.order(text, port, kind)
        caller = self.accept(listener)
        caller.hello(version)
        return caller

    def call(self, descriptor, source="work", **options):
        return self.execute("%s:QUBESRPC %s %s" % (ACCOUNT, descriptor, source), **options)

    def run(self, descriptor, **options):
        """A call without input, to its end. Return: (stdout, stderr, exit code, types)"""
        caller = self.call(descriptor, **options)
        caller.end_stdin()
        outcome = caller.outcome()
        self.assert_terminated(options.get("port", PORT))
        return outcome

    def assert_terminated(self, port=PORT, domain=OTHER):
        self.daemon.expect(CONNECTION_TERMINATED, params(domain, port))

    def assert_nothing_more(self):
        """The daemon hears nothing more: a refusal for nobody is answered by nothing, a call by its end alone."""
        self.order("%s:true" % ACCOUNT, port=PORT + 1)
        caller = self.accept(self.listen(OTHER, OWN, PORT + 1))
        caller.hello()
        caller.messages()
        self.assert_terminated(PORT + 1)

    # --- what a local client does

    def client(self):
        return self.connect(self.trigger_path)

    def request(self, payload):
        """A client that sends a request. Return: the client, and the ident under which the daemon got it."""
        client = self.client()
        client.send(TRIGGER4, payload)
        kind, forwarded = self.daemon.next()
        assert kind == TRIGGER4
        return client, forwarded[128:160].rstrip(b"\0")

    def stop(self):
        if self.process and self.process.poll() is None:
            kill_and_wait(self.process)
        if self.daemon:
            self.daemon.close()
        self.notify.close()
        self.close()


@pytest.fixture
def idle():
    """An agent that nobody has dialled yet."""
    agent = Agent()
    agent.spawn()
    yield agent
    agent.stop()


@pytest.fixture
def agent(idle):
    idle.handshake()
    return idle


# --- handshake


def test_A01_A03_the_callee_dials_and_waits_for_its_caller(agent):
    agent.order("%s:echo hello" % ACCOUNT)
    # Only now somebody listens. That the handler was there before cannot be seen, but it may well have been.
    caller = agent.accept(agent.listen(OTHER, OWN, PORT))
    caller.hello()
    caller.end_stdin()
    assert caller.outcome()[:3] == (b"hello\n", b"", 0)
    agent.assert_terminated()


def test_A01_the_host_is_a_caller_like_any(agent):
    listener = agent.listen(HOST, OWN, 513)
    agent.order("%s:echo hello" % ACCOUNT, port=513, domain=HOST)
    caller = agent.accept(listener)
    caller.hello()
    caller.end_stdin()
    assert caller.outcome()[:3] == (b"hello\n", b"", 0)
    agent.assert_terminated(513, HOST)


def test_A04_a_stale_file_is_not_a_caller(agent):
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stale.bind(str(agent.socket_path(OTHER, OWN, PORT)))
    agent.socket_path(OTHER, OWN, PORT).chmod(0o777)
    stale.close()
    agent.order("%s:echo hello" % ACCOUNT)
    wait_for(lambda: handlers(agent), "the handler that tries to dial")
    agent.socket_path(OTHER, OWN, PORT).unlink()
    caller = agent.accept(agent.listen(OTHER, OWN, PORT))
    caller.hello()
    caller.end_stdin()
    assert caller.outcome()[0] == b"hello\n"


def test_A05_the_agent_speaks_first(idle):
    idle.dial_control().expect(HELLO, struct.pack("<I", 4))


@pytest.mark.parametrize("version", [2, 3, 4, 5, 1000])
def test_A08_versions_are_negotiated_down(idle, version):
    idle.handshake(version)
    assert idle.process.poll() is None


def test_A39_the_trigger_socket_waits_for_the_handshake(idle):
    daemon = idle.dial_control()
    daemon.expect(HELLO, struct.pack("<I", 4))
    assert not idle.trigger_path.exists()
    daemon.send(HELLO, struct.pack("<I", 4))
    wait_for(idle.trigger_path.exists, "the trigger socket")
    assert idle.trigger_path.stat().st_mode & 0o777 == 0o777
    assert idle.notify.recv(100) == b"READY=1"


@pytest.mark.parametrize("version", [2, 3, 4])
def test_A13_the_data_hello_is_always_4(agent, version):
    caller = agent.call("test.Nothing", version=version)  # expects 4
    caller.outcome()


# --- limits of chunks


@pytest.mark.parametrize("version, limit", [(2, 4096), (3, 65536), (4, 65536), (7, 65536)])
def test_A14_A15_chunks(agent, version, limit):
    agent.service("test.Count", "#!/bin/sh\nwc -c\n")
    caller = agent.call("test.Count", version=version)
    caller.send(STDIN, b"x" * limit)
    caller.end_stdin()
    assert caller.outcome()[:3] == (b"%d\n" % limit, b"", 0)
    agent.assert_terminated()

    caller = agent.call("test.Count", version=version)
    caller.send_raw(struct.pack("<II", STDIN, limit + 1))
    assert [kind for kind, payload in caller.messages()] == []
    agent.assert_terminated()


@pytest.mark.parametrize("version, limit", [(2, 4096), (4, 65536)])
def test_A14_A15_what_the_agent_sends(agent, version, limit):
    agent.service("test.Many", "#!/bin/sh\nhead -c 1000000 /dev/zero\n")
    caller = agent.call("test.Many", version=version)
    received = [payload for kind, payload in caller.messages() if kind == STDOUT]
    assert max(map(len, received)) <= limit
    assert b"".join(received) == b"\0" * 1000000


# --- orders


def test_A40_a_command_without_its_nul_loses_its_last_character(agent):
    listener = agent.listen(OTHER, OWN, PORT)
    agent.order(b"%s:echo hello!" % ACCOUNT.encode())
    caller = agent.accept(listener)
    caller.hello()
    caller.end_stdin()
    assert caller.outcome()[:3] == (b"hello\n", b"", 0)


def test_the_longest_command(agent):
    agent.service("test.Count", '#!/bin/sh\nprintf %s "$1" | wc -c\n')
    n = 65000 - len("test.Count+")
    assert agent.run("test.Count+" + "a" * n)[:3] == (b"%d\n" % n, b"", 0)


def test_messages_in_pieces_and_together(agent):
    agent.service("test.Echo", "#!/bin/sh\ncat\n")
    listeners = [agent.listen(OTHER, OWN, PORT + i) for i in range(3)]
    orders = b"".join(
        message(EXEC_CMDLINE, params(OTHER, PORT + i, b"%s:QUBESRPC test.Echo work\0" % ACCOUNT.encode()))
        for i in range(3)
    )
    for i in range(0, len(orders), 7):
        agent.daemon.send_raw(orders[i : i + 7])
    for i, listener in enumerate(listeners):
        caller = agent.accept(listener)
        caller.hello()
        caller.send(STDIN, b"call %d" % i)
        caller.end_stdin()
        assert caller.outcome()[:3] == (b"call %d" % i, b"", 0)


def test_many_messages_at_once(agent):
    """What came in one piece is taken in one, with no event for the rest of it."""
    listener = agent.listen(OTHER, OWN, PORT)
    agent.daemon.send_raw(
        message(SERVICE_REFUSED, b"x".ljust(32, b"\0")) * 1000
        + message(EXEC_CMDLINE, params(OTHER, PORT, b"%s:echo last\0" % ACCOUNT.encode()))
    )
    caller = agent.accept(listener)
    caller.hello()
    assert caller.outcome()[:3] == (b"last\n", b"", 0)


@pytest.mark.parametrize(
    "text",
    [
        "no colon",
        "%s:QUBESRPC",
        "%s:QUBESRPCx y z",  # A91
        "%s:QUBESRPC test.Echo",
        "%s:QUBESRPC test.Echo  work",  # A92
        "%s:QUBESRPC " + "n" * 256 + " work",  # A94
        "nobody:echo hello",  # A115
        ":echo hello",
    ],
    ids=["no user", "bare", "A91", "no source", "A92", "A94", "A115", "empty user"],
)
def test_A43_A62_what_cannot_be_run_is_told(agent, text):
    agent.service("test.Echo", "#!/bin/sh\ncat\n")
    caller = agent.execute(text.replace("%s", ACCOUNT))
    assert caller.messages() == [(STDOUT, b""), (STDERR, b""), (EXIT_CODE, struct.pack("<i", 125))]
    agent.assert_terminated()
    agent.assert_nothing_more()


def test_A62_a_service_that_is_not_there(agent):
    caller = agent.call("test.Nothing+arg")
    assert caller.messages() == [(STDOUT, b""), (STDERR, b""), (EXIT_CODE, struct.pack("<i", 127))]
    agent.assert_terminated()


def test_A44_each_call_ends_once(agent):
    agent.service("test.Exit", '#!/bin/sh\nexit "$1"\n')
    for i in range(5):
        assert agent.run("test.Exit+%d" % i, port=2000 + i)[2] == i
    agent.assert_nothing_more()


def test_A44_many_calls_at_once(agent):
    """More than the 256 that the reference can count."""
    agent.service("test.Hold", "#!/bin/sh\nread line\n")
    callers = [agent.call("test.Hold", port=3000 + i) for i in range(300)]
    for caller in callers:
        caller.end_stdin()
    assert all(caller.outcome()[2] == 1 for caller in callers)
    ended = [agent.daemon.next() for _ in callers]
    assert sorted(ended) == sorted((CONNECTION_TERMINATED, params(OTHER, 3000 + i)) for i in range(300))


def test_a_caller_that_is_not_there_holds_up_nobody(agent):
    agent.order("%s:echo lost" % ACCOUNT, port=999)
    caller = agent.execute("%s:echo hello" % ACCOUNT)
    caller.end_stdin()
    assert caller.outcome()[0] == b"hello\n"
    agent.assert_terminated()
    (handler,) = handlers(agent)
    os.kill(handler, signal.SIGTERM)  # the reference's handlers ignore it
    agent.assert_terminated(999)


def test_a_handler_inherits_nothing(agent):
    agent.service("test.Descriptors", "#!/bin/sh\nls -l /proc/$QREXEC_AGENT_PID/fd\nls /proc/self/fd\n")
    client, _ = agent.request(trigger4(b"work", b"test.Other\0"))
    out, err, code, _ = agent.run("test.Descriptors")
    assert code == 0
    inherited = [line for line in out.splitlines() if b"eventpoll" in line or b"signalfd" in line]
    # Its own signalfds; the agent's epoll, and its daemon's socket are not among them.
    assert not [line for line in inherited if b"eventpoll" in line]
    assert out.split(b"\n")[-5:] == [b"0", b"1", b"2", b"3", b""]


# --- data (appendix A, 60 to 90)


def test_A60_both_ends_come_before_the_exit_code(agent):
    agent.service("test.Both", "#!/bin/sh\necho out; echo err >&2; exit 5\n")
    out, err, code, kinds = agent.run("test.Both")
    assert (out, err, code) == (b"out\n", b"err\n", 5)
    assert kinds[-1] == (EXIT_CODE, True)
    assert kinds.count((STDOUT, False)) == kinds.count((STDERR, False)) == 1


def test_output_of_a_short_service_is_one_message(agent):
    """Appendix D: the reference's tests expect it so."""
    agent.service("test.Short", "#!/bin/sh\nhead -c 4000 /dev/zero\n")
    caller = agent.call("test.Short")
    assert (STDOUT, b"\0" * 4000) in caller.messages()


def test_A61_a_socket_ends_stderr_first_of_all(agent):
    listener = agent.socket_service("test.Socket")
    caller = agent.call("test.Socket+arg")
    caller.expect(STDERR)
    service, _ = listener.accept()
    service.close()
    caller.end_stdin()
    caller.messages()


def test_A64_A65_just_exec(agent):
    agent.service("test.Fail", "#!/bin/sh\nexit 3\n")
    for text, code in (("QUBESRPC test.Fail work", 0), ("false", 0), ("QUBESRPC test.Nothing work", 127), ("QUBESRPC", 125)):
        caller = agent.execute("%s:%s" % (ACCOUNT, text), kind=JUST_EXEC)
        assert caller.messages() == [(EXIT_CODE, struct.pack("<i", code))]
        agent.assert_terminated()


def test_A66_the_exit_code_does_not_wait_for_the_caller(agent):
    assert agent.call("test.Nothing").outcome()[2] == 127
    caller = agent.execute("%s:exit 7" % ACCOUNT)
    assert caller.outcome()[2] == 7  # stdin was never ended


def test_A67_A68_a_child_left_behind(agent):
    """It sees the end of stdin at once, and holds up the exit code as long as it has stdout."""
    # Of its own accord a shell gives a program in the background /dev/null.
    script = "#!/bin/sh\nexec 3<&0\n(cat <&3; echo end; read go <%s; echo gone) &\nexit 3\n"
    agent.service("test.Child", script % (agent.path / "go"))
    os.mkfifo(agent.path / "go")
    (agent.path / "go").chmod(0o777)
    caller = agent.call("test.Child")
    caller.expect(STDOUT, b"end\n")
    with open(agent.path / "go", "wb") as go:
        # The program has exited; its child is still there, so nothing more has been said.
        caller.assert_silent()
        go.write(b"x\n")
    out, _, code, _ = caller.outcome()
    assert (out, code) == (b"gone\n", 3)


def test_A69_stdout_may_end_early(agent):
    agent.service("test.Early", "#!/bin/sh\nexec >&-\nread line\necho got $line >&2\n")
    caller = agent.call("test.Early")
    caller.expect(STDOUT)
    caller.send(STDIN, b"more\n")
    assert caller.outcome()[1:3] == (b"got more\n", 0)


def test_A70_a_service_that_closes_its_stdin(agent):
    agent.service("test.Deaf", "#!/bin/sh\nexec <&-\necho deaf\nread go <%s\necho end\n" % (agent.path / "go"))
    os.mkfifo(agent.path / "go")
    (agent.path / "go").chmod(0o777)
    caller = agent.call("test.Deaf")
    caller.expect(STDOUT, b"deaf\n")
    for _ in range(20):
        caller.send(STDIN, b"x" * 65536)
    with open(agent.path / "go", "wb") as go:
        go.write(b"x\n")
    assert caller.outcome()[::2][:2] == (b"end\n", 0)


def test_A71_A101_a_socket_service_ends_when_both_directions_have(agent):
    listener = agent.socket_service("test.Socket")
    caller = agent.call("test.Socket")
    caller.expect(STDERR)
    service = Peer(listener.accept()[0])
    assert service.read_raw(17) == b"test.Socket work\0"  # no "+" was added
    service.stream.shutdown(socket.SHUT_WR)  # closed for good, it would count as both
    caller.expect(STDOUT)
    caller.assert_silent()
    caller.end_stdin()
    assert caller.messages() == [(EXIT_CODE, struct.pack("<i", 0))]
    agent.assert_terminated()


def test_A72_exit_on_client_eof(agent):
    agent.config("test.Socket", "exit-on-client-eof = true\n")
    listener = agent.socket_service("test.Socket")
    caller = agent.call("test.Socket")
    caller.expect(STDERR)
    service, _ = listener.accept()
    caller.end_stdin()
    assert caller.messages() == [(STDOUT, b""), (EXIT_CODE, struct.pack("<i", 0))]
    service.close()


def test_A73_exit_on_service_eof(agent):
    agent.config("test.Socket", "exit-on-service-eof = true\n")
    listener = agent.socket_service("test.Socket")
    caller = agent.call("test.Socket")
    caller.expect(STDERR)
    service, _ = listener.accept()
    service.close()
    assert caller.messages() == [(STDOUT, b""), (EXIT_CODE, struct.pack("<i", 0))]


def test_skip_service_descriptor(agent):
    agent.config("test.Socket", "skip-service-descriptor = true\n")
    listener = agent.socket_service("test.Socket")
    caller = agent.call("test.Socket")
    service = Peer(listener.accept()[0])
    caller.send(STDIN, b"data")
    assert service.read_raw(4) == b"data"
    service.close()


def test_A80_a_service_that_is_killed(agent):
    agent.service("test.Kill", "#!/bin/sh\nkill -9 $$\n")
    assert agent.run("test.Kill")[2] == 137


def test_A83_a_caller_may_not_say_everything(agent):
    agent.service("test.Echo", "#!/bin/sh\ncat\n")
    caller = agent.call("test.Echo")
    caller.send(STDERR, b"x")
    caller.send(EXIT_CODE, struct.pack("<i", 3))
    caller.send(STDIN, b"data")
    caller.end_stdin()
    assert caller.outcome()[:3] == (b"data", b"", 0)


def test_A85_an_unknown_message_ends_the_connection(agent):
    agent.service("test.Echo", "#!/bin/sh\ncat\n")
    caller = agent.call("test.Echo")
    caller.send(0x199, b"x")
    caller.assert_closed()
    agent.assert_terminated()


def test_A86_much_input_for_a_service_that_does_not_read_yet(agent):
    agent.service("test.Late", "#!/bin/sh\nread go <%s\nwc -c\n" % (agent.path / "go"))
    os.mkfifo(agent.path / "go")
    (agent.path / "go").chmod(0o777)
    caller = agent.call("test.Late")
    for _ in range(4):
        caller.send(STDIN, b"x" * 65536)
    caller.end_stdin()
    with open(agent.path / "go", "wb") as go:
        go.write(b"x\n")
    assert caller.outcome()[:3] == (b"262144\n", b"", 0)


def test_A88_single_socket_mode(agent):
    agent.service(
        "test.Single",
        "#!/bin/sh\nkill -USR1 $QREXEC_AGENT_PID\nexec >&0\nread line\necho back $line\n",
    )
    caller = agent.call("test.Single")
    caller.send(STDIN, b"and forth\n")
    out, err, code, kinds = caller.outcome()
    assert (out, code) == (b"back and forth\n", 0)
    assert kinds.index((STDOUT, True)) < kinds.index((STDOUT, False))


def test_A90_stderr_can_be_opened_again(agent):
    agent.service("test.Stderr", "#!/bin/sh\necho again >/proc/self/fd/2\n")
    assert agent.run("test.Stderr")[1] == b"again\n"


def test_a_caller_that_vanishes(agent):
    """5.8: the service is waited for, and the daemon told only then."""
    agent.service("test.Hold", "#!/bin/sh\ncat >/dev/null\nread go <%s\n" % (agent.path / "go"))
    os.mkfifo(agent.path / "go")
    (agent.path / "go").chmod(0o777)
    caller = agent.call("test.Hold")
    caller.close()
    with open(agent.path / "go", "wb") as go:  # it has seen the end of its stdin
        agent.daemon.assert_silent()
        go.write(b"x\n")
    agent.assert_terminated()


# --- commands and services (appendix A, 91 to 115)


def test_A93_words(agent):
    agent.service("test.Echo", "#!/bin/sh\ncat\n")
    for source, code in (("work", 0), ("work ", 0), ("work name", 125), ("work name dom0", 0), ("work name dom0 x", 125)):
        assert agent.run("test.Echo", source=source)[2] == code, source


def test_A94_A95_long_names(agent):
    agent.service("n" * 255, "#!/bin/sh\necho long\n")
    assert agent.run("n" * 255)[0] == b"long\n"
    agent.service("test.Echo", '#!/bin/sh\necho "$1" | wc -c\n')
    assert agent.run("test.Echo+" + "a" * 255)[0] == b"256\n"


def test_A96_A97_A99_where_services_are_looked_for(agent):
    agent.service("test.Where", "#!/bin/sh\necho generic one\n", "one")
    agent.service("test.Where+arg", "#!/bin/sh\necho specific two\n", "two")
    agent.service("test.Where+", "#!/bin/sh\necho empty two\n", "two")
    assert agent.run("test.Where+arg")[0] == b"specific two\n"
    assert agent.run("test.Where")[0] == b"empty two\n"
    assert agent.run("test.Where+other")[0] == b"generic one\n"
    agent.service("test.Not", "text\n", "one", mode=0o644)
    agent.service("test.Not", "#!/bin/sh\n", "two")
    assert agent.run("test.Not")[2] == 125


def test_A98_links(agent):
    os.symlink("/nonexistent", agent.path / "one" / "test.Link")
    agent.service("test.Link", "#!/bin/sh\necho two\n", "two")
    assert agent.run("test.Link")[0] == b"two\n"
    os.symlink("/dev/null/x", agent.path / "one" / "test.Through")
    agent.service("test.Through", "#!/bin/sh\n", "two")
    assert agent.run("test.Through")[2] == 125


def test_A100_A105_A106_tcp(agent):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(LIMIT)
    os.symlink("/dev/tcp/127.0.0.1", agent.path / "one" / "test.Tcp")
    os.symlink("/dev/tcp/localhost", agent.path / "one" / "test.Name")
    caller = agent.call("test.Tcp+%d" % listener.getsockname()[1])
    service = Peer(listener.accept()[0])
    listener.close()
    descriptor = b"test.Tcp+%d work\0" % service.stream.getsockname()[1]
    assert service.read_raw(len(descriptor)) == descriptor
    service.send_raw(b"hello")
    service.close()
    caller.end_stdin()
    assert caller.outcome()[:3] == (b"hello", b"", 0)
    agent.assert_terminated()
    for descriptor in "test.Name+80", "test.Tcp+080", "test.Tcp+0", "test.Tcp+65536", "test.Tcp":
        assert agent.run(descriptor)[2] == 125, descriptor


def test_A102_A103_A104_environment(agent):
    agent.service("test.Env", '#!/bin/sh\necho "$#" "$1"; env | grep ^QREXEC | sort\n')
    for descriptor, argument, words in (
        ("test.Env", None, b"0 "),
        ("test.Env+", b"", b"0 "),
        ("test.Env+a+b", b"a+b", b"1 a+b"),
    ):
        out = agent.run(descriptor)[0].splitlines()
        variables = dict(line.split(b"=", 1) for line in out[1:])
        assert out[0] == words
        assert int(variables.pop(b"QREXEC_AGENT_PID")) > 0
        assert variables.pop(b"QREXEC_SERVICE_PATH")
        assert variables.pop(b"QREXEC_SERVICE_ARGUMENT", None) == argument
        assert variables == {
            b"QREXEC_SERVICE_FULL_NAME": descriptor.encode(),
            b"QREXEC_REMOTE_DOMAIN": b"work",
            b"QREXEC_REQUESTED_TARGET_TYPE": b"",
        }


def test_A108_to_A112_configuration(agent):
    agent.service("test.Config", "#!/bin/sh\necho started\n")
    for text, code in (
        ("unknown = 1\n", 0),
        ('unknown = "x"\n', 125),
        ("skip-service-descriptor = false", 0),
        ("  \n", 125),
        ("wait-for-session = 1", 0),
        ("wait-for-session = 01", 125),
        ("wait-for-session = 2", 125),
        ("skip-service-descriptor = 1", 125),
        ("force-user = '%s'\n" % ACCOUNT, 0),
        ("force-user = 'nobody'\n", 125),
        ("force-user = '%s'\nskip-service-descriptor = true\n" % ACCOUNT, 125),
    ):
        agent.config("test.Config", text)
        assert agent.run("test.Config")[2] == code, text
    agent.config("test.Config", "bad\n")
    agent.config("test.Config+arg", "")
    assert agent.run("test.Config+arg")[2] == 0
    assert agent.run("test.Config+other")[2] == 125


# --- waiting for the session (6.11)


def test_A113_A114_calls_wait_for_the_session(agent):
    os.mkfifo(agent.path / "go")
    (agent.path / "go").chmod(0o777)
    agent.service(
        "qubes.WaitForSession",
        "#!/bin/sh\nread user\nread none\necho waiting for $user, called by $QREXEC_REMOTE_DOMAIN >&2\n"
        "read go <%s\nexit 1\n" % (agent.path / "go"),
    )
    agent.service("test.Session", '#!/bin/sh\necho "$1"\n')
    agent.config("test.Session", "wait-for-session = true\nforce-user = '%s'\n" % ACCOUNT)
    agent.service("test.Now", "#!/bin/sh\necho now\n")

    listeners = [agent.listen(OTHER, OWN, 2000 + i) for i in range(3)]
    for i in range(3):
        agent.order("%s:QUBESRPC test.Session+%d work" % (ACCOUNT, i), port=2000 + i)
    wait_for(lambda: "waiting for %s, called by work" % ACCOUNT in agent.log(), "the program that waits")
    assert agent.run("test.Now")[0] == b"now\n"  # others do not wait
    # A107: and who says so does not either.
    caller = agent.execute("%s:nogui:QUBESRPC test.Session+nogui work" % ACCOUNT)
    assert caller.outcome()[0] == b"nogui\n"
    agent.assert_terminated()

    with open(agent.path / "go", "wb") as go:
        go.write(b"x\n")
    for i, listener in enumerate(listeners):
        caller = agent.accept(listener)
        caller.hello()
        assert caller.outcome()[:3] == (b"%d\n" % i, b"", 0)
    ended = [agent.daemon.next() for _ in listeners]
    assert sorted(ended) == [(CONNECTION_TERMINATED, params(OTHER, 2000 + i)) for i in range(3)]
    assert agent.log().count("waiting for") == 1


def test_A113_a_session_that_nobody_waits_for(agent):
    agent.service("test.Session", "#!/bin/sh\necho started\n")
    agent.config("test.Session", "wait-for-session = true\n")
    assert agent.run("test.Session")[0] == b"started\n"


# --- local clients


def test_A47_a_request_is_passed_on_as_it_is(agent):
    payload = trigger4(b"w/$\0x" + b"y" * 20, b"a service/with$odd\0bytes", b"SOCKET" + b"\0" + b"z" * 20, b"far")
    client = agent.client()
    client.send(TRIGGER4, payload)
    kind, forwarded = agent.daemon.next()
    assert kind == TRIGGER4
    assert forwarded[:128] == payload[:128] and forwarded[160:] == payload[160:]
    ident = forwarded[128:160]
    assert ident.rstrip(b"\0").isalnum() and b"\0" not in ident.rstrip(b"\0")


@pytest.mark.parametrize(
    "version, source, service, kind, payload",
    [
        (3, b"", b"test.Service+a", TRIGGER3, b"work".ljust(64, b"\0") + b"IDENT" + b"test.Service+a\0"),
        (2, b"", b"test.Service+a", TRIGGER2, b"test.Service+a".ljust(64, b"\0") + b"work".ljust(32, b"\0") + b"IDENT"),
        (3, b"far", b"test.Service", None, None),
        (2, b"far", b"test.Service", None, None),
        (2, b"", b"s" * 64, None, None),
    ],
    ids=["3", "2", "3, for somebody else", "2, for somebody else", "2, too long"],
)
def test_older_daemons_are_spoken_to_in_their_words(idle, version, source, service, kind, payload):
    daemon = idle.handshake(version)
    client = idle.client()
    client.send(TRIGGER4, trigger4(b"work", service + b"\0", source=source))
    if kind is None:
        client.assert_closed()
        return
    before, after = payload.split(b"IDENT")
    got_kind, got = daemon.next()
    assert got_kind == kind
    assert got.startswith(before) and got.endswith(after) and len(got) == len(before) + 32 + len(after)


def test_an_allowed_client_is_told_and_its_end_reported(agent):
    client, ident = agent.request(trigger4(b"work", b"test.Service\0"))
    agent.daemon.send(SERVICE_CONNECT, params(OTHER, PORT, ident.ljust(32, b"\0")))
    assert client.read_raw(8) == params(OTHER, PORT)
    client.assert_silent()
    client.close()
    agent.assert_terminated()


def test_a_client_that_says_more_is_at_its_end(agent):
    client, ident = agent.request(trigger4(b"work", b"test.Service\0"))
    agent.daemon.send(SERVICE_CONNECT, params(OTHER, PORT, ident + b"\0"))
    assert client.read_raw(8) == params(OTHER, PORT)
    client.send_raw(b"x")
    agent.assert_terminated()
    client.assert_closed()


def test_a_refused_client_sees_the_end(agent):
    client, ident = agent.request(trigger4(b"work", b"test.Service\0"))
    agent.daemon.send(SERVICE_REFUSED, ident.ljust(32, b"\0"))
    client.assert_closed()


def test_A48_a_refusal_is_seen_while_services_run(agent):
    agent.service("test.Hold", "#!/bin/sh\nread line\n")
    client, ident = agent.request(trigger4(b"work", b"test.Service\0"))
    caller = agent.call("test.Hold")
    agent.daemon.send(SERVICE_REFUSED, ident.ljust(32, b"\0"))
    client.assert_closed()
    caller.end_stdin()
    assert caller.outcome()[2] == 1


def test_A42_a_refusal_for_nobody_is_ignored(agent):
    agent.daemon.send(SERVICE_REFUSED, b"SOCKET4711".ljust(32, b"\0"))
    agent.daemon.send(SERVICE_REFUSED, b"\xff" * 32)
    agent.assert_nothing_more()


def test_an_answer_for_nobody_gives_the_port_back(agent):
    agent.daemon.send(SERVICE_CONNECT, params(OTHER, PORT, b"SOCKET4711\0"))
    agent.assert_terminated()
    # Not even one that is connected already can be connected once more.
    client, ident = agent.request(trigger4(b"work", b"test.Service\0"))
    agent.daemon.send(SERVICE_CONNECT, params(OTHER, PORT, ident + b"\0"))
    assert client.read_raw(8) == params(OTHER, PORT)
    agent.daemon.send(SERVICE_CONNECT, params(OTHER, PORT + 7, ident + b"\0"))
    agent.assert_terminated(PORT + 7)
    client.assert_silent()


def test_A45_a_client_that_left_before_the_answer(agent):
    client, ident = agent.request(trigger4(b"work", b"test.Service\0"))
    client.close()
    agent.daemon.send(SERVICE_CONNECT, params(OTHER, PORT, ident + b"\0"))
    agent.assert_terminated()


def test_more_clients_than_may_wait(agent):
    """Counted are those who have no answer, whether they have asked or not."""
    connected, ident = agent.request(trigger4(b"work", b"test.Service\0"))
    agent.daemon.send(SERVICE_CONNECT, params(OTHER, PORT, ident + b"\0"))
    assert connected.read_raw(8) == params(OTHER, PORT)
    waiting, ident = agent.request(trigger4(b"work", b"test.Service\0"))
    silent = [agent.client() for _ in range(255)]
    agent.client().assert_closed()
    agent.daemon.send(SERVICE_REFUSED, ident.ljust(32, b"\0"))
    waiting.assert_closed()
    agent.request(trigger4(b"work", b"test.Service\0"))
    agent.client().assert_closed()
    for client in silent:
        client.close()


def test_A46_limits_of_a_request(agent):
    for n in 1, 65000:
        client, ident = agent.request(trigger4(b"work", b"s" * (n - 1) + b"\0"))
        agent.daemon.send(SERVICE_REFUSED, ident.ljust(32, b"\0"))
        client.assert_closed()


def test_a_stalled_client_holds_up_nobody(agent):
    stalled = agent.client()
    stalled.send_raw(message(TRIGGER4, trigger4(b"work", b"test.Service\0"))[:100])
    empty = agent.client()
    client, ident = agent.request(trigger4(b"work", b"test.Other\0"))
    agent.daemon.send(SERVICE_REFUSED, ident.ljust(32, b"\0"))
    client.assert_closed()
    empty.close()
    stalled.close()


def test_each_answer_makes_room(agent):
    """One more is closed, and room is made by each that is answered."""
    waiting = [agent.request(trigger4(b"work", b"test.Service\0")) for _ in range(256)]
    assert len({ident for _, ident in waiting}) == 256
    agent.client().assert_closed()
    agent.daemon.send(SERVICE_CONNECT, params(OTHER, PORT, waiting[0][1] + b"\0"))
    assert waiting[0][0].read_raw(8) == params(OTHER, PORT)
    agent.request(trigger4(b"work", b"test.Service\0"))


def test_requests_wait_while_the_daemon_does_not_read(agent):
    """Nothing is lost, and everything is told in the end."""
    clients = [agent.client() for _ in range(100)]
    for i, client in enumerate(clients):
        client.send(TRIGGER4, trigger4(b"work", b"%05d" % i + b"s" * 60000 + b"\0"))
    agent.service("test.Exit", "#!/bin/sh\nexit 3\n")
    seen = [agent.daemon.next()[1][160:165] for _ in clients]
    assert sorted(seen) == [b"%05d" % i for i in range(100)]
    assert agent.run("test.Exit")[2] == 3


# --- loss of the daemon


def test_the_agent_listens_again(agent):
    agent.service("test.Hold", "#!/bin/sh\nread line\necho $line\n")
    caller = agent.call("test.Hold")
    client, _ = agent.request(trigger4(b"work", b"test.Service\0"))
    agent.daemon.close()
    client.assert_closed()
    wait_for(lambda: not agent.trigger_path.exists(), "the end of the trigger socket")

    agent.handshake()
    # What ran goes on; the new daemon, whose port 1024 is another call's, is not told of its end.
    caller.send(STDIN, b"still here\n")
    caller.end_stdin()
    assert caller.outcome()[:3] == (b"still here\n", b"", 0)
    assert agent.call("test.Nothing", port=77).outcome()[2] == 127
    agent.assert_terminated(77)


def test_sigterm(agent):
    agent.service("test.Hold", "#!/bin/sh\nread line\necho $line\n")
    caller = agent.call("test.Hold")
    agent.process.send_signal(signal.SIGTERM)
    assert agent.process.wait(LIMIT) == 0
    assert not agent.trigger_path.exists()
    agent.daemon.assert_closed()
    caller.send(STDIN, b"still here\n")
    assert caller.outcome()[:3] == (b"still here\n", b"", 0)


def test_sigterm_before_there_is_a_daemon(idle):
    path = idle.socket_path(OWN, HOST, CONTROL)
    wait_for(path.exists, "the agent")
    idle.process.send_signal(signal.SIGTERM)
    assert idle.process.wait(LIMIT) == 0
    assert not path.exists()


def test_a_second_daemon_finds_nobody(agent):
    assert not agent.socket_path(OWN, HOST, CONTROL).exists()


def test_options():
    folder = Folder()
    try:
        for options, environment, expect in (
            (["--agent-socket=" + "x" * 200], {}, "too long"),
            (["-s", "/x/%s", "-a", "x"], {"VCHAN_DOMAIN": "work"}, "VCHAN_DOMAIN is no domain's id"),
            (["--fork-server-socket=", "-a", "x"], {"VCHAN_SOCKET_DIR": "/nonexistent"}, "cannot listen for the daemon"),
        ):
            process = folder.start(AGENT, *options, environment=environment, stderr=subprocess.PIPE)
            _, errors = process.communicate(timeout=LIMIT)
            assert process.returncode == 1
            assert expect in errors.decode()
    finally:
        folder.close()


def handlers(agent):
    """The handlers and services of an agent that have not been left by it."""
    with open("/proc/%d/task/%d/children" % (agent.process.pid, agent.process.pid)) as children:
        return [int(pid) for pid in children.read().split()]
