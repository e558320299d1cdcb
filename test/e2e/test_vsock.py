# SPDX-License-Identifier: Apache-2.0
"""Domains that are virtual machines (`link = vsock:CID`): all of the host's end that there is without one.

Ports of vsock are those of the whole machine, also in the private world. What connections do is tested with a real virtual machine
(test/vsock).
"""

import errno
import os
import pwd
import signal
import socket
import stat

import processes
import pytest
import vchan
import wire
from waiting import wait_for

FOLDER = "/run/qubes/domains/machine"
SOCKET = FOLDER + "/vsock"
DAEMON = "/usr/sbin/qrexec-daemon"
CONTROL = 512
DATA_MAX = 511


def is_free(port):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((socket.VMADDR_CID_ANY, port))
        except OSError as error:
            assert error.errno == errno.EADDRINUSE
            return False
        return True


def has_vsock():
    try:
        return is_free(CONTROL) is not None
    except (AttributeError, OSError, AssertionError):
        return False


needs_vsock = pytest.mark.skipif(not has_vsock(), reason="this kernel has no vsock, or its ports are not ours")

# A program that execs its arguments where the kernel refuses sockets of vsock, as one without them does.
WITHOUT_VSOCK = """
import ctypes, errno, os, sys
class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]
seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
seccomp.seccomp_init.restype = ctypes.c_void_p
context = ctypes.c_void_p(seccomp.seccomp_init(0x7fff0000))         # allow
assert seccomp.seccomp_attr_set(context, 3, 0) == 0                 # may gain privileges, as before
number = seccomp.seccomp_syscall_resolve_name(b"socket")
assert seccomp.seccomp_rule_add(context, 0x00050000 | errno.EAFNOSUPPORT, number, 1, Compare(0, 4, 40, 0)) == 0
assert seccomp.seccomp_load(context) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def idle(world):
    """A host with a virtual machine that is not there."""
    world.add_domain("work")
    world.add_domain("vault", services={"my.Echo": "cat"})
    world.add_domain("machine", link="vsock:7", default_user="user", autostart="yes")
    world.set_policy("* * @anyvm @anyvm allow\n")
    return world


@pytest.fixture
def host(idle):
    idle.start()
    return idle


def data_port(host, mark=0, name="machine"):
    """Where the supervisor listens for the data of a domain."""
    return int(host.wait_log(r"domain %s: the data of context id \d+ comes to port (\d+) of vsock" % name, mark=mark).group(1))


def daemon_port(host, mark=0):
    """What the domain's qrexec-daemon was told."""
    return int(host.wait_log(r"data of the domain comes to port (\d+) of vsock", mark=mark).group(1))


def take(path=SOCKET):
    """Be the link's process. Return: the connection, and the listener that was given"""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(vchan.LIMIT)
    connection.connect(path)
    gift, (fd,), _, _ = socket.recv_fds(connection, 16, 4)
    assert gift == b"D"
    return connection, socket.socket(fileno=fd)


# --- ports and sockets


@needs_vsock
def test_the_sockets_of_a_virtual_machine(host):
    account = pwd.getpwnam("machine")
    status = os.stat(SOCKET)
    assert stat.S_ISSOCK(status.st_mode)
    assert (status.st_mode & 0o7777, status.st_uid) == (0o600, account.pw_uid)
    status = os.stat(FOLDER)
    assert (status.st_mode & 0o7777, status.st_uid) == (0o755, 0)
    port = data_port(host)
    assert 1 <= port <= DATA_MAX
    assert not is_free(port) and not is_free(CONTROL)
    connection, listener = take()
    with connection, listener:
        assert listener.getsockname() == (socket.VMADDR_CID_ANY, port)
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        assert os.get_blocking(listener.fileno()) is False


@needs_vsock
def test_each_has_a_listener_of_its_own(host):
    host.add_domain("second", link="vsock:8", default_user="user")
    ports = data_port(host), data_port(host, name="second")
    assert ports[0] != ports[1] and not is_free(ports[1])


@needs_vsock
def test_without_virtual_machines_no_port_is_taken(world):
    world.add_domain("work")
    world.start()
    assert is_free(CONTROL)
    world.add_domain("machine", link="vsock:7", default_user="user")
    data_port(world)
    assert not is_free(CONTROL)


