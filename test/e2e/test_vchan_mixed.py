# SPDX-License-Identifier: Apache-2.0
"""Domains over vchan at the broker, beside ordinary ones: each end of a call in its own mode (doc/architecture.md, "Domains over
vchan").

The domain `far` is behind vchan: its account has the link, and what is in it is played by an agent of ours in upstream's
mode, or by a peer of upstream's kind, byte for byte.
"""

import os
import pwd
import signal
import socket
import struct
import threading

import processes
import pytest
import vchan
import wire
from vchan import (
    CONNECTION_TERMINATED,
    CONTROL,
    EXEC_CMDLINE,
    EXIT_CODE,
    HELLO,
    HOST,
    SERVICE_CONNECT,
    SERVICE_REFUSED,
    STDERR,
    STDIN,
    STDOUT,
    TRIGGER4,
    Peer,
    params,
    trigger4,
    wait_for,
)

FAR = 42
FOLDER = "/run/qubes/domains/far/vchan"
DAEMON = "/usr/sbin/qrexec-daemon"
GUEST_SERVICES = "/run/test/guest-rpc"
GUEST_SOCKET = "/run/test/guest/qrexec-agent"
GUEST_AGENT = "/usr/lib/qubes/qrexec-agent"
ECHO = '#!/bin/sh\nread line; echo "$(id -un) $QREXEC_REMOTE_DOMAIN $1 $line"; cat; echo error >&2; exit 3\n'


class Far:
    """What is behind vchan."""

    def __init__(self, world):
        self.world = world
        self.account = pwd.getpwnam("far")
        self.agent = None
        os.makedirs(GUEST_SERVICES, exist_ok=True)
        os.makedirs(os.path.dirname(GUEST_SOCKET), exist_ok=True)
        os.chown(os.path.dirname(GUEST_SOCKET), self.account.pw_uid, -1)

    def service(self, name, script):
        self.world.write(os.path.join(GUEST_SERVICES, name), script, mode=0o755)

    def environment(self):
        return {"VCHAN_DOMAIN": str(FAR), "VCHAN_SOCKET_DIR": FOLDER, "QREXEC_SERVICE_PATH": GUEST_SERVICES}

    def start_agent(self):
        """An agent of ours, as upstream's."""
        self.agent = self.world.popen_as("far", [GUEST_AGENT, "--no-fork-server", "--agent-socket=" + GUEST_SOCKET],
                                         self.environment(), stdin=None, stdout=None, stderr=None)
        self.world._calls.append(self.agent)

    def stop_agent(self):
        self.agent.terminate()
        assert self.agent.wait(vchan.LIMIT) == 0

    def start_call(self, target, service, *program, options=()):
        """qrexec-client-vm in there."""
        wait_for(lambda: os.path.exists(GUEST_SOCKET), "the agent behind vchan")
        call = self.world.popen_as(
            "far", ["/usr/bin/qrexec-client-vm", "--agent-socket=" + GUEST_SOCKET, *options, "--", target, service, *program],
            self.environment())
        self.world._calls.append(call)
        return call

    def call(self, target, service, input=b"", **settings):
        call = self.start_call(target, service, **settings)
        out, err = call.communicate(input, timeout=vchan.LIMIT)
        return call.returncode, out, err

    # --- played, byte for byte

    def path(self, server, client, port):
        return "%s/vchan.%d.%d.%d.sock" % (FOLDER, server, client, port)

    def listen(self, client, port):
        """As the domain, for the host."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.settimeout(vchan.LIMIT)
        listener.bind(self.path(FAR, client, port))
        os.chown(listener.getsockname(), self.account.pw_uid, -1)
        listener.listen(1)
        return listener

    def accept(self, listener):
        connection, _ = listener.accept()
        os.unlink(listener.getsockname())
        listener.close()
        return Peer(connection)

    def dial(self, port):
        def attempt():
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(self.path(HOST, FAR, port))
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                return None

        return Peer(wait_for(attempt, "a caller at port %d" % port))

    def handshake(self, version=4):
        """An agent of upstream's kind. Return: its control connection"""
        listener = self.listen(HOST, CONTROL)
        control = self.accept(listener)
        control.send(HELLO, struct.pack("<I", version))
        control.expect(HELLO, struct.pack("<I", version))
        return control


@pytest.fixture
def idle(world):
    """A host where nobody is behind vchan yet."""
    world.add_domain("work")
    world.add_domain("far", link="vchan:%d" % FAR, default_user="far", autostart="yes")
    world.set_policy("test.Refused * @anyvm @anyvm deny\n* * @anyvm @anyvm allow\n")
    world.start()
    world.far = Far(world)
    return world


@pytest.fixture
def mixed(idle):
    idle.far.start_agent()
    idle.wait_log(r"far: .*the link is up")
    return idle


