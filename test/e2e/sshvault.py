# SPDX-License-Identifier: Apache-2.0
"""A vault with a real ssh-agent behind split-ssh-filter, real keys, and two real sshd to log in to:

    vault.policy("key = *")                       the configuration of source `work`; hosts a and b are defined
    vault.ssh("a", "true")                        through the filter, as every command below
    vault.run("ssh-add", "-l")
    vault.events("sign")                          what the filter logged since, each a dict
    vault.raw(bytes)                              what it answers to these

Everything is in one folder; the log is /dev/log of a /dev that only we see.
"""

import base64
import glob
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import hosts
from waiting import wait_for

FILTER = "/usr/lib/split-ssh/split-ssh-filter"
TIMEOUT = 40

SSHD_CONFIG = """
Port %(port)d
ListenAddress 127.0.0.1
HostKey %(folder)s/%(key)s
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
AuthorizedKeysFile %(folder)s/authorized
TrustedUserCAKeys %(folder)s/ca.pub
AllowAgentForwarding yes
Subsystem sftp internal-sftp
SetEnv HOME=%(folder)s
"""

CLIENT_CONFIG = """
Host a
    Port 2201
Host b
    Port 2202
Host *
    HostName 127.0.0.1
    User root
    BatchMode yes
    StrictHostKeyChecking yes
    UserKnownHostsFile %(folder)s/known_hosts
    GlobalKnownHostsFile /dev/null
    IdentityFile %(folder)s/none
    LogLevel INFO
"""

# Asks: what it was told goes into a file of its own, whose name begins with `part` until it is whole; then, with a pipe `hold`
# there, it waits until that is written to.
HELPER = """#!/bin/sh
case $1 in confirm) kind=asked ;; notify) kind=told ;; *) exit 9 ;; esac
cat >%(folder)s/part.$kind.$$
env >%(folder)s/environment
echo $$ >%(folder)s/helper.pid
mv %(folder)s/part.$kind.$$ %(folder)s/$kind.$$
[ $kind = told ] && exit 0
[ -p %(folder)s/hold ] && cat %(folder)s/hold >/dev/null
exit $(cat %(folder)s/answer)
"""


def string(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">I", len(data)) + data


def message(number, contents=b""):
    return string(bytes([number]) + contents)


def strings(data):
    """The strings that DATA consists of."""
    found = []
    while data:
        n, = struct.unpack(">I", data[:4])
        found.append(data[4:4 + n])
        data = data[4 + n:]
    return found


def messages(data):
    """The whole messages in DATA: (type, contents)."""
    return [(part[0], part[1:]) for part in strings(data)]


def sign_request(blob, data, flags=0):
    return message(13, string(blob) + string(data) + struct.pack(">I", flags))


FAILURE = message(5)
BIND = string("session-bind@openssh.com")
SESSION = 32 * b"s"
PW = "key = <work>"
ALL = ["work", "work", "priv", "ec", "rsa", "ca"]

# What a client comes to that is cut off at the start: it says so, or writes to a stream that is closed already.
CUT_OFF = (1, -signal.SIGPIPE)

ANY_LIBRARY = next(path for path in ("/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/aarch64-linux-gnu/libc.so.6",
                                     "/lib/libc.so.6") if os.path.exists(path))


def comments(out):
    """Of `ssh-add -l`."""
    return [line.split()[2] for line in out.splitlines() if line.split()[0].isdigit()]


def holds(event, **expect):
    return {name: event[name] for name in expect} == expect


def auth(session, user, algorithm, blob, host_key=None, service="ssh-connection", tail=b""):
    method = "publickey" if host_key is None else "publickey-hostbound-v00@openssh.com"
    return (string(session) + b"\x32" + string(user) + string(service) + string(method) + b"\x01" + string(algorithm) +
            string(blob) + (string(host_key) if host_key is not None else b"") + tail)


