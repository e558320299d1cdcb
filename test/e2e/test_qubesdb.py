# SPDX-License-Identifier: Apache-2.0
"""QubesDB: what a domain reads of itself, what the host writes, and the tools (QubesDB specification, 4 and 6)."""

import os
import pwd
import socket
import struct

import pytest

RUN = "/run/qubes/"
READ, WRITE, LIST, WATCH, OK, NOENT, ERROR, EVENT = 0, 1, 3, 5, 7, 8, 9, 13


@pytest.fixture
def host(world):
    world.add_domain("net")
    world.add_domain("work")
    world.add_domain(
        "far", type="RemoteVM", relayvm="net", transport_rpc="qubesair.SSHProxy", remote_name="vault", remote_host="b"
    )
    world.start()
    return world


def tool(world, account, command, *arguments):
    result = world.run_as(account, ["/usr/bin/qubesdb-" + command, *arguments])
    return result.returncode, result.stdout.decode(), result.stderr


def uid_of(account):
    return pwd.getpwnam(account).pw_uid


def message(kind, path, data=b""):
    return struct.pack("<B64s3xI", kind, path, len(data)) + data


def receive(connection):
    header = connection.recv(72, socket.MSG_WAITALL)
    if not header:
        return None
    kind, path, n = struct.unpack("<B64s3xI", header)
    return kind, path.rstrip(b"\0"), connection.recv(n, socket.MSG_WAITALL) if n else b""