def test_a_local_domain_calls_one_over_vchan(mixed):
    mixed.far.service("test.Echo", ECHO)
    result = mixed.call("work", "far", "test.Echo+arg", b"data\nmore")
    assert (result.returncode, result.stdout, result.stderr) == (3, b"far work arg data\nmore", "error\n")
    (record,) = mixed.wait_audit(event="end", source="work", service="test.Echo", argument="arg")
    assert (record["target"], record["how"], record["status"]) == ("far", "exited", 3)


def test_one_over_vchan_calls_a_local_domain(mixed):
    mixed.add_service("test.Echo", ECHO, domain="work")
    assert mixed.far.call("work", "test.Echo+arg", b"data\nmore") == (3, b"work far arg data\nmore", b"error\n")
    mixed.wait_audit(event="end", source="far", target="work", how="exited", status=3)
    assert mixed.far.call("work", "test.Nothing")[0] == 127
    # The policy of this host decides, and the other end sees upstream's bare close.
    assert mixed.far.call("work", "test.Refused") == (126, b"", b"Request refused\n")
    assert mixed.far.call("nowhere", "test.Echo") == (126, b"", b"Request refused\n")


def test_to_dom0_and_from_it(mixed):
    mixed.add_service("test.Echo", ECHO)
    mixed.far.service("test.Echo", ECHO)
    mixed.set_policy("* * @anyvm @anyvm allow\n* * far @adminvm allow\n")
    assert mixed.far.call("@adminvm", "test.Echo", b"data\n")[:2] == (3, b"qrexec-dom0 far  data\n")
    result = mixed.call("dom0", "far", "test.Echo", b"data\n")
    assert (result.returncode, result.stdout) == (3, b"far dom0  data\n")
    client = mixed.popen_as("root", ["qrexec-client", "-d", "far", "DEFAULT:QUBESRPC test.Echo dom0"])
    assert client.communicate(b"data\n", timeout=vchan.LIMIT)[0] == b"far dom0  data\n"
    assert client.returncode == 3


def test_services_of_the_broker_itself(mixed):
    """They speak in frames to everybody."""
    mixed.set_policy("qair.Status * far @adminvm allow\n")
    status, out, _ = mixed.far.call("@adminvm", "qair.Status")
    assert status == 0 and b'"far"' in out


def test_two_domains_over_vchan(mixed):
    """Each has a link of its own: what one sends goes through the host to the other."""
    mixed.far.service("test.Echo", ECHO)
    mixed.add_domain("near", link="vchan", default_user="near", autostart="yes")
    mixed.wait_log("domain near started")
    socket_path = "/run/test/guest/near"
    os.chmod("/run/test/guest", 0o777)
    environment = {"VCHAN_DOMAIN": "1", "VCHAN_SOCKET_DIR": "/run/qubes/domains/near/vchan"}
    agent = mixed.popen_as("near", [GUEST_AGENT, "-S", "--agent-socket=" + socket_path], environment)
    mixed._calls.append(agent)
    wait_for(lambda: os.path.exists(socket_path), "the agent of near")
    call = mixed.popen_as("near", ["/usr/bin/qrexec-client-vm", "-a", socket_path, "far", "test.Echo"], environment)
    assert call.communicate(b"data\n", timeout=vchan.LIMIT)[0] == b"far near  data\n"
    assert call.returncode == 3


@pytest.mark.parametrize("direction", ["there", "back"])
def test_much_data(mixed, direction):
    data = os.urandom(8 << 20)
    mixed.far.service("test.Cat", "#!/bin/sh\nexec cat\n")
    mixed.add_service("test.Cat", "#!/bin/sh\nexec cat\n", domain="work")
    if direction == "there":
        assert mixed.call("work", "far", "test.Cat", data).stdout == data
    else:
        assert mixed.far.call("work", "test.Cat", data)[:2] == (0, data)


