# SPDX-License-Identifier: Apache-2.0
"""The real qrexec-daemon, with its workers, against an agent, clients and callers of upstream's kind that are played here.

The programs are driven as appendix D of the protocol specification says: no policy socket exists, so a script decides. A
test named A17_… is about line 17 of appendix A. Needs nothing but QAIR_BUILD, the build folder. What needs the host's own
sockets (/run/qubes/policy.sock, /run/qubesd.sock) is in test_vchan_host.py.
"""

import os
import signal
import struct
import subprocess

import pytest

import processes
from vchan import (
    BUILD,
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
    message,
    params,
    trigger4,
    wait_for,
)

DAEMON = "src/daemon/qrexec-daemon"
UUID = "d0c2b1e4-0000-4000-8000-000000000042"
IDENT = b"SOCKET9"

ALLOW = "result=allow\nuser=%s\ntarget=%s\nautostart=%s\nrequested_target=%s\n"


def allow(target, user="DEFAULT", autostart="True", requested=None, more=""):
    return ALLOW % (user, target, autostart, target if requested is None else requested) + more


class Daemon(Folder):
    """The daemon of domain 42, and what its agent and its clients do."""

    def __init__(self):
        super().__init__()
        self.policy_path = self.path / "policy"
        self.decide("result=deny\n")
        self.process = None
        self.agent = None
        self.listener = None

    def decide(self, answer, status=0, before=""):
        """What the policy program says from now on. It writes its arguments down, one to a line."""
        text = "#!/bin/sh\nprintf '%%s\\n' \"$@\" >>%s.asked\n%s\ncat <<'END'\n%sEND\nexit %d\n" % (
            self.policy_path, before, answer, status)
        new = self.path / "policy.new"
        new.write_text(text)
        new.chmod(0o755)
        os.rename(new, self.policy_path)
        asked = self.path / "policy.asked"
        asked.write_text("")
        asked.chmod(0o666)

    def asked(self):
        return (self.path / "policy.asked").read_text().splitlines()

    def spawn(self, *options, limit=None):
        self.listener = self.listen(OWN, HOST, CONTROL)
        self.process = self.start(
            DAEMON, "--uuid=" + UUID, "--socket-dir=%s" % self.sockets, "--policy-program=%s" % self.policy_path,
            "--host-call-program=%s" % os.path.abspath(os.path.join(BUILD, "src/agent/qrexec-host-call")),
            *(options or ("--direct",)), OWN, "domain_name", "fake_user", domain=HOST, limit=limit)

    def handshake(self, version=4, expect=None):
        self.agent = self.accept(self.listener)
        self.agent.send(HELLO, struct.pack("<I", version))
        self.agent.expect(HELLO, struct.pack("<I", version if expect is None else expect))
        wait_for((self.sockets / ("qrexec.uuid:" + UUID)).exists, "the daemon's socket")

    def own_sockets(self):
        names = "qrexec.42", "qrexec.domain_name", "qrexec.uuid:" + UUID
        return [name for name in os.listdir(self.sockets) if name in names]

    # --- what the agent does

    def trigger(self, target=b"target", service=b"test.Service+arg\0", ident=IDENT, source=b""):
        self.agent.send(TRIGGER4, trigger4(target, service, ident, source))

    def assert_refused(self, ident=IDENT):
        self.agent.expect(SERVICE_REFUSED, ident.ljust(32, b"\0"))

    def assert_alive(self):
        """Nothing was said, and the daemon goes on: it refuses a request whose service has no name."""
        self.agent.send(TRIGGER4, trigger4(b"x", b"\0", b"ALIVE"))
        self.assert_refused(b"ALIVE")

    def terminate(self, domain, port):
        self.agent.send(CONNECTION_TERMINATED, params(domain, port))

    # --- what a client does

    def client(self, name="42"):
        client = self.connect(self.sockets / ("qrexec." + name))
        client.expect(HELLO, struct.pack("<I", 3))
        client.send(HELLO, struct.pack("<I", 3))
        return client

    def command(self, text=b"user:cmd\0", domain=HOST, port=0, kind=EXEC_CMDLINE, name="42"):
        client = self.client(name)
        client.send(kind, params(domain, port, text))
        return client

    def allocate(self, domain=HOST, kind=EXEC_CMDLINE, text=b"user:cmd\0"):
        """A command that gets a port. Return: the client, the port"""
        client = self.command(text, domain, kind=kind)
        got, payload = client.next()
        answer_domain, port = struct.unpack("<II", payload)
        assert (got, answer_domain) == (kind, OWN)
        self.agent.expect(kind, params(domain, port, text))
        return client, port

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(LIMIT) == 0
            assert not self.own_sockets()
        if self.agent:
            self.agent.close()
        self.close()


