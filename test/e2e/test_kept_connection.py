# SPDX-License-Identifier: Apache-2.0
"""Several requests on one trigger connection, one after another (doc/protocol.md, 4.2)."""

import os
import signal
import socket
import struct

import pytest
import wire

MORE = "QAIR1 more"
ECHO = wire.trigger("vault", "my.Echo", ident=MORE)
REFUSED = wire.trigger("vault", "my.Nothing", ident=MORE)


@pytest.fixture
def host(world):
    world.add_domain("work", max_calls=2)
    world.add_domain("vault")
    world.set_policy("my.Echo * work vault allow\nmy.Wait * work vault allow")
    world.add_service("my.Echo", "exec cat")
    world.start()
    return world


def answer(connection):
    """(call id, reason, channel) of the next answer: reason None if it was allowed, channel None if it was refused."""
    data, fds, _, _ = socket.recv_fds(connection, 12, 4)
    mode, call_id = struct.unpack_from("<II", data)
    if mode == wire.DOMAIN_REFUSED:
        assert len(data) == 12 and not fds
        return call_id, struct.unpack_from("<I", data, 8)[0], None
    assert mode == wire.DOMAIN_DIRECT and len(data) == 8 and len(fds) == 3
    return call_id, None, wire.Channel(fds)


def echo(channel, text):
    """Send TEXT through the call and close it. Return: what came back."""
    with channel:
        os.write(channel.stdin, text)
        os.close(channel.stdin)
        channel.stdin = os.open("/dev/null", os.O_WRONLY)
        with os.fdopen(os.dup(channel.stdout), "rb") as file:
            said = file.read()
        assert wire.receive_all(channel.stream).endswith(wire.exit_code(0))
        return said


def test_many_calls(host):
    with wire.connect_as("work", wire.SHARED) as connection:
        ids = []
        for number in range(20):
            connection.sendall(ECHO)
            call_id, _, channel = answer(connection)
            ids.append(call_id)
            assert echo(channel, b"%d" % number) == b"%d" % number
    assert ids == sorted(set(ids))
    assert {start.source for start in host.started("my.Echo")} == {"work"}


def test_a_refusal_does_not_end_it(host):
    with wire.connect_as("work", wire.SHARED) as connection:
        connection.sendall(REFUSED)
        assert answer(connection)[1] == wire.REFUSED
        connection.sendall(wire.trigger("vault", "..", ident=MORE))
        assert answer(connection)[:2] == (0, wire.NOT_UNDERSTOOD)
        connection.sendall(ECHO)
        assert echo(answer(connection)[2], b"x") == b"x"


def test_the_limits_are_those_of_single_requests(host):
    with wire.connect_as("work", wire.SHARED) as connection:
        channels = []
        for _ in range(2):
            connection.sendall(ECHO)
            channels.append(answer(connection)[2])
        connection.sendall(ECHO)
        assert answer(connection)[1] == wire.TOO_MANY
        for channel in channels:
            channel.close()


def test_the_last_request_says_so(host):
    with wire.connect_as("work", wire.SHARED) as connection:
        connection.sendall(REFUSED)
        assert answer(connection)[1] == wire.REFUSED
        connection.sendall(wire.trigger("vault", "my.Nothing"))
        assert wire.refusal(connection)[1] == wire.REFUSED


def test_a_request_in_pieces(host):
    with wire.connect_as("work", wire.SHARED) as connection:
        connection.sendall(REFUSED)
        assert answer(connection)[1] == wire.REFUSED
        for byte in range(len(ECHO)):
            connection.send(ECHO[byte : byte + 1])
        assert echo(answer(connection)[2], b"x") == b"x"


@pytest.mark.parametrize("data", [b"x" * 200, wire.hello(), ECHO + b"x"], ids=["garbage", "HELLO", "a byte too many"])
def test_nonsense_ends_it(host, data):
    with wire.connect_as("work", wire.SHARED) as connection:
        connection.sendall(REFUSED)
        assert answer(connection)[1] == wire.REFUSED
        connection.sendall(data)
        assert wire.receive_all(connection) == b""
    assert host.call("work", "vault", "my.Echo", input=b"here").stdout == b"here"
    assert len(host.started("my.Echo")) == 1


def test_a_stranger_is_not_kept(host):
    host.add_account("nobody-here")
    with wire.connect_as("nobody-here", wire.SHARED) as connection:
        connection.sendall(ECHO)
        assert wire.refusal(connection) == (0, wire.NOT_A_DOMAIN)


def test_a_domain_that_is_removed_meanwhile(host):
    """Whose connection it is was decided when it was made: a domain that is none any more gets nothing through it."""
    with wire.connect_as("work", wire.SHARED) as connection:
        connection.sendall(REFUSED)
        assert answer(connection)[1] == wire.REFUSED
        os.unlink("/etc/qubes/domains.d/work.conf")
        mark = host.logfile.mark()
        host.reload()
        host.wait_log("serving 2 domains", mark=mark)
        connection.sendall(ECHO)
        assert wire.refusal(connection) == (0, wire.NOT_A_DOMAIN)
    host.assert_service_never_started("my.Echo")


def test_a_broker_that_dies(host):
    with wire.connect_as("work", wire.SHARED) as connection:
        connection.sendall(REFUSED)
        assert answer(connection)[1] == wire.REFUSED
        host.restart_broker(signal.SIGKILL)
        assert wire.receive_all(connection) == b""