def test_many_calls_at_once(mixed):
    """In both directions; and afterwards every port and every slot is free again."""
    mixed.far.service("test.Exit", '#!/bin/sh\nexit "$1"\n')
    mixed.add_service("test.Exit", '#!/bin/sh\nexit "$1"\n', domain="work")
    results = {}

    def one(i):
        service = "test.Exit+%d" % i
        results[i] = (mixed.call("work", "far", service).returncode, mixed.far.call("work", service)[0])

    threads = [threading.Thread(target=one, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: (i, i) for i in range(16)}
    for i in range(20):
        one(i)
        assert results[i] == (i, i)


def test_a_program_of_the_caller(mixed):
    """Local: it has the broker's pipes. Over vchan: a socket pair, as upstream."""
    program = "/run/test/program"
    mixed.write(program, "#!/bin/sh\necho data; exec 1>&-; cat >&2\n", mode=0o755)
    mixed.far.service("test.Echo", ECHO)
    mixed.add_service("test.Echo", ECHO, domain="work")
    result = mixed.call("work", "far", "test.Echo", program=[program])
    assert result.returncode == 3 and "far work  data\n" in result.stderr
    call = mixed.far.start_call("work", "test.Echo", program)
    _, err = call.communicate(timeout=vchan.LIMIT)
    assert call.returncode == 3 and b"work far  data\n" in err


def test_a_caller_that_leaves(mixed):
    """The service sees it, wherever it is."""
    mixed.far.service("test.Wait", "#!/bin/sh\necho started\ncat\necho gone >/run/test/guest/gone\n")
    mixed.add_service("test.Wait", "#!/bin/sh\necho started\ncat\ntouch gone\n", domain="work")
    for call in mixed.start_call("work", "far", "test.Wait"), mixed.far.start_call("work", "test.Wait"):
        assert call.stdout.readline() == b"started\n"
        call.kill()
        call.wait(vchan.LIMIT)
    wait_for(lambda: os.path.exists("/run/test/guest/gone"), "the service over vchan to notice")
    mixed.wait_audit(event="end", source="far", service="test.Wait")
    mixed.wait_audit(event="end", target="far", service="test.Wait")


def test_a_call_is_killed(mixed):
    mixed.far.service("test.Wait", "#!/bin/sh\necho started\ncat\n")
    call = mixed.start_call("work", "far", "test.Wait")
    assert call.stdout.readline() == b"started\n"
    (record,) = mixed.wait_audit(event="start", target="far")
    assert mixed.qair("kill", str(record["call_id"])).returncode == 0
    assert call.wait(vchan.LIMIT) == 143


def test_shell_commands_need_the_inventory(mixed):
    client = ["qrexec-client", "-d", "far", "DEFAULT:echo shell"]
    refused = mixed.popen_as("root", client)
    assert refused.communicate(timeout=vchan.LIMIT)[0] == b"" and refused.returncode == 125


# --- coming and going


def test_a_domain_whose_agent_comes_later(idle):
    idle.far.service("test.Echo", ECHO)
    call = idle.start_call("work", "far", "test.Echo")
    idle.wait_log("test.Echo.*: work -> far: allowed")
    idle.far.start_agent()
    assert call.communicate(b"data\n", timeout=vchan.LIMIT)[0] == b"far work  data\n"


def test_an_agent_that_is_started_again(mixed):
    """Calls that run go on, and are told to the broker when they end; new ones wait for the next agent."""
    mixed.far.service("test.Wait", '#!/bin/sh\necho started\nread line\nexit "$line"\n')
    call = mixed.start_call("work", "far", "test.Wait")
    assert call.stdout.readline() == b"started\n"
    mark = mixed.logfile.mark()
    mixed.far.stop_agent()
    mixed.wait_log("the agent of domain far went away", mark=mark)
    mixed.far.start_agent()
    mixed.wait_log("the link is up", mark=mark)
    second = mixed.start_call("work", "far", "test.Wait")
    assert second.stdout.readline() == b"started\n"
    assert second.communicate(b"6\n", timeout=vchan.LIMIT) and second.returncode == 6
    assert call.communicate(b"5\n", timeout=vchan.LIMIT) and call.returncode == 5
    mixed.wait_audit(event="end", target="far", status=5, how="exited")


def test_a_restart_of_the_broker(mixed):
    mixed.far.service("test.Wait", '#!/bin/sh\necho started\nread line\nexit "$line"\n')
    mixed.add_service("test.Wait", '#!/bin/sh\necho started\nread line\nexit "$line"\n', domain="work")
    calls = mixed.start_call("work", "far", "test.Wait"), mixed.far.start_call("work", "test.Wait")
    for call in calls:
        assert call.stdout.readline() == b"started\n"
    mixed.restart_broker()
    for call in calls:
        call.communicate(b"5\n", timeout=vchan.LIMIT)
        assert call.returncode == 5
    assert mixed.call("work", "far", "test.Nothing").returncode == 127


def test_the_domain_is_stopped(mixed):
    assert mixed.qair("domain", "stop", "far").returncode == 0
    wait_for(lambda: not processes.running(DAEMON), "the end of the link")
    assert not os.path.exists(FOLDER + "/qrexec.%d" % FAR)
    mixed.far.service("test.Echo", ECHO)
    assert mixed.call("work", "far", "test.Echo", b"x\n").returncode == 3  # and started by a call


def test_calls_outlive_a_stop(mixed):
    """They are waited for; and the next start does not have to."""
    mixed.far.service("test.Wait", '#!/bin/sh\necho started\nread line\nexit "$line"\n')
    calls = mixed.start_call("work", "far", "test.Wait"), mixed.start_call("work", "far", "test.Wait")
    for call in calls:
        assert call.stdout.readline() == b"started\n"
    mixed.qair("domain", "stop", "far")
    third = mixed.start_call("work", "far", "test.Wait")
    assert third.stdout.readline() == b"started\n"
    assert len(processes.running(DAEMON)) == 2
    for call, status in zip((*calls, third), (5, 6, 7)):
        call.communicate(b"%d\n" % status, timeout=vchan.LIMIT)
        assert call.returncode == status
        mixed.wait_audit(event="end", target="far", status=status, how="exited")
    wait_for(lambda: len(processes.running(DAEMON)) == 1, "the end of the first link")


def test_the_agent_at_the_broker_dies(mixed):
    """The supervisor hears of it, and the next call starts both anew."""
    mixed.far.service("test.Echo", ECHO)
    (daemon,) = processes.running(DAEMON)
    (deputy,) = [agent for agent in processes.running(GUEST_AGENT) if "--guest=%d" % FAR in agent.command]
    deputy.kill(signal.SIGKILL)
    assert daemon.wait(vchan.LIMIT)
    assert mixed.call("work", "far", "test.Echo", b"x\n").returncode == 3


# --- a peer of upstream's kind, byte for byte


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_bytes_of_a_call_into_the_domain(idle, version):
    control = idle.far.handshake(version)
    call = idle.start_call("work", "far", "test.Service+arg")
    kind, payload = control.next()
    domain, port = struct.unpack("<II", payload[:8])
    assert (kind, domain, payload[8:]) == (EXEC_CMDLINE, HOST, b"far:QUBESRPC test.Service+arg work\0")
    callee = idle.far.dial(port)
    callee.hello(version)
    call.stdin.write(b"in")
    call.stdin.close()
    callee.expect(STDIN, b"in")
    callee.expect(STDIN)
    callee.send(STDOUT, b"out")
    callee.send(STDERR, b"err")
    callee.send(STDOUT)
    callee.send(STDERR)
    callee.send(EXIT_CODE, struct.pack("<i", 7))
    assert (call.stdout.read(), call.stderr.read(), call.wait(vchan.LIMIT)) == (b"out", b"err", 7)
    callee.assert_closed()
    control.send(CONNECTION_TERMINATED, params(HOST, port))
    control.assert_silent()


def test_the_bytes_of_a_call_from_the_domain(idle):
    idle.add_service("test.Service", "cat; echo err >&2; exit 7", domain="work")
    control = idle.far.handshake()
    control.send(TRIGGER4, trigger4(b"work", b"test.Service\0", b"SOCKET9"))
    kind, payload = control.next()
    domain, port = struct.unpack("<II", payload[:8])
    assert (kind, domain, payload[8:]) == (SERVICE_CONNECT, HOST, b"SOCKET9".ljust(32, b"\0"))
    caller = idle.far.accept(idle.far.listen(HOST, port))
    caller.hello()
    caller.send(STDIN, b"data")
    caller.send(STDIN)
    out, err, code, _ = caller.outcome()
    assert (out, err, code) == (b"data", b"err\n", 7)
    control.send(TRIGGER4, trigger4(b"nowhere", b"test.Service\0", b"SOCKET8"))
    control.expect(SERVICE_REFUSED, b"SOCKET8".ljust(32, b"\0"))


def test_a_peer_that_breaks_the_protocol(idle):
    """It ends its own link; the next agent of the domain finds another."""
    control = idle.far.handshake()
    idle.wait_log("the link is up")
    control.send(0x999, b"x")
    control.assert_closed()
    idle.far.service("test.Echo", ECHO)
    idle.far.start_agent()
    assert idle.call("work", "far", "test.Echo", b"x\n").returncode == 3


def test_who_says_socket_is_closed(idle):
    """A caller of upstream's kind at the broker itself has no agent that could serve it: it needs a link over vchan."""
    with wire.connect_as("work", "/run/qubes/qrexec-agent") as connection:
        connection.sendall(wire.message(TRIGGER4, trigger4(b"far", b"test.Service\0")))
        assert wire.receive_all(connection) == b""


def test_the_folder_is_the_domains_alone(idle):
    status = os.stat(FOLDER)
    assert (status.st_mode & 0o7777, status.st_uid) == (0o700, idle.far.account.pw_uid)


@pytest.mark.parametrize("properties, complaint", [
    ({"link": "vchan", "sandbox": "bwrap"}, "started by other means"),
    ({"link": "vchan", "start": "/bin/true"}, "started by other means"),
])
def test_what_a_link_over_vchan_does_not_have(world, properties, complaint):
    world.add_domain("odd", **properties)
    world.start()
    world.wait_log(complaint)