@pytest.fixture
def idle():
    """A daemon whose agent has not said anything yet."""
    daemon = Daemon()
    daemon.spawn()
    yield daemon
    daemon.stop()


@pytest.fixture
def daemon(idle):
    idle.handshake()
    return idle


def assert_ended(daemon, status=1):
    assert daemon.process.wait(LIMIT) == status
    assert not daemon.own_sockets()


# --- handshake


@pytest.mark.parametrize("version, answer", [(2, 2), (3, 3), (4, 4), (5, 4), (1000, 4)])
def test_A07_A08_the_agents_number_goes_back(idle, version, answer):
    idle.handshake(version, answer)


def test_A06_the_daemon_waits_for_the_agents_hello(idle):
    agent = idle.agent = idle.accept(idle.listener)
    agent.assert_silent()
    assert not (idle.sockets / "qrexec.42").exists()
    agent.send(HELLO, struct.pack("<I", 4))
    agent.expect(HELLO, struct.pack("<I", 4))


def test_the_socket_and_its_links(daemon):
    assert os.readlink(daemon.sockets / "qrexec.domain_name") == "qrexec.42"
    assert os.readlink(daemon.sockets / ("qrexec.uuid:" + UUID)) == "qrexec.42"
    assert (daemon.sockets / "qrexec.42").stat().st_mode & 0o777 == 0o777
    for name in "42", "domain_name", "uuid:" + UUID:
        daemon.client(name).close()


# --- requests


def test_a_request_is_decided_and_refused(daemon):
    daemon.trigger()
    daemon.assert_refused()
    # A123: nothing but these.
    assert daemon.asked() == ["--", "domain_name", "target", "test.Service+arg"]


@pytest.mark.parametrize("version, kind, payload", [
    (2, TRIGGER2, b"test.Service+arg".ljust(64, b"\0") + b"target".ljust(32, b"\0") + IDENT.ljust(32, b"\0")),
    (3, TRIGGER3, b"target".ljust(64, b"\0") + IDENT.ljust(32, b"\0") + b"test.Service+arg\0"),
    (4, TRIGGER3, b"target".ljust(64, b"\0") + IDENT.ljust(32, b"\0") + b"test.Service+arg\0"),
    (4, TRIGGER4, trigger4(b"target", b"test.Service+arg\0", IDENT))], ids=["2", "3", "A17: 3 in 4", "4"])
def test_requests_of_all_versions(idle, version, kind, payload):
    idle.handshake(version)
    idle.agent.send(kind, payload)
    idle.assert_refused()
    assert idle.asked() == ["--", "domain_name", "target", "test.Service+arg"]


@pytest.mark.parametrize("service", [b"\0", b"a", b"a\0b\0", b"+a\0"], ids=["A20: empty", "no NUL", "inner NUL", "plus"])
def test_A21_bad_services_are_refused_unasked(daemon, service):
    daemon.trigger(service=service)
    daemon.assert_refused()
    daemon.assert_alive()
    assert daemon.asked() == []


@pytest.mark.parametrize("ident, ok", [
    (b"x" * 32, False), (b"a\0b", False), (b"a/b", False), (b"\xff", False), (b"SOCKET 9", True), (b"", True),
    (b"x" * 31, True)], ids=["A23", "A24", "slash", "binary", "A25: a space", "A26: nothing", "31 bytes"])