@needs_vsock
def test_a_domain_that_is_removed(host):
    """Its ports are free again; with the last one, the one for control."""
    host.add_domain("second", link="vsock:8", default_user="user")
    port, second = data_port(host), data_port(host, name="second")
    os.unlink("/etc/qubes/domains.d/machine.conf")
    wait_for(lambda: not os.path.exists(SOCKET), "the end of its socket")
    wait_for(lambda: is_free(port), "its port")
    assert not os.path.exists(FOLDER)
    assert not is_free(CONTROL) and not is_free(second)
    os.unlink("/etc/qubes/domains.d/second.conf")
    wait_for(lambda: is_free(second) and is_free(CONTROL), "the ports")
    wait_for(lambda: not processes.running(DAEMON), "the end of the links")


@needs_vsock
def test_another_context_id(host):
    """It is another machine: everything that it has is made anew."""
    assert daemon_port(host) == data_port(host)
    mark = host.logfile.mark()
    host.write("/etc/qubes/domains.d/machine.conf",
               "[domain]\nuser = machine\nlink = vsock:9\ndefault_user = user\nautostart = yes\n")
    host.wait_log("domain machine: the data of context id 9 comes to port", mark=mark)
    assert daemon_port(host, mark=mark) == data_port(host, mark=mark)
    wait_for(lambda: len(processes.running(DAEMON)) == 1, "the end of the first link")


@needs_vsock
def test_the_supervisor_is_started_again(host):
    port = data_port(host)
    host.stop()
    wait_for(lambda: is_free(port) and is_free(CONTROL), "the ports")
    mark = host.logfile.mark()
    host.start()
    port = data_port(host, mark=mark)
    assert not is_free(port) and not is_free(CONTROL)
    assert daemon_port(host, mark=mark) == port


@needs_vsock
def test_a_port_that_is_taken(idle):
    """That is said, and the others go on; and when it is free again, the link's process gets it."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as other:
        other.bind((socket.VMADDR_CID_ANY, CONTROL))
        other.listen()
        idle.start()
        idle.wait_log("virtual machines cannot be domains: port 512 of vsock cannot be listened at: Address already in use")
        assert idle.call("work", "vault", "my.Echo", b"x").stdout == b"x"
        assert len([line for line in idle.log().splitlines() if "cannot be domains" in line]) == 1
    assert daemon_port(idle) == data_port(idle)
    assert not is_free(CONTROL)


def test_a_kernel_without_vsock(idle):
    idle.write("/run/test/without", WITHOUT_VSOCK)
    idle.start(under=("/usr/bin/python3", "/run/test/without"))
    idle.wait_log("virtual machines cannot be domains: .*this kernel has no vsock")
    idle.wait_log("domain machine cannot be reached: this kernel has no vsock")
    assert idle.call("work", "vault", "my.Echo", b"x").stdout == b"x"
    # Its link asks again and again, and that is all.
    call = idle.start_call("work", "machine", "my.Echo")
    idle.wait_log("my.Echo.*: work -> machine: allowed")
    assert idle.call("work", "vault", "my.Echo", b"x").stdout == b"x"
    assert call.poll() is None
    assert len([line for line in idle.log().splitlines() if "has no vsock" in line]) == 2


# --- the link's process


@needs_vsock
def test_the_daemon_is_given_the_listener(host):
    assert daemon_port(host) == data_port(host)
    assert "machine: the link is up" not in host.log()


@needs_vsock
def test_a_daemon_that_dies(host):
    """The next one, which the next call starts, is given the same listener."""
    port = daemon_port(host)
    (daemon,) = processes.running(DAEMON)
    mark = host.logfile.mark()
    daemon.kill(signal.SIGKILL)
    host.wait_log("domain machine stopped", mark=mark)
    assert not is_free(port)
    host.start_call("work", "machine", "my.Echo")
    assert daemon_port(host, mark=mark) == port == data_port(host)


@needs_vsock
def test_the_newest_is_the_one(host):
    daemon_port(host)
    first, listener = take()
    with first, listener:
        second, other = take()
        with second, other:
            assert listener.getsockname() == other.getsockname()
            assert first.recv(1) == b""
            # The daemon, which was there before, comes again; it keeps the listener that it has.
            assert second.recv(1) == b""
    assert len(processes.running(DAEMON)) == 1


@needs_vsock
def test_a_stranger(host):
    """Nobody but the account can connect; and who could would be asked who he is."""
    with pytest.raises(PermissionError):
        wire.connect_as("work", SOCKET, kind=socket.SOCK_SEQPACKET)
    os.chmod(SOCKET, 0o666)
    with wire.connect_as("work", SOCKET, kind=socket.SOCK_SEQPACKET) as connection:
        assert connection.recv(1) == b""
    host.wait_log("domain machine: account %d is not its own" % pwd.getpwnam("work").pw_uid)


@needs_vsock
def test_who_speaks_is_closed(host):
    """The account has nothing to say to the supervisor, and no descriptors to give."""
    daemon_port(host)
    for message, fds in (b"D", []), (b"x" * 4000, []), (b"C", [0, 1, 2]):
        with wire.connect_as("machine", SOCKET, kind=socket.SOCK_SEQPACKET) as connection:
            try:
                socket.send_fds(connection, [message], fds)
            except PermissionError:  # Linux 6.16
                continue
            except BrokenPipeError:  # the link's own process came back meanwhile, and is the newer one
                continue
            received = b"D"
            while received == b"D":
                try:
                    received = connection.recv(16)
                except ConnectionResetError:  # with what it said unread
                    received = b""
            assert received == b""
    assert host.call("work", "vault", "my.Echo", b"x").stdout == b"x"
    assert len(processes.running(DAEMON)) == 1


@needs_vsock
def test_a_flood_of_them(host):
    """Who connects again and again holds up nobody."""
    daemon_port(host)
    flood = host.popen_as("machine", ["/usr/bin/python3", "-c", """
