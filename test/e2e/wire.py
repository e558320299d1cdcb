# SPDX-License-Identifier: Apache-2.0
"""The messages of doc/protocol.md, for tests that speak them raw: what an odd or a hostile peer would send."""

import os
import pwd
import socket
import struct

HELLO = 0x300
EXEC_CMDLINE = 0x200
JUST_EXEC = 0x201
SERVICE_REFUSED = 0x203
TRIGGER4 = 0x213
CALL_ENDED = 0x400
CALL_KILL = 0x401
CALL_LIST = 0x402
CALL_DRAIN = 0x403

DATA_STDIN = 0x190
DATA_STDOUT = 0x191
DATA_STDERR = 0x192
DATA_EXIT_CODE = 0x193

DOMAIN_REFUSED = 0x7FFF0000
DOMAIN_FRAMED = 0x7FFF0001
DOMAIN_DIRECT = 0x7FFF0003

REFUSED, NOT_A_DOMAIN, TOO_MANY, UNAVAILABLE, NOT_UNDERSTOOD = 1, 2, 3, 4, 5

SHARED = "/run/qubes/qrexec-agent"
DOM0 = "/run/qubes/dom0/qrexec-agent"

TIMEOUT_SEC = 20


def message(kind, payload=b""):
    return struct.pack("<II", kind, len(payload)) + payload


def hello(version=4):
    return message(HELLO, struct.pack("<I", version))


def trigger(target, service, source="", ident="QAIR1"):
    """A whole TRIGGER_SERVICE4."""
    return message(
        TRIGGER4,
        source.encode().ljust(64, b"\0")
        + target.encode().ljust(64, b"\0")
        + ident.encode().ljust(32, b"\0")
        + service.encode()
        + b"\0",
    )


def call_ended(call_id, how=0, status=0, usec=1):
    return message(CALL_ENDED, struct.pack("<IIiQ", call_id, how, status, usec))


def call_list(*call_ids):
    return message(CALL_LIST, struct.pack("<%dI" % len(call_ids), *call_ids))


def call_drain(*call_ids):
    return message(CALL_DRAIN, struct.pack("<%dI" % len(call_ids), *call_ids))


def parse_exec(packet):
    """(type, mode, call id, command) of an EXEC_CMDLINE or JUST_EXEC packet."""
    kind, length, mode, call_id = struct.unpack_from("<IIII", packet)
    assert length == len(packet) - 8 and packet.endswith(b"\0")
    return kind, mode, call_id, packet[16:-1].decode()


def connect_as(account, path, kind=socket.SOCK_STREAM):
    """A socket that was connected by ACCOUNT (a name or a number), as the kernel will attest; raises OSError if it
    could not be."""
    (connection,) = connect_all_as(account, path, 1, kind)
    return connection


def connect_all_as(account, path, count, kind=socket.SOCK_STREAM):
    """COUNT sockets that were connected by ACCOUNT, by one process of its."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    child = os.fork()
    if child == 0:
        status = 255  # whatever is no error of the system's
        try:
            ours.close()
            if isinstance(account, str):
                entry = pwd.getpwnam(account)
                os.initgroups(account, entry.pw_gid)
                os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
                account = entry.pw_uid
            if account != 0:
                os.setresuid(account, account, account)
            for _ in range(count):
                with socket.socket(socket.AF_UNIX, kind) as connection:
                    connection.connect(path)
                    socket.send_fds(theirs, [b"x"], [connection.fileno()])
            status = 0
        except OSError as error:
            status = error.errno
        finally:
            os._exit(status)
    theirs.close()
    connections = []
    with ours:
        while len(connections) < count:
            data, fds, _, _ = socket.recv_fds(ours, 1, 1)
            if not data:
                break
            connections.append(socket.socket(fileno=fds[0]))
            connections[-1].settimeout(TIMEOUT_SEC)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        for connection in connections:
            connection.close()
    assert code != 255, "cannot become %s here" % account
    if code != 0:
        raise OSError(code, os.strerror(code), path)
    return connections


def receive_all(connection):
    """Everything until the other end closes; a reset counts as closing."""
    data = b""
    try:
        while True:
            piece = connection.recv(65536)
            if not piece:
                return data
            data += piece
    except ConnectionResetError:
        return data


def refusal(connection):
    """(call id, reason) of the refusal that the broker sends before it closes, or None if it only closes."""
    data = receive_all(connection)
    if not data:
        return None
    mode, call_id, reason = struct.unpack("<III", data)
    assert mode == DOMAIN_REFUSED
    return call_id, reason


class Agent:
    """A link as its agent has it: connected by the domain's account, introduced if wanted."""

    def __init__(self, account, domain, introduce=True):
        self.socket = connect_as(account, "/run/qubes/domains/%s/link" % domain, socket.SOCK_SEQPACKET)
        if introduce:
            self.socket.send(hello())
            assert self.socket.recv(100) == hello()
            self.socket.send(call_list())

    def receive_exec(self):
        """(type, mode, call id, command, the Channel that came with it)"""
        packet, fds, _, _ = socket.recv_fds(self.socket, 131072, 4)
        kind, mode, call_id, command = parse_exec(packet)
        assert len(fds) == {DOMAIN_FRAMED: 1, DOMAIN_DIRECT: 3}[mode]
        return kind, mode, call_id, command, Channel(fds)

    def is_closed(self):
        """Wait until the broker closes the link."""
        try:
            return self.socket.recv(100) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Channel:
    """One side's ends of a call: a framed connection as `stream`, or a status stream of that name and two pipes."""

    def __init__(self, fds):
        self.stream = socket.socket(fileno=fds[0])
        self.stream.settimeout(TIMEOUT_SEC)
        self.stdin, self.stdout = fds[1:] or (None, None)

    def close(self):
        self.stream.close()
        for fd in (self.stdin, self.stdout):
            if fd is not None:
                os.close(fd)
        self.stdin = self.stdout = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def exit_code(status):
    return message(DATA_EXIT_CODE, struct.pack("<i", status))


def finish(channel, stdout=b"", status=0):
    """Play a whole service: stdout, its end, exit code."""
    if channel.stdout is None:
        data = message(DATA_STDOUT, stdout) if stdout else b""
        channel.stream.sendall(hello() + data + message(DATA_STDOUT) + message(DATA_STDERR) + exit_code(status))
    else:
        os.write(channel.stdout, stdout)
        channel.stream.sendall(hello() + exit_code(status))
    channel.close()
