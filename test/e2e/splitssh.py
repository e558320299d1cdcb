# SPDX-License-Identifier: Apache-2.0
"""A vault with SSH keys and a domain that uses them, with OpenSSH's own programs at both ends.

    keys = SplitSsh(world)                  domains `work` and `vault`, real keys, nothing running yet
    keys.start_agent("work")                an ssh-agent in the vault, by start-agent
    keys.forward("--service", "…")          a forwarder in `work`
    keys.ssh_add("-L")                      ssh-add as `work`, through it
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading

import hosts
import processes
from waiting import wait_for
from world import Result

LIBEXEC = "/usr/lib/split-ssh"
COMMAND = "/usr/bin/split-ssh"
FILTER = LIBEXEC + "/split-ssh-filter"
TIMEOUT_SEC = 30

SSHD_CONFIG = """Port %(port)d
ListenAddress 127.0.0.1
HostKey %(folder)s/%(name)s
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile %(folder)s/authorized
StrictModes no
AcceptEnv *
LogLevel VERBOSE
TrustedUserCAKeys %(folder)s/ca.pub
Subsystem sftp internal-sftp
"""
CLIENT_CONFIG = """Host a
Port 2201
Host b
Port 2202
Host *
HostName 127.0.0.1
User server
UserKnownHostsFile %s/known_hosts
GlobalKnownHostsFile none
StrictHostKeyChecking yes
BatchMode yes
LogLevel ERROR
"""


def listens(path):
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        try:
            client.connect(path)
        except OSError:
            return False
    return True


class SystemLog:
    """What programs say to syslog(3): /dev/log of a /dev that only this process and what it starts sees."""

    def __init__(self):
        hosts._make_devices()
        # Terminals for everybody, as the /dev of before has them.
        subprocess.run(["mount", "-t", "devpts", "-o", "ptmxmode=0666", "devpts", "/dev/pts"], check=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        self._lines, self._changed = [], threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            line = self._socket.recv(65536).decode(errors="replace")
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()

    def events(self, **fields):
        """The filter's lines so far that have all of FIELDS, each a dict."""
        with self._changed:
            return self._events(fields)

    def _events(self, fields):
        found = []
        for line in self._lines:
            text = line.split("]: ", 1)[-1]
            if "split-ssh-filter[" in line and text.startswith("ev="):
                event = dict(word.split("=", 1) for word in text.split(" "))
                if fields.items() <= event.items():
                    found.append(event)
        return found

    def wait(self, n=1, **fields):
        """Wait for N of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._events(fields)) >= n, TIMEOUT_SEC), (fields, self._lines)
            return self._events(fields)

    def forget(self):
        with self._changed:
            self._lines.clear()

    def close(self):
        subprocess.run(["umount", "--lazy", "/dev"], check=True)


class SplitSsh:
    """Two domains of WORLD, and what runs for them; World.close() ends it."""

    def __init__(self, world, policy="qubes.Ssh * work vault allow\nqubes.SshAgent * work vault allow", domains=True,
                 accounts=("work", "vault")):
        self.world = world
        self.processes = []
        for name in ("work", "vault") if domains else ():
            world.add_domain(name)
        world.set_policy(policy)
        self.folder = "/run/test/ssh"
        os.makedirs(self.folder)
        os.makedirs("/run/user", exist_ok=True)
        for name in accounts:
            entry = pwd.getpwnam(name)
            setattr(self, name, entry)
            self.make_folder("/run/user/%d" % entry.pw_uid, entry)
        if "work" in accounts:
            self.path = "/run/user/%d/ssh/S.ssh-agent" % self.work.pw_uid
        if "vault" in accounts:
            self.agents = "/run/user/%d/qubes/split-ssh" % self.vault.pw_uid

    @staticmethod
    def make_folder(path, owner, mode=0o700):
        """PATH and what leads to it, OWNER's below what was there."""
        missing = []
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for folder in reversed(missing):
            os.mkdir(folder, mode)
            os.chown(folder, owner.pw_uid, owner.pw_gid)

    # Programs

    @staticmethod
    def environment(entry):
        return {"XDG_RUNTIME_DIR": "/run/user/%d" % entry.pw_uid, "LANG": "C.UTF-8"}

    def run(self, account, *command, input=b"", environment=None, timeout=TIMEOUT_SEC):
        """Run COMMAND as ACCOUNT, to its end."""
        settings = self.environment(pwd.getpwnam(account)) if account != "root" else {}
        process = self.world.popen_as(account, command, environment={**settings, **(environment or {})})
        with process:
            try:
                stdout, stderr = process.communicate(input, timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError("%r did not end:\n%s" % (command, self.world.log())) from None
        return Result(process.returncode, stdout, stderr)

    def start(self, account, *command, environment=None, stderr=None, pass_fds=()):
        """Start COMMAND as ACCOUNT; what it complains goes into the world's log."""
        settings = {**self.environment(pwd.getpwnam(account)), **(environment or {})}
        with open("/run/test/log", "ab") as log:
            process = self.world.popen_as(
                account, command, environment=settings, stdin=subprocess.DEVNULL, stdout=log, stderr=stderr or log,
                start_new_session=True, pass_fds=pass_fds,
            )
        self.processes.append(process)
        return process

    def close(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(TIMEOUT_SEC)
            for stream in process.stdin, process.stdout, process.stderr:
                if stream:
                    stream.close()

    # Keys, and the vault

    def make_key(self, name, *options, account="vault", comment=None):
        """A key pair; returns the path of the private half, which ACCOUNT has."""
        path = os.path.join(self.folder, name)
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", comment or name, "-f", path, *options], check=True)
        if account != "root":
            shutil.chown(path, account, account)
        os.chmod(path, 0o600)
        return path

    def install_key(self, name, agent="work", options=None, key_type="ed25519"):
        """A key in the vault's folder of AGENT; returns its public half."""
        folder = "/home/vault/.ssh/identities.d/" + agent
        self.make_folder(folder, self.vault)
        private = os.path.join(folder, name)
        shutil.move(self.make_key(name, "-t", key_type), private)
        shutil.chown(private, "vault", "vault")
        if options is not None:
            self.write_as(self.vault, private + ".ssh-add-option", options)
        with open(os.path.join(self.folder, name + ".pub")) as file:
            return file.read().strip()

    @staticmethod
    def write_as(owner, path, text, mode=0o600):
        with open(path, "w") as file:
            os.fchmod(file.fileno(), mode)
            os.fchown(file.fileno(), owner.pw_uid, owner.pw_gid)
            file.write(text)

    def start_agent(self, name="work"):
        """An ssh-agent of the vault; waits until it listens and has looked at its folder."""
        process = self.start("vault", LIBEXEC + "/start-agent", name)
        wait_for(lambda: listens(self.socket_of(name)), "the agent")
        folder = "/home/vault/.ssh/identities.d/" + name
        expected = sum("." not in entry for entry in os.listdir(folder)) if os.path.isdir(folder) else 0
        wait_for(lambda: self.count(name) >= expected or process.poll() is not None, "the keys")
        return process

    def socket_of(self, agent="work"):
        return "%s/%s.sock" % (self.agents, agent)

    def count(self, agent="work"):
        """How many keys the agent itself has."""
        said = self.run("vault", "ssh-add", "-L", environment={"SSH_AUTH_SOCK": self.socket_of(agent)})
        return len(said.stdout.splitlines()) if said.returncode == 0 else 0

    def set_filter(self, text):
        self.world.write("/etc/split-ssh/filter.conf", text)

    # The domain that uses them

    def forward(self, *options, path=None):
        """A forwarder; waits until it listens."""
        path = path or self.path
        process = self.start("work", COMMAND, "forward", "--listen", path, *options)
        wait_for(lambda: os.path.exists(path), "the forwarder")
        return process

    def as_work(self, *command, path=None, **settings):
        """Run COMMAND as work, with the forwarder's socket as its agent."""
        return self.run("work", *command, environment={"SSH_AUTH_SOCK": path or self.path}, **settings)

    def ssh_add(self, *arguments, **settings):
        return self.as_work("ssh-add", *arguments, **settings)

    def ssh(self, *arguments, **settings):
        return self.as_work("ssh", "-F", self.folder + "/config", *arguments, **settings)

    # Servers

    def start_servers(self, *public_keys):
        """Two of them, as `a` and `b`, whose account `server` takes these keys and certificates of ca."""
        server = self.world.add_account("server")
        with open("/etc/shadow") as file:
            shadow = file.read().replace("\nserver:!:", "\nserver:*:")
        self.world.write("/etc/shadow", shadow, mode=0o640)
        os.makedirs("/run/sshd", exist_ok=True)
        if not os.path.exists(self.folder + "/ca.pub"):
            self.make_key("ca", "-t", "ed25519")
        known = []
        for name, port in ("ha", 2201), ("hb", 2202):
            self.make_key(name, "-t", "ed25519", account="root")
            with open("%s/%s.pub" % (self.folder, name)) as file:
                known.append("[127.0.0.1]:%d %s" % (port, file.read()))
            self.world.write("%s/%s.conf" % (self.folder, name),
                             SSHD_CONFIG % {"port": port, "folder": self.folder, "name": name})
        self.world.write(self.folder + "/authorized", "\n".join(public_keys) + "\n")
        self.world.write(self.folder + "/known_hosts", "".join(known))
        self.world.write(self.folder + "/config", CLIENT_CONFIG % self.folder)
        self.make_folder("/home/server/.ssh", server)
        self.write_as(server, "/home/server/.ssh/config", CLIENT_CONFIG % self.folder)
        for name, port in ("ha", 2201), ("hb", 2202):
            with open("/run/test/%s.log" % name, "ab") as log:
                process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", "%s/%s.conf" % (self.folder, name)],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.processes.append(process)
            wait_for(lambda: _tcp_listens(port), "sshd")

    @staticmethod
    def server_log(name):
        with open("/run/test/%s.log" % name, errors="replace") as file:
            return file.read()


def _tcp_listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def forwarders():
    """The forwarder's processes."""
    return processes.running(COMMAND)