class Vault:
    def __init__(self, folder):
        self.folder = str(folder)
        os.chmod(self.folder, 0o755)
        self._log_lines, self._log_changed = [], threading.Condition()
        self._filters, self._listener, self._agent_pid, self._sshd = [], None, None, []
        self.options, self.source, self.agent_socket = [], "work", self.path("real.sock")
        hosts._make_devices()
        self._log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._log.bind("/dev/log")
        threading.Thread(target=self._read_log, daemon=True).start()
        self._make_keys()
        self.write("client.conf", CLIENT_CONFIG % {"folder": self.folder})
        self.write("helper", HELPER % {"folder": self.folder}, 0o755)
        os.makedirs("/run/sshd", exist_ok=True)
        for port, key in ((2201, "ha"), (2202, "hb")):
            self._start_sshd(port, key)

    def close(self):
        self.stop()
        for process in self._sshd:
            process.kill()
            process.wait()
        subprocess.run(["umount", "--lazy", "/dev"], check=True)

    def path(self, name):
        return self.folder + "/" + name

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def read(self, name):
        with open(self.path(name)) as file:
            return file.read()

    # Keys

    def _keygen(self, *arguments):
        subprocess.run(["ssh-keygen", "-q", *arguments], cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def _make_keys(self):
        for name in ("work", "priv", "ca", "other", "ha", "hb"):
            self._keygen("-t", "ed25519", "-N", "", "-C", name, "-f", name)
        self._keygen("-t", "ecdsa", "-N", "", "-C", "ec", "-f", "ec")
        self._keygen("-t", "rsa", "-b", "3072", "-N", "", "-C", "rsa", "-f", "rsa")
        self._keygen("-s", "ca", "-I", "work", "-n", "root", "work.pub")
        with open(self.path("authorized"), "w") as file:
            for name in ("work", "priv", "ec", "rsa", "ca", "other"):
                file.write(self.read(name + ".pub"))
        with open(self.path("known_hosts"), "w") as file:
            for port, name in ((2201, "ha"), (2202, "hb")):
                file.write("[127.0.0.1]:%d %s" % (port, self.read(name + ".pub")))
        # Where a client looks; without private keys.
        os.mkdir(self.path("pub"))
        for name in ("work", "priv", "ec", "rsa", "ca", "other", "work-cert"):
            shutil.copy(self.path(name + ".pub"), self.path("pub"))

    def fingerprint(self, name):
        out = subprocess.run(["ssh-keygen", "-lf", self.path(name + ".pub")], check=True, stdout=subprocess.PIPE).stdout
        return out.decode().split()[1]

    def blob(self, name):
        return base64.b64decode(self.read(name + ".pub").split()[1])

    # Servers

    def _start_sshd(self, port, key):
        config, log = "sshd-%s.conf" % key, self.path("sshd-%s.log" % key)
        self.write(config, SSHD_CONFIG % {"port": port, "key": key, "folder": self.folder})
        with open(log, "wb") as file:
            process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", self.path(config)], stdin=subprocess.DEVNULL,
                                       stdout=file, stderr=file)
        self._sshd.append(process)
        wait_for(lambda: "Server listening" in self.read("sshd-%s.log" % key) or process.poll() is not None)
        assert process.poll() is None, self.read("sshd-%s.log" % key)

    # The real agent

    def start_agent(self, *keys):
        assert self._agent_pid is None
        out = subprocess.run(["ssh-agent", "-a", self.path("real.sock")], check=True, stdout=subprocess.PIPE).stdout
        self._agent_pid = int(re.search(rb"SSH_AGENT_PID=(\d+)", out).group(1))
        if keys:
            self.agent("ssh-add", "-q", *keys)

    def stop_agent(self):
        if self._agent_pid is not None:
            os.kill(self._agent_pid, 15)
            wait_for(lambda: not os.path.exists("/proc/%d" % self._agent_pid))
            if os.path.exists(self.path("real.sock")):
                os.unlink(self.path("real.sock"))
        self._agent_pid = None

    def agent(self, *command, **settings):
        """A command that talks to the real agent, past the filter."""
        return subprocess.run(command, cwd=self.folder, env=dict(os.environ, SSH_AUTH_SOCK=self.path("real.sock")),
                              check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT,
                              **settings).stdout.decode()

    # The filter

    def start(self, *keys):
        """A new agent with these keys, by default all, and the filter before it, on the socket c.sock."""
        self.options, self.source, self.agent_socket = [], "work", self.path("real.sock")
        self.start_agent(*(keys or ("work", "priv", "ec", "rsa", "ca")))
        self.write("answer", "0")
        self.listen()
        self.forget()

    def listen(self):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path("c.sock"))
        self._listener.listen(128)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop_listening(self):
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            os.unlink(self.path("c.sock"))
        self._listener = None

    def stop(self):
        self.stop_listening()
        for process in self._filters:
            process.kill()
            process.wait()
        self._filters = []
        self.stop_agent()
        if not os.path.islink(self.path("st")):
            shutil.rmtree(self.path("st"), ignore_errors=True)
        for name in ("st", "hold", "environment", "tool", "m.sig"):
            if os.path.lexists(self.path(name)):
                os.unlink(self.path(name))
        self.forget()

    def command(self):
        return [FILTER, "--source", self.source, "--agent", "t", "--agent-socket", self.agent_socket,
                "--config", self.path("p.conf"), "--state-dir", self.path("st"), "--helper", self.path("helper"),
                *self.options]

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, open(self.path("stderr"), "ab") as errors:
                self._filters.append(subprocess.Popen(self.command(), stdin=connection, stdout=connection, stderr=errors))

    def statuses(self):
        """Wait for all filters; how they ended."""
        return [process.wait(TIMEOUT) for process in self._filters]

    def last_filter(self):
        wait_for(lambda: self._filters)
        return self._filters[-1]

    def policy(self, *lines, confirm="never", head=(), text=None):
        """The lines of section [source work]; HEAD comes before it. Or the whole TEXT."""
        if text is None:
            text = "[host a]\nkey = %s\n[host b]\nkey = %s\n" % (self.fingerprint("ha"), self.fingerprint("hb"))
            text += "".join(line + "\n" for line in head)
            text += "[source work]\nconfirm = %s\n" % confirm
            text += "".join(line + "\n" for line in lines)
        text = re.sub(r"<(\w+)>", lambda match: self.fingerprint(match.group(1)), text)
        self.write("p.conf", text)

    def environment(self, **more):
        environment = dict(os.environ, SSH_AUTH_SOCK=self.path("c.sock"), HOME=self.folder, LC_ALL="C")
        environment.update(more)
        return environment

    def start_command(self, *command, **settings):
        return subprocess.Popen(command, cwd=self.path("pub"), env=self.environment(**settings.pop("env", {})),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **settings)

    def run(self, *command, env=None, stdin=b""):
        """A command of the client. Return: its status and all that it says."""
        done = subprocess.run(command, cwd=self.path("pub"), env=self.environment(**(env or {})), input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT)
        return done.returncode, done.stdout.decode(errors="replace")

    def ssh_command(self, *arguments):
        return ("ssh", "-F", self.path("client.conf"), *arguments)

    def ssh(self, *arguments, **settings):
        return self.run(*self.ssh_command(*arguments), **settings)

    # What people were asked and told

    def inner(self, *arguments):
        """ssh from the account on host a, over the forwarded agent, to host b."""
        return self.ssh("-A", "a",
                        "ssh -F %s %s b echo inner; echo $?" % (self.path("client.conf"), " ".join(arguments)))

    def sign_file(self, *options, key="work.pub"):
        self.write("m", "text")
        if os.path.exists(self.path("m.sig")):
            os.unlink(self.path("m.sig"))
        return self.run("ssh-keygen", "-Y", "sign", *options, "-f", key, "-n", "file", self.path("m"))

    def records(self, kind):
        found = []
        for name in sorted(glob.glob(self.path(kind + ".*")), key=os.path.getmtime):
            with open(name) as file:
                found.append(dict(line.rstrip("\n").split("=", 1) for line in file))
        return found

    def asked(self):
        return self.records("asked")

    def wait_told(self, n):
        wait_for(lambda: len(self.records("told")) >= n)
        return self.records("told")

    def hold(self):
        os.mkfifo(self.path("hold"))

    def release(self):
        with open(self.path("hold"), "w"):
            os.unlink(self.path("hold"))

    # The log

    def _read_log(self):
        while True:
            line = self._log.recv(65536).decode(errors="replace")
            with self._log_changed:
                self._log_lines.append(line)
                self._log_changed.notify_all()

    def log(self):
        """All lines since forget(), of those who have written by now."""
        marker = "marker %r" % time.monotonic()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(marker.encode(), "/dev/log")
        with self._log_changed:
            assert self._log_changed.wait_for(lambda: marker in self._log_lines, TIMEOUT)
            self._log_lines.remove(marker)
            return [line for line in self._log_lines if "split-ssh-filter[" in line]

    def events(self, kind=None):
        """What the log has: a dict for each event."""
        found = []
        for line in self.log():
            text = line.split("]: ", 1)[1]
            if text.startswith("ev="):
                fields = dict(field.split("=", 1) for field in text.split(" "))
                fields["priority"] = re.match(r"<(\d+)>", line).group(1)
                if kind in (None, fields["ev"]):
                    found.append(fields)
        return found

    def whys(self, kind="sign"):
        return [event["why"] for event in self.events(kind)]

    def forget(self):
        for name in glob.glob(self.path("asked.*")) + glob.glob(self.path("told.*")):
            os.unlink(name)
        self.log()
        with self._log_changed:
            self._log_lines.clear()

    # Bytes

    def connect(self):
        return Connection(self.path("c.sock"))

    def raw(self, data):
        """Everything that comes back for DATA and an end of file."""
        with self.connect() as connection:
            connection.socket.sendall(data)
            connection.socket.shutdown(socket.SHUT_WR)
            return connection.rest()

    def capture(self, *arguments):
        """The messages that a real ssh, with these arguments, sends to its agent on each of its connections."""
        with Tap(self.path("tap.sock"), self.path("c.sock")) as tap:
            status, out = self.ssh(*arguments, env={"SSH_AUTH_SOCK": self.path("tap.sock")})
            return status, out, [messages(data) for data in tap.finish()]