def test_A22_idents_come_back_as_they_were(daemon, ident, ok):
    daemon.trigger(ident=ident)
    daemon.agent.expect(SERVICE_REFUSED, ident.ljust(32, b"\0"))
    assert bool(daemon.asked()) == ok


def test_A27_A28_names_are_rewritten(daemon):
    daemon.trigger(target="ä@:+/ x".encode(), service=b"a\0")
    daemon.assert_refused()
    assert daemon.asked() == ["--", "domain_name", "__@:___x", "a"]
    daemon.decide("result=deny\n")
    daemon.trigger(service="a@:ä+/b\0".encode())
    daemon.assert_refused()
    assert daemon.asked()[3] == "a____+_b"


def test_A29_a_long_target_is_cut(daemon):
    daemon.trigger(target=b"t" * 64)
    daemon.assert_refused()
    assert daemon.asked()[2] == "t" * 63


@pytest.mark.parametrize("answer, status", [
    ("", 0), ("result=deny\n\n", 0), ("result=deny\ntarget=x\n", 0), ("result=allow\n", 0),
    ("result=allow\nuser=u\ntarget=dom0\nautostart=true\nrequested_target=r\n", 0), (allow("43"), 1),
], ids=["nothing", "A118", "A119", "incomplete", "A120", "A122: a failure"])
def test_answers_that_do_not_count(daemon, answer, status):
    daemon.decide(answer, status)
    daemon.trigger()
    daemon.assert_refused()


def test_A32_a_worker_that_dies_refuses(daemon):
    daemon.decide("", before="kill -9 $PPID")
    daemon.trigger()
    daemon.assert_refused()
    daemon.assert_alive()


def test_no_policy_program(daemon):
    daemon.policy_path.unlink()
    daemon.trigger()
    daemon.assert_refused()


def test_a_request_for_somebody_else_is_not_put_to_the_program(daemon):
    daemon.decide(allow("43"))
    daemon.trigger(source=b"far")
    daemon.assert_refused()
    assert daemon.asked() == []


def test_requests_at_once(daemon):
    """256 can wait for the policy; one more is refused at once, and all are answered in the end."""
    go = daemon.path / "go"
    daemon.decide("result=deny\n", before="while [ ! -e %s ]; do sleep 0.05; done" % go)
    for i in range(257):
        daemon.trigger(ident=b"R%d" % i)
    daemon.assert_refused(b"R256")
    go.touch()
    refused = sorted(daemon.agent.next()[1].rstrip(b"\0") for _ in range(256))
    assert refused == sorted(b"R%d" % i for i in range(256))


# --- calls to a domain


class Target(Peer):
    """The daemon of domain 43, as a worker meets it."""

    @classmethod
    def accept(cls, listener):
        target = cls(listener.accept()[0])
        target.send(HELLO, struct.pack("<I", 3))
        target.expect(HELLO, struct.pack("<I", 3))
        return target


def other_daemon(daemon, name="other"):
    listener = daemon.unix_listener(daemon.sockets / "qrexec.43")
    os.symlink("qrexec.43", daemon.sockets / ("qrexec." + name))
    return listener


@pytest.mark.parametrize("more, service, source, name", [
    ("", b"test.Service+arg", b"domain_name", "other"),
    ("service=other.Service\n", b"other.Service+", b"domain_name", "other"),
    ("service=a.B+c+d\npolicy_source=far\n", b"a.B+c+d", b"far", "other"),
    ("target_uuid=uuid:1234\n", b"test.Service+arg", b"domain_name", "uuid:1234"),
], ids=["plain", "another service", "A126: with an argument, for somebody else", "by uuid"])
def test_a_call_to_a_domain(daemon, more, service, source, name):
    listener = other_daemon(daemon, name)
    daemon.decide(allow("other", user="user", more=more))
    daemon.trigger()
    target = Target.accept(listener)
    # A125: neither type nor target.
    target.expect(EXEC_CMDLINE, params(OWN, 0, b"user:QUBESRPC " + service + b" " + source + b"\0"))
    target.send(EXEC_CMDLINE, params(OTHER, 600))
    daemon.agent.expect(SERVICE_CONNECT, params(OTHER, 600, IDENT.ljust(32, b"\0")))
    target.assert_closed()
    daemon.assert_alive()
    # Its port is the other daemon's: that it is free again means nothing here.
    daemon.terminate(OTHER, 600)
    daemon.assert_alive()