import socket
print("begun", flush=True)
while True:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect("%s")
""" % SOCKET])
    host._calls.append(flood)
    assert flood.stdout.readline() == b"begun\n"
    for _ in range(20):
        assert host.call("work", "vault", "my.Echo", b"x").stdout == b"x"
    assert host.qair("domain", "stop", "vault").returncode == 0
    assert host.call("work", "vault", "my.Echo", b"x").stdout == b"x"
    assert flood.poll() is None


@needs_vsock
def test_the_daemons_folder(host):
    daemon_port(host)
    status = os.stat(FOLDER + "/vchan")
    assert (status.st_mode & 0o7777, status.st_uid) == (0o700, pwd.getpwnam("machine").pw_uid)
    assert os.listdir(FOLDER + "/vchan") == []


# --- calls while the machine is not there


@needs_vsock
def test_calls_wait_for_it(host):
    """As for any domain whose agent is not there yet."""
    call = host.start_call("work", "machine", "my.Echo")
    host.wait_log("my.Echo.*: work -> machine: allowed")
    daemon_port(host)
    assert call.poll() is None
    call.kill()
    call.wait(vchan.LIMIT)
    host.wait_audit(event="end", source="work", target="machine")


@pytest.mark.parametrize("properties, complaint", [
    ({"start": "/bin/true"}, r"machine\.conf:4: domain machine: it is ignored: .*started by other means"),
    ({"sandbox": "bwrap"}, r"machine\.conf:4: domain machine: it is ignored: .*started by other means"),
])
def test_what_a_virtual_machine_does_not_have(world, properties, complaint):
    world.add_domain("machine", link="vsock:7", **properties)
    world.start()
    world.wait_log(complaint)


def test_a_virtual_machine_needs_an_account(world):
    world.add_domain("work")
    world.write("/etc/qubes/domains.d/machine.conf", "[domain]\nlink = vsock:7\n")
    world.set_policy("* * @anyvm @anyvm allow\n")
    world.start()
    world.wait_log(r"machine\.conf:2: domain machine: a vchan or vsock link needs an account of this host")
    result = world.call("work", "machine", "my.Echo")
    assert result.returncode == 126 and "service unavailable" in result.stderr
    assert not os.path.exists("/run/qubes/domains/machine")