class Connection:
    """A client of raw bytes."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(path)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def receive(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            assert part, "the stream ended"
            data += part
        return data

    def ask(self, request):
        """One request: the answer without its length."""
        self.socket.sendall(request)
        return self.answer()

    def answer(self):
        n, = struct.unpack(">I", self.receive(4))
        return self.receive(n)

    def rest(self):
        data = b""
        while True:
            try:
                part = self.socket.recv(65536)
            except ConnectionResetError:
                return data
            if not part:
                return data
            data += part


class Tap:
    """Sits between a client and a socket, and keeps what the client sends."""

    def __init__(self, path, target):
        self._path, self._target, self._captured, self._threads = path, target, [], []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        os.unlink(self._path)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            upstream = socket.socket(socket.AF_UNIX)
            upstream.connect(self._target)
            captured = bytearray()
            self._captured.append(captured)
            for one, other, keep in ((client, upstream, captured), (upstream, client, bytearray())):
                thread = threading.Thread(target=self._pump, args=(one, other, keep), daemon=True)
                thread.start()
                self._threads.append(thread)

    @staticmethod
    def _pump(one, other, keep):
        try:
            while data := one.recv(65536):
                keep += data
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def finish(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(TIMEOUT)
        for thread in self._threads:
            thread.join(TIMEOUT)
        return [bytes(captured) for captured in self._captured]