def test_a_service_without_argument_gets_a_plus(daemon):
    listener = other_daemon(daemon)
    daemon.decide(allow("other", user="user"))
    daemon.trigger(service=b"test.Service\0")
    target = Target.accept(listener)
    target.expect(EXEC_CMDLINE, params(OWN, 0, b"user:QUBESRPC test.Service+ domain_name\0"))
    target.close()
    daemon.assert_refused()


def test_a_domain_that_does_not_run_is_not_started(daemon):
    daemon.decide(allow("other", autostart="False"))
    daemon.trigger()
    daemon.assert_refused()


def test_A128_a_disposable_that_may_not_be_started(daemon):
    daemon.decide(allow("@dispvm:base", autostart="False"))
    daemon.trigger()
    daemon.assert_refused()
    assert "no disposable of base" in daemon.log()


# --- calls to the host


def call_host(daemon, script=None, requested="dom0", service=b"test.Service+arg\0", answer="", config=None):
    """A call to the host that is allowed. Return: the caller's end, before its HELLO"""
    if script is not None:
        daemon.service("test.Service", script)
    if config is not None:
        daemon.config("test.Service", config)
    daemon.decide(allow("dom0", requested=requested, more=answer))
    daemon.trigger(service=service)
    kind, payload = daemon.agent.next()
    assert kind == SERVICE_CONNECT
    domain, port = struct.unpack("<II", payload[:8])
    assert domain == HOST and payload[8:] == IDENT.ljust(32, b"\0")
    listener = daemon.listen(OWN, HOST, port)
    caller = daemon.accept(listener)
    caller.port = port
    return caller


ENVIRONMENT = '#!/bin/sh\necho "$QREXEC_SERVICE_FULL_NAME|$QREXEC_REMOTE_DOMAIN|$QREXEC_REQUESTED_TARGET_TYPE|' \
              '$QREXEC_REQUESTED_TARGET|$QREXEC_REQUESTED_TARGET_KEYWORD|$QREXEC_SERVICE_ARGUMENT|$1|$QREXEC_AGENT_PID"\n' \
              'cat\necho error >&2\nexit 5\n'


@pytest.mark.parametrize("requested, more, line", [
    ("dom0", "", b"test.Service+arg|domain_name|name|dom0||arg|arg|\n"),
    ("@default", "", b"test.Service+arg|domain_name|keyword||default|arg|arg|\n"),
    ("@adminvm", "policy_source=far\n", b"test.Service+arg|far|keyword||adminvm|arg|arg|\n"),
], ids=["by name", "A124: by keyword", "for somebody else"])
def test_a_call_to_the_host(daemon, requested, more, line):
    caller = call_host(daemon, ENVIRONMENT, requested, answer=more)
    caller.assert_silent()  # A16
    caller.hello()
    caller.send(STDIN, b"data")
    caller.end_stdin()
    messages = caller.messages()
    assert messages[0] == (STDERR, b"")  # A61; and what it says there is for the log
    assert b"".join(data for kind, data in messages if kind == STDOUT) == line + b"data"
    assert messages[-1] == (EXIT_CODE, struct.pack("<i", 5))
    assert "error" in daemon.log()
    daemon.terminate(HOST, caller.port)
    daemon.assert_alive()


def test_A63_a_service_that_the_host_does_not_have(daemon):
    caller = call_host(daemon)
    caller.hello()
    assert caller.messages() == [(STDERR, b""), (STDOUT, b""), (EXIT_CODE, struct.pack("<i", 127))]
    daemon.assert_alive()  # A33: what was connected is not refused


