# SPDX-License-Identifier: Apache-2.0
"""qrexec-client in its rarer modes (protocol specification, 7.4), against daemons and callers of upstream's kind that are
played here: connecting a caller that waits (-c), and services of the host as target and as local command.

Needs nothing but QAIR_BUILD, the build folder.
"""

import os
import struct
import subprocess

import pytest
from test_vchan_clients import Clients, end, finish
from vchan import (
    BUILD,
    EXEC_CMDLINE,
    HELLO,
    HOST,
    LIMIT,
    OTHER,
    OWN,
    SERVICE_CONNECT,
    STDIN,
    STDOUT,
    Peer,
    params,
)


@pytest.fixture
def clients():
    clients = Clients()
    yield clients
    clients.stop()


# --- qrexec-client -c: in a worker's place

IDENT = b"SOCKET9"
HOST_CALL = "--host-call-program=%s" % os.path.abspath(os.path.join(BUILD, "src/agent/qrexec-host-call"))


def connected(listener, expect, answer=None):
    """What comes to the caller's daemon: SERVICE_CONNECT with the padded ident. Return: the connection"""
    connection = Peer(listener.accept()[0])
    connection.send(HELLO, struct.pack("<I", 3))
    connection.expect(HELLO, struct.pack("<I", 3))
    connection.expect(SERVICE_CONNECT, expect + IDENT.ljust(32, b"\0"))
    if answer:
        connection.send(SERVICE_CONNECT, answer)
    return connection


def target_order(listener, command):
    connection = Peer(listener.accept()[0])
    connection.send(HELLO, struct.pack("<I", 3))
    connection.expect(HELLO, struct.pack("<I", 3))
    connection.expect(EXEC_CMDLINE, params(OWN, 0, command + b"\0"))
    return connection


@pytest.mark.parametrize("wait", [False, True])
def test_a_waiting_caller_and_a_domain(clients, wait):
    source, target = clients.daemon("42", "work"), clients.daemon("43", "vault")
    process = clients.start_host("-c", "SOCKET9,work,42", *(["-W"] if wait else []), "-d", "vault",
                                 "user:QUBESRPC a+ work")
    daemon = target_order(target, b"user:QUBESRPC a+ work")
    daemon.send(EXEC_CMDLINE, params(OTHER, 514))
    connected(source, params(OTHER, 514)).assert_closed()
    if wait:
        daemon.assert_silent()
        assert process.poll() is None
        daemon.close()  # the call is over
    assert finish(process) == (0, b"", b"")


def test_a_waiting_caller_of_an_absent_domain(clients):
    clients.daemon("42", "work")
    status, _, errors = finish(clients.start_host("-c", "SOCKET9,work,42", "-d", "vault", "user:QUBESRPC a+ work"))
    assert status == 137 and b"qrexec.vault" in errors


def test_a_domain_that_refuses_a_waiting_caller(clients):
    clients.daemon("42", "work")
    target = clients.daemon("43", "vault")
    process = clients.start_host("-c", "SOCKET9,work,42", "-d", "vault", "user:QUBESRPC a+ work")
    target_order(target, b"user:QUBESRPC a+ work").close()
    assert finish(process)[0] == 137


def test_a_waiting_caller_whose_daemon_is_gone(clients):
    target = clients.daemon("43", "vault")
    process = clients.start_host("-c", "SOCKET9,work,42", "-d", "vault", "user:QUBESRPC a+ work")
    target_order(target, b"user:QUBESRPC a+ work").send(EXEC_CMDLINE, params(OTHER, 514))
    assert finish(process)[0] == 137


@pytest.mark.parametrize(
    "options, command, status, code",
    [
        ([], "QUBESRPC test.Host+arg work keyword default", 4, 4),
        (["-E"], "QUBESRPC test.Host+arg work keyword default", 0, 4),
        ([], "QUBESRPC test.Nothing work name dom0", 127, 127),
        ([], "QUBESRPC", 125, 125),
        ([], 'echo "$BASH_VERSION" | grep -q . && echo arg work default; cat; exit 4', 4, 4),
    ],
)
def test_a_waiting_caller_and_the_host(clients, options, command, status, code):
    clients.service("test.Host",
                    '#!/bin/sh\necho "$1 $QREXEC_REMOTE_DOMAIN $QREXEC_REQUESTED_TARGET_KEYWORD"; cat; exit 4\n')
    source = clients.daemon("42", "work")
    process = clients.start_host(HOST_CALL, *options, "-c", "SOCKET9,work,42", "-d", "dom0", command)
    connected(source, params(0, 0), params(OWN, 513))
    caller = clients.accept(clients.listen(OWN, HOST, 513))
    caller.assert_silent()  # the host waits for its caller's HELLO
    caller.send(HELLO, struct.pack("<I", 4))
    caller.expect(HELLO, struct.pack("<I", 4))
    caller.end_stdin(b"in")
    out, err, got, _ = caller.outcome()
    assert (out, err, got) == (b"arg work default\nin" if code == 4 else b"", b"", code)
    assert finish(process)[0] == status