def connect(path, uid=None):
    """A connection made by another account: who connects is who the broker sees."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(20)
    if uid is not None:
        os.seteuid(uid)
    try:
        connection.connect(path)
    finally:
        os.seteuid(0)
    return connection


def test_own_view(host):
    assert tool(host, "work", "read", "/name", "/type", "/default-user") == (0, "work\nAppVM\nwork\n", "")
    assert tool(host, "net", "read", "/remote/far", "/remote-host/far") == (0, "vault\nb\n", "")
    assert tool(host, "work", "list", "/remote") == (0, "", "")
    assert tool(host, "root", "read", "/name", "/type") == (0, "dom0\nAdminVM\n", "")
    assert tool(host, "root", "read", "-d", "work", "/name") == (0, "work\n", "")


def test_only_the_host_writes(host):
    status, _, stderr = tool(host, "work", "write", "/x", "1")
    assert status == 1 and "only the host writes" in stderr
    assert tool(host, "work", "read", "-q", "/x") == (2, "", "")
    assert tool(host, "work", "rm", "/name")[0] == 1
    assert tool(host, "root", "write", "-d", "work", "/x", "1") == (0, "", "")
    assert tool(host, "work", "read", "/x") == (0, "1\n", "")
    assert tool(host, "net", "read", "-q", "/x") == (2, "", "")
    assert tool(host, "root", "rm", "-d", "work", "/x", "/absent") == (0, "", "")
    assert tool(host, "work", "read", "-q", "/x") == (2, "", "")


def test_of_another_domain_nothing(host):
    for path in ("qubesdb.work.sock", "domains/work/qubesdb.sock", "qubesdb.dom0.sock"):
        with connect(RUN + path, uid=uid_of("net")) as connection:
            try:
                connection.sendall(message(READ, b"/name"))
                assert connection.recv(1) == b""
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert tool(host, "net", "read", "-d", "work", "/name")[0] == 1
    host.accounts.add("stranger")
    assert tool(host, "stranger", "read", "/name")[0] == 1


def test_tools(host):
    write = ["-d", "work"]
    assert tool(host, "root", "write", *write, "/u/a", "1", "/u/b", "", "/ua", "a\tb\u00e9\\\x7f") == (0, "", "")
    assert tool(host, "work", "list", "/u") == (0, "/a\n/b\na\n", "")
    assert tool(host, "work", "list", "-f", "/u/") == (0, "/u/a\n/u/b\n", "")
    assert tool(host, "work", "multiread", "/u/") == (0, "a = 1\nb = \n", "")
    assert tool(host, "work", "read", "/ua") == (0, "a\\x09b\\xc3\\xa9\\\x7f\n", "")
    assert tool(host, "work", "read", "-r", "/ua") == (0, "a\tb\u00e9\\\x7f\n", "")
    assert tool(host, "work", "read", "-f", "/u/b") == (0, "/u/b = \n", "")
    assert tool(host, "work", "read", "/absent", "/u/a") == (2, "1\n", "Failed to read /absent\n")
    assert tool(host, "work", "read", "--default=X", "/absent") == (0, "X\n", "")
    assert tool(host, "work", "read", "-e", "X", "/a", "/b")[0] == 1
    assert tool(host, "work", "watch", "-n", "0", "/u") == (0, "", "")
    assert tool(host, "work", "watch", "-n", "x", "/u")[0] == 1
    assert tool(host, "work", "cmd", "-c", "read", "/u/a") == (0, "1\n", "")
    assert tool(host, "work", "cmd", "-q", "-c", "read", "/u/a")[1] == ""
    assert tool(host, "root", "read", "-x", "-d", "work", "/u/a") == (0, "1\n", "")
    assert tool(host, "work", "read", "-q", "/u/a")[0] == 2


def test_read_bool(host):
    tool(host, "root", "write", "-d", "work", "/yes", "0", "/no", "")
    cases = [(["/yes"], 0), (["/no"], 1), (["/absent"], 2), (["/absent", "0"], 0), (["/absent", "x"], 3), ([], 3)]
    for arguments, status in cases:
        assert tool(host, "work", "read-bool", *arguments)[:2] == (status, ""), arguments


def test_wait_and_watch(host):
    waiting = host.popen_as("work", ["/usr/bin/qubesdb-read", "-w", "/later"])
    watching = host.popen_as("work", ["/usr/bin/qubesdb-watch", "-n", "2", "/w/"])
    with connect(RUN + "qubesdb.work.sock") as connection:
        # Until both have registered: what they watch cannot be seen, so write until they have heard.
        while waiting.poll() is None or watching.poll() is None:
            connection.sendall(message(WRITE, b"/later", b"") + message(WRITE, b"/w/x", b"1"))
            assert [receive(connection)[0], receive(connection)[0]] == [OK, OK]
    with waiting, watching:
        assert waiting.communicate()[0] == b"\n"
        assert watching.communicate()[0] == b"/w/x\n/w/x\n"


def test_protocol(host):
    with connect(RUN + "qubesdb.work.sock") as connection:
        connection.sendall(message(WRITE, b"/v", b"v" * 3071) + message(WRITE, b"/v", b"v" * 3072))
        assert receive(connection)[0] == OK
        assert receive(connection)[0] == ERROR
        connection.sendall(message(READ, b"/v") + message(WATCH, b"/v") + message(WRITE, b"/v", b"new"))
        assert receive(connection) == (10, b"/v", b"v" * 3071)
        assert [receive(connection)[0] for _ in range(3)] == [OK, OK, EVENT]
        connection.sendall(message(WRITE, b"/z/", b"x"))
        assert receive(connection)[0] == ERROR
        assert receive(connection) is None


def test_a_client_that_does_not_read_harms_nobody(host):
    with connect(RUN + "qubesdb.work.sock") as connection:
        connection.setblocking(False)
        sent = 0
        try:
            while sent < 100_000:
                connection.sendall(message(2, b"") * 100)
                sent += 100
        except BlockingIOError:
            pass
        assert sent < 100_000
        assert tool(host, "work", "read", "/name") == (0, "work\n", "")


def test_changes_of_the_inventory_are_heard(host):
    with connect(RUN + "qubesdb.sock", uid=uid_of("net")) as connection:
        connection.sendall(message(WATCH, b"/remote/"))
        assert receive(connection)[0] == OK
        host.add_domain("near", type="RemoteVM", relayvm="net", transport_rpc="qubesair.SSHProxy")
        host.reload()
        assert receive(connection) == (EVENT, b"/remote/near", b"")
        os.unlink("/etc/qubes/domains.d/far.conf")
        host.reload()
        assert receive(connection) == (EVENT, b"/remote/far", b"")
    # And without a reload: what was saved is what is read.
    host.add_domain("more", type="RemoteVM", relayvm="net", transport_rpc="qubesair.SSHProxy", remote_name="x")
    assert tool(host, "net", "read", "/remote/more") == (0, "x\n", "")


def test_a_broken_inventory_changes_nothing(host):
    assert tool(host, "net", "read", "/remote/far") == (0, "vault\n", "")
    host.write("/etc/qubes/domains.d/broken.conf", "[domain]\nnonsense = 1\n")
    assert tool(host, "net", "read", "/remote/far") == (0, "vault\n", "")
    os.unlink("/etc/qubes/domains.d/broken.conf")


def test_too_many_clients(host):
    connections = [connect(RUN + "qubesdb.sock", uid=uid_of("work")) for _ in range(256)]
    connections[-1].sendall(message(READ, b"/name"))
    assert receive(connections[-1])[2] == b"work"
    assert tool(host, "work", "read", "/name")[0] == 1
    assert tool(host, "net", "read", "/name")[0] == 0
    connections.pop().close()
    connections[0].sendall(message(READ, b"/name"))
    assert receive(connections[0])[2] == b"work"
    assert tool(host, "work", "read", "/name") == (0, "work\n", "")
    for connection in connections:
        connection.close()