def test_a_bad_configuration_on_the_host(daemon):
    caller = call_host(daemon, "#!/bin/sh\n", config="bad\n")
    caller.hello()
    assert caller.messages() == [(STDERR, b""), (STDOUT, b""), (EXIT_CODE, struct.pack("<i", 125))]


def test_force_user_means_nothing_on_the_host(daemon):
    caller = call_host(daemon, "#!/bin/sh\necho ok\n", config="force-user = 'nobody'\n")
    caller.hello()
    assert caller.outcome()[0] == b"ok\n"


def test_a_socket_service_of_the_host(daemon):
    listener = daemon.socket_service("test.Service")
    caller = call_host(daemon, requested="@default")
    service = Peer(listener.accept()[0])
    caller.hello()
    caller.expect(STDERR)
    descriptor = b"test.Service+arg domain_name keyword default\0"
    assert service.read_raw(len(descriptor)) == descriptor
    caller.send(STDIN, b"ping")
    assert service.read_raw(4) == b"ping"
    service.send_raw(b"pong")
    service.close()
    caller.end_stdin()
    assert caller.outcome()[::2][:2] == (b"pong", 0)


def test_the_session_of_the_host(daemon):
    daemon.service("qubes.WaitForSession", "#!/bin/sh\nread x || echo waited for $QREXEC_REMOTE_DOMAIN >&2\nexit 1\n")
    caller = call_host(daemon, "#!/bin/sh\necho after\n", config="wait-for-session = 1\n")
    caller.hello()
    assert caller.outcome()[0] == b"after\n"
    assert "waited for domain_name" in daemon.log()


def test_a_caller_that_does_not_listen(daemon):
    daemon.service("test.Service", "#!/bin/sh\ncat >/dev/null\n")
    daemon.decide(allow("dom0"))
    daemon.trigger()
    assert daemon.agent.next()[0] == SERVICE_CONNECT
    wait_for(lambda: "not there in time" in daemon.log(), "the end of the worker")
    daemon.assert_alive()


# --- clients


def test_A11_A12_the_local_hello(daemon):
    client = daemon.connect(daemon.sockets / "qrexec.42")
    client.expect(HELLO, struct.pack("<I", 3))
    client.send(HELLO, struct.pack("<I", 9))
    client.send(EXEC_CMDLINE, params(HOST, 0, b"x\0"))
    assert client.next() == (EXEC_CMDLINE, params(OWN, 513))


def test_A51_A52_A53_a_port_is_given_out(daemon):
    client = daemon.command(b"user:cmd\0", domain=7)
    # The client is answered, with the daemon's own id; the agent gets what the client said.
    client.expect(EXEC_CMDLINE, params(OWN, 513))
    daemon.agent.expect(EXEC_CMDLINE, params(7, 513, b"user:cmd\0"))
    client, port = daemon.allocate(kind=JUST_EXEC)
    assert port == 514


def test_A49_A50_ports(daemon):
    assert [daemon.allocate(domain)[1] for domain in (43, 43, 10, 10, 0)] == [514, 516, 513, 515, 517]
    for _ in range(126):
        daemon.allocate(43)
    client = daemon.command(domain=43)
    client.assert_closed()
    daemon.assert_alive()


def test_A54_a_port_that_the_client_knows(daemon):
    client = daemon.command(b"user:cmd\0", domain=OTHER, port=700)
    daemon.agent.expect(EXEC_CMDLINE, params(OTHER, 700, b"user:cmd\0"))
    client.assert_silent()


@pytest.mark.parametrize("text, forwarded", [
    (b"DEFAULT:cmd\0", b"fake_user:cmd\0"),
    (b"DEFAULTX:cmd\0", b"DEFAULTX:cmd\0"),
    (b"DEFAULT\0", b"DEFAULT\0"),
    (b"nogui:DEFAULT:cmd\0", b"nogui:DEFAULT:cmd\0"),
    (b"DEFAULT:\0", b"fake_user:\0"),
    (b"a\0b\0", b"a\0b\0"),
    (b"DEFAULT:" + b"x" * 65518 + b"\0", b"fake_user:" + b"x" * 65518 + b"\0"),
], ids=["A55", "A56", "no colon", "nogui", "nothing behind", "A57: an inner NUL", "the longest"])
def test_the_default_user(daemon, text, forwarded):
    daemon.command(text).expect(EXEC_CMDLINE, params(OWN, 513))
    daemon.agent.expect(EXEC_CMDLINE, params(HOST, 513, forwarded))


