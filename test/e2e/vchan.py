# SPDX-License-Identifier: Apache-2.0
"""Peers of upstream's kind, played here byte for byte: connections over vchan in its Unix-socket form (protocol
specification, 1.3), the messages on them, and the folder in which a program under test finds all it needs.

Everything is as the reference's own black-box tests have it (appendix D): one temporary folder, an unprivileged user,
the host is domain 0, the program under test is domain 42, the other domain is 43.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile

from waiting import wait_for

BUILD = os.environ.get("QAIR_BUILD", "build")
UID = 64124 if os.geteuid() == 0 else os.geteuid()
ACCOUNT = "vchan-test"
LIMIT = 30  # seconds for anything that ought to happen at once

STDIN, STDOUT, STDERR, EXIT_CODE = 0x190, 0x191, 0x192, 0x193
EXEC_CMDLINE, JUST_EXEC, SERVICE_CONNECT, SERVICE_REFUSED = 0x200, 0x201, 0x202, 0x203
TRIGGER2, CONNECTION_TERMINATED, TRIGGER3, TRIGGER4 = 0x210, 0x211, 0x212, 0x213
HELLO = 0x300

HOST, OWN, OTHER = 0, 42, 43
CONTROL = 512


def message(kind, payload=b""):
    return struct.pack("<II", kind, len(payload)) + payload


def params(domain, port, text=b""):
    return struct.pack("<II", domain, port) + text


def trigger4(target, service, ident=b"SOCKET", source=b""):
    """The payload of a TRIGGER_SERVICE4; SERVICE with its NUL."""
    return source.ljust(64, b"\0") + target.ljust(64, b"\0") + ident.ljust(32, b"\0") + service


class Peer:
    """One end of a stream that carries messages."""

    def __init__(self, stream):
        self.stream = stream
        stream.settimeout(LIMIT)

    def send(self, kind, payload=b""):
        self.stream.sendall(message(kind, payload))

    def send_raw(self, data):
        self.stream.sendall(data)

    def _read(self, n):
        data = b""
        while len(data) < n:
            try:
                piece = self.stream.recv(n - len(data))
            except ConnectionResetError:  # means the same as an end-of-file (1.4)
                piece = b""
            if not piece:
                return None
            data += piece
        return data

    def read_raw(self, n):
        """Exactly N bytes, None if the stream ended before."""
        return self._read(n)

    def next(self):
        """The next message as (type, payload), None at the end of the stream."""
        header = self._read(8)
        if header is None:
            return None
        kind, length = struct.unpack("<II", header)
        return kind, self._read(length)

    def end_stdin(self, last=b""):
        """No more input but LAST; to one that is gone already it makes no difference."""
        with contextlib.suppress(BrokenPipeError):
            if last:
                self.send(STDIN, last)
            self.send(STDIN)

    def expect(self, kind, payload=b""):
        assert self.next() == (kind, payload)

    def hello(self, version=4, expect=4):
        """What both ends of a data connection do first: say ours, hear theirs."""
        self.send(HELLO, struct.pack("<I", version))
        self.expect(HELLO, struct.pack("<I", expect))

    def messages(self):
        """All that comes to the end of the stream."""
        return list(iter(self.next, None))

    def outcome(self):
        """All that comes to the end, as (stdout, stderr, exit code, the types without repetitions in a row)."""
        streams, code, kinds = {STDOUT: b"", STDERR: b""}, None, []
        for kind, payload in self.messages():
            if not kinds or kinds[-1] != (kind, bool(payload)):
                kinds.append((kind, bool(payload)))
            if kind == EXIT_CODE:
                (code,) = struct.unpack("<i", payload)
            else:
                streams[kind] += payload
        return streams[STDOUT], streams[STDERR], code, kinds

    def assert_closed(self):
        assert self.next() is None

    def assert_silent(self):
        """Nothing is there to be read, and the stream is open."""
        self.stream.setblocking(False)
        try:
            data = self.stream.recv(1)
            raise AssertionError("it should say nothing: %r" % data)
        except BlockingIOError:
            pass
        finally:
            self.stream.settimeout(LIMIT)

    def close(self):
        self.stream.close()


class Services:
    """A folder with two directories of services and one of their configuration, and a log."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="test-qair."))
        self.path.chmod(0o755)
        for name in "one", "two", "config":
            (self.path / name).mkdir(mode=0o755)
        self.log_path = self.path / "log"

    def service(self, name, script, folder="one", mode=0o755):
        path = self.path / folder / name
        path.write_text(script)
        path.chmod(mode)
        return path

    def config(self, name, text):
        (self.path / "config" / name).write_text(text)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def remove(self):
        shutil.rmtree(self.path)


class Folder(Services):
    """Services, and all sockets of vchan."""

    def __init__(self):
        super().__init__()
        self.sockets = self.path / "sockets"
        self.sockets.mkdir()
        self.sockets.chmod(0o777)
        self.listeners = []

    # --- programs

    def environment(self, domain, **more):
        return {
            "PATH": "/usr/bin:/bin",
            "USER": ACCOUNT,
            "HOME": "/",
            "VCHAN_DOMAIN": str(domain),
            "VCHAN_SOCKET_DIR": str(self.sockets),
            "QREXEC_SERVICE_PATH": "%s/one:%s/two" % (self.path, self.path),
            "QUBES_RPC_CONFIG_PATH": "%s/config" % self.path,
            **more,
        }

    def start(self, program, *arguments, domain=OWN, environment=None, limit=None, **options):
        """Start a program of ours as the unprivileged user, perhaps with a LIMIT of descriptors; its standard error is the
        log unless said otherwise."""
        command = [os.path.abspath(os.path.join(BUILD, program)), *map(str, arguments)]
        if limit:
            command = ["prlimit", "--nofile=%d:%d" % (limit, limit), *command]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=%d" % UID, "--regid=%d" % UID, "--clear-groups", *command]
        with open(self.log_path, "ab") as log:
            options.setdefault("stdin", subprocess.DEVNULL)
            options.setdefault("stdout", log)
            options.setdefault("stderr", log)
            return subprocess.Popen(command, env=self.environment(domain, **(environment or {})), **options)

    def unix_listener(self, path):
        """A listening socket anywhere in the folder."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.settimeout(LIMIT)
        mask = os.umask(0)  # a dialler that comes between bind and a chmod would be turned away for good
        listener.bind(str(path))
        os.umask(mask)
        listener.listen(5)
        self.listeners.append(listener)
        return listener

    def socket_service(self, name):
        return self.unix_listener(self.path / "one" / name)

    # --- vchan

    def socket_path(self, server, client, port):
        return self.sockets / ("vchan.%d.%d.%d.sock" % (server, client, port))

    def listen(self, server, client, port):
        return self.unix_listener(self.socket_path(server, client, port))

    def accept(self, listener):
        """Take the one connection of an endpoint."""
        connection, _ = listener.accept()
        os.unlink(listener.getsockname())
        listener.close()
        return Peer(connection)

    def connect(self, path):
        """Connect as a dialler has to: again until somebody is there."""

        def attempt():
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(str(path))
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                return None

        return Peer(wait_for(attempt, "a listener at %s" % path))

    def dial(self, server, client, port):
        return self.connect(self.socket_path(server, client, port))

    def close(self):
        for listener in self.listeners:
            listener.close()
        self.remove()


def kill_and_wait(process):
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait(LIMIT)