def test_a_waiting_caller_that_does_not_listen(clients):
    source = clients.daemon("42", "work")
    process = clients.start_host(HOST_CALL, "-w", "1", "-c", "SOCKET9,work,42", "-d", "dom0", "true")
    connected(source, params(0, 0), params(OWN, 513))
    status, _, errors = finish(process)
    assert status == 125 and b"not there in time" in errors


def test_a_service_of_the_host_as_local_command(clients):
    clients.service("test.Local", '#!/bin/sh\nread x; echo "got $x from $QREXEC_REMOTE_DOMAIN"; exit 6\n')
    listener = clients.daemon("42")
    process = clients.start_host(HOST_CALL, "-d", "42", "-l", "QUBESRPC test.Local work name dom0", "user:cmd")
    clients.order(listener)
    callee = clients.dial(HOST, OWN, 513)
    callee.hello()
    callee.send(STDOUT, b"word\n")
    callee.expect(STDIN, b"got word from work\n")
    callee.expect(STDIN)
    end(callee)
    assert finish(process)[0] == 6


@pytest.mark.parametrize("command, status", [("QUBESRPC test.Nothing work", 127), ("QUBESRPC  x", 125)])
def test_a_local_service_that_cannot_be_started(clients, command, status):
    listener = clients.daemon("42")
    process = clients.start_host(HOST_CALL, "-d", "42", "-l", command, "user:cmd")
    clients.order(listener)
    callee = clients.dial(HOST, OWN, 513)
    callee.assert_closed()
    assert finish(process)[0] == status


# --- qrexec-client -d dom0


@pytest.fixture
def host_service(clients):
    clients.service(
        "test.Host",
        '#!/bin/sh\necho "$1 $QREXEC_REMOTE_DOMAIN $QREXEC_REQUESTED_TARGET_TYPE $QREXEC_REQUESTED_TARGET"; cat; exit 4\n')
    return clients


@pytest.mark.parametrize("target", ["dom0", "@adminvm", "uuid:00000000-0000-0000-0000-000000000000"])
def test_a_service_of_the_host(host_service, target):
    process = host_service.start_host(HOST_CALL, "-d", target, "DEFAULT:QUBESRPC test.Host+arg dom0 name dom0")
    out, err = process.communicate(b"in", timeout=LIMIT)
    assert (process.returncode, out, err) == (4, b"arg dom0 name dom0\nin", b"")


def test_a_service_of_the_host_takes_the_place_of_the_client(clients):
    clients.service("test.Pid", "#!/bin/sh\necho $$\n")
    process = clients.start_host(HOST_CALL, "-d", "dom0", "DEFAULT:QUBESRPC test.Pid dom0")
    status, out, _ = finish(process)
    assert (status, int(out)) == (0, process.pid)


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["DEFAULT:QUBESRPC test.Nothing dom0"], 127),
        (["DEFAULT:echo shell"], 125),
        (["user:QUBESRPC test.Host dom0"], 125),
        (["QUBESRPC test.Host dom0"], 125),
        (["DEFAULT:QUBESRPC test.Host dom0 name"], 125),
        (["-l", "true", "DEFAULT:QUBESRPC test.Host dom0"], 125),
        (["-p", "x", "DEFAULT:QUBESRPC test.Host dom0"], 125),
        (["-E", "DEFAULT:QUBESRPC test.Host dom0"], 0),
        (["-E", "DEFAULT:QUBESRPC test.Nothing dom0"], 127),
    ],
)
def test_statuses_of_services_of_the_host(host_service, arguments, status):
    process = host_service.start_host(HOST_CALL, "-d", "dom0", *arguments, stdin=subprocess.DEVNULL)
    assert finish(process)[0] == status


def test_a_socket_service_of_the_host(clients):
    clients.unix_listener(clients.path / "one" / "test.Socket")
    process = clients.start_host(HOST_CALL, "-d", "dom0", "DEFAULT:QUBESRPC test.Socket dom0")
    status, _, errors = finish(process)
    assert status == 125 and b"sockets cannot be run" in errors


def test_the_host_waits_for_the_session(clients):
    """In the place of the program, with the session's own program first; it gets no input."""
    clients.service("qubes.WaitForSession", "#!/bin/sh\ncat >&2; echo session >&2\n")
    clients.service("test.Host", "#!/bin/sh\necho service >&2; cat\n")
    clients.config("test.Host", "wait-for-session = true\n")
    process = clients.start_host(HOST_CALL, "-d", "dom0", "DEFAULT:QUBESRPC test.Host dom0")
    out, err = process.communicate(b"in", timeout=LIMIT)
    assert (process.returncode, out, err) == (0, b"in", b"session\nservice\n")