def test_A58_A59_A31_the_end_of_a_call(daemon):
    client, port = daemon.allocate(OTHER)
    daemon.terminate(44, port)  # A31: another domain's
    daemon.terminate(OTHER, port + 2)  # A30: not given out
    daemon.assert_alive()
    client.assert_silent()
    daemon.terminate(OTHER, port)
    client.assert_closed()
    client, again = daemon.allocate(OTHER)
    assert again == port
    client.close()  # A58: this frees nothing
    assert daemon.allocate(OTHER)[1] == port + 2


def test_a_byte_too_many(daemon):
    client, _ = daemon.allocate()
    client.send_raw(b"x")
    client.assert_closed()
    client = daemon.client()
    client.send_raw(message(EXEC_CMDLINE, params(HOST, 0, b"x\0")) + b"y")
    assert [kind for kind, _ in client.messages()] in ([EXEC_CMDLINE], [])
    assert daemon.agent.next()[0] == EXEC_CMDLINE
    daemon.assert_alive()


def test_more_clients_than_may_be(daemon):
    clients = [daemon.client() for _ in range(256)]
    extra = daemon.connect(daemon.sockets / "qrexec.42")
    extra.assert_closed()
    clients.pop().close()
    wait_for(lambda: daemon.connect(daemon.sockets / "qrexec.42").next() is not None, "room for another client")


def test_no_descriptors_are_left(daemon):
    """Who comes then is closed; those who are there, and the agent, do not notice."""
    n = len(os.listdir("/proc/%d/fd" % daemon.process.pid))
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(LIMIT) == 0
    daemon.agent.close()
    daemon.spawn("--direct", limit=n + 1)
    daemon.handshake()
    client = daemon.client()
    for _ in range(5):
        daemon.connect(daemon.sockets / "qrexec.42").assert_closed()
    client.send(EXEC_CMDLINE, params(HOST, 0, b"x\0"))
    client.expect(EXEC_CMDLINE, params(OWN, 513))
    daemon.agent.expect(EXEC_CMDLINE, params(HOST, 513, b"x\0"))
    daemon.trigger()  # no descriptor for its worker, either
    daemon.assert_refused()
    client.close()
    wait_for(lambda: daemon.connect(daemon.sockets / "qrexec.42").next() is not None, "room for another client")


def test_much_that_the_agent_does_not_read(daemon):
    """Clients wait, requests are still heard, and nothing is lost."""
    text = b"x" * 60000 + b"\0"
    clients = [daemon.client() for _ in range(40)]
    for i, client in enumerate(clients):
        client.send(EXEC_CMDLINE, params(HOST, 600 + i, text))
    for _ in range(3):
        daemon.trigger()
    seen = [daemon.agent.next() for _ in range(43)]
    assert sorted(payload[4:8] for kind, payload in seen if kind == EXEC_CMDLINE) == sorted(
        struct.pack("<I", 600 + i) for i in range(40))
    assert [kind for kind, _ in seen].count(SERVICE_REFUSED) == 3


def test_much_that_is_not_read_and_a_worker_ends(daemon):
    """Whoever said something before the worker ended is heard before it (A35): that is not the agent's fault."""
    go = daemon.path / "go"
    daemon.decide("result=deny\n", before="while [ ! -e %s ]; do sleep 0.05; done" % go)
    daemon.trigger(ident=b"FIRST")
    wait_for(daemon.asked, "the policy to be asked")
    clients = [daemon.client() for _ in range(40)]
    for i, client in enumerate(clients):
        client.send(EXEC_CMDLINE, params(HOST, 600 + i, b"x" * 60000 + b"\0"))
    go.touch()
    children = "/proc/%d/task/%d/children" % (daemon.process.pid, daemon.process.pid)
    wait_for(lambda: not open(children).read(), "the end of the worker")
    seen = [daemon.agent.next() for _ in range(41)]
    assert [kind for kind, _ in seen].count(EXEC_CMDLINE) == 40
    assert (SERVICE_REFUSED, b"FIRST".ljust(32, b"\0")) in seen
    daemon.assert_alive()


def test_A34_an_ident_is_connected_once(daemon):
    go = daemon.path / "go"
    daemon.decide("result=deny\n", before="while [ ! -e %s ]; do sleep 0.05; done" % go)
    daemon.trigger()
    wait_for(daemon.asked, "the policy to be asked")
    text = IDENT.ljust(32, b"\0")
    first = daemon.command(text, OTHER, 600, SERVICE_CONNECT)
    daemon.agent.expect(SERVICE_CONNECT, params(OTHER, 600, text))
    second = daemon.command(text, OTHER, 602, SERVICE_CONNECT)
    second.assert_closed()
    go.touch()
    # A33: it was connected, so the worker's refusal is not told.
    wait_for(lambda: "failed after it was allowed" in daemon.log(), "the end of the worker")
    daemon.assert_alive()
    first.assert_silent()


# --- loss of the agent


def test_A36_A37_A38_the_agent_goes_and_comes_back(daemon):
    client, port = daemon.allocate(OTHER)
    daemon.agent.close()
    client.assert_closed()
    wait_for(lambda: not daemon.own_sockets(), "the end of the socket")
    daemon.listener = daemon.listen(OWN, HOST, CONTROL)
    daemon.handshake(3)
    assert daemon.allocate(OTHER)[1] == port + 2
    daemon.terminate(OTHER, port)
    assert daemon.allocate(OTHER)[1] == port


def test_requests_of_an_agent_that_is_gone(daemon):
    go = daemon.path / "go"
    daemon.decide("result=deny\n", before="while [ ! -e %s ]; do sleep 0.05; done" % go)
    daemon.trigger()
    wait_for(daemon.asked, "the policy to be asked")
    daemon.agent.close()
    daemon.listener = daemon.listen(OWN, HOST, CONTROL)
    daemon.handshake()
    go.touch()
    wait_for(lambda: not processes.children_of(daemon.process.pid), "the end of the worker")
    daemon.assert_alive()  # nobody is told what an earlier agent asked for


# --- starting and ending


def test_the_limit_of_time(idle):
    other = Daemon()
    try:
        process = other.start(DAEMON, "-u", UUID, "--socket-dir=%s" % other.sockets, "-D", "7", "name", domain=HOST,
                              environment={"QREXEC_STARTUP_TIMEOUT": "1"})
        assert process.wait(LIMIT) == 3
        assert "not there in time" in other.log()
    finally:
        other.close()


@pytest.mark.parametrize("arguments, message_text", [
    (["42", "name"], "Usage:"),
    (["-u", UUID, "42"], "Usage:"),
    (["-u", UUID, "42", "name", "user", "more"], "Usage:"),
    (["--nonsense"], "Usage:"),
    (["-h"], "Usage:"),
    (["-u", UUID, "0", "name"], "no number above 0"),
    (["-u", UUID, "x", "name"], "no number above 0"),
    (["-u", UUID, "42", "../name"], "the domain's name"),
    (["-u", UUID, "42", "n" * 35], "the domain's name"),
    (["-D", "-u", UUID, "--socket-dir=/nonexistent", "42", "n" * 31 + "-dm"], "/nonexistent"),
    (["-u", "a/b", "42", "name"], "the uuid"),
    (["-u", UUID, "42", "name", "a:b"], "the default user"),
    (["-D", "-u", UUID, "--socket-dir=/nonexistent", "42", "name"], "/nonexistent"),
])
def test_arguments(arguments, message_text):
    folder = Folder()
    try:
        process = folder.start(DAEMON, *arguments, domain=HOST, stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=LIMIT)
        assert process.returncode == 1 and message_text in errors.decode()
    finally:
        folder.close()
