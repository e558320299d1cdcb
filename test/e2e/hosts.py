# SPDX-License-Identifier: Apache-2.0
"""Several hosts in one world, each with its own network, processes, accounts, /etc, /run and /home:

    with Hosts("a", "b") as (a, b):
        a.add_domain("work")                  every method of World, done over there
        b.run(function, argument)             a function of the test, called over there with the World first
        b.start_sshd()

    Hosts("a", "b", roots={"b": ROOT})   b has a file system of its own, perhaps of another architecture: see Root

A host is a process of ours in namespaces of its own, which does what it is told over a socket. The hosts are on one
Ethernet: host number N has the address 10.77.0.N, and every host knows the others by their names.
"""

import os
import pickle
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback

import processes
from world import World

NETWORK = "10.77.0."
KEYGEN = "/usr/bin/ssh-keygen"
SSHD = "/usr/sbin/sshd"

SSHD_CONFIG = """
Port 22
ListenAddress 0.0.0.0
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 200
LogLevel VERBOSE
Include /etc/ssh/sshd_config.d/*.conf
"""

# A /dev of its own, so that it can have a /dev/log.
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "pts", "shm")
DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}

# What an overlay cannot give: each host its own, and empty.
EMPTY = ("/run", "/tmp", "/home", "/root", "/var/log", "/var/tmp")
# What overlays need besides, where test/world/enter has been told so.
OVERLAY = os.environ.get("QAIR_OVERLAY", "")


def run(*command, **settings):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings)


class Root:
    """A Debian in a folder, and what was installed for it (DESTDIR)."""

    def __init__(self, folder, installed):
        self.folder = folder
        self.installed = installed

    def enter(self):
        """See nothing else from now on. Modules have to be loaded already, for their files are outside."""
        run("mount", "-t", "tmpfs", "-o", "mode=0755", "host", "/mnt")
        for folder in ("upper", "work", "root"):
            os.mkdir("/mnt/" + folder)
        lower = "lowerdir=%s:%s" % (self.installed, self.folder)
        run("mount", "-t", "overlay", "-o", lower + ",upperdir=/mnt/upper,workdir=/mnt/work" + OVERLAY, "host", "/mnt/root")
        run("mount", "--rbind", "/dev", "/mnt/root/dev")
        os.makedirs("/mnt/root/run/world/installed")
        run("mount", "--bind", self.installed, "/mnt/root/run/world/installed")
        os.chroot("/mnt/root")
        os.chdir("/")
        # What test/world/enter does in a world.
        run("groupadd", "--system", "qubes")
        for name in ("qrexec", "qrexec-dom0"):
            run("useradd", "--system", "--user-group", "--home-dir", "/", "--shell", "/usr/sbin/nologin", name)
        run("usermod", "--append", "--groups", "qubes", "qrexec-dom0")
        with open("/etc/machine-id", "w") as file:
            file.write(os.urandom(16).hex() + "\n")


class HostError(AssertionError):
    """What went wrong on a host, with its own trace."""


class Host:
    """A host as the test sees it: what is asked of it is done by its own process."""

    def __init__(self, name, number, root=None):
        self.name = name
        self.address = NETWORK + str(number)
        ours, theirs = socket.socketpair()
        self._socket = ours
        self._lost = False
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                # Nothing of the test's, least of all its ends of the other hosts' sockets.
                os.closerange(3, theirs.fileno())
                os.closerange(theirs.fileno() + 1, 4096)
                signal.alarm(0)
                _become_host(name, theirs, root)
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        # The process that answers is the first of its own process namespace; this is its network's name for ip(8).
        self.init = self._receive()

    def __getattr__(self, method):
        if method.startswith("_"):
            raise AttributeError(method)

        def call(*arguments, **named):
            return self._ask(method, arguments, named)

        return call

    def run(self, function, *arguments, **named):
        """Call FUNCTION(world, *ARGUMENTS) over there; it has to be a function of a module."""
        return self._ask(function, arguments, named)

    def stop_host(self):
        try:
            if self._lost:
                for child in processes.children_of(self.pid):
                    os.kill(child, signal.SIGKILL)
            else:
                self._ask("close", (), {})
        finally:
            self._socket.close()
            os.waitpid(self.pid, 0)

    def _ask(self, what, arguments, named):
        data = pickle.dumps((what, arguments, named))
        self._lost = True  # whoever is interrupted here (a deadline) has an answer that nobody waits for
        self._socket.sendall(struct.pack("<Q", len(data)) + data)
        kind, value = self._receive()
        self._lost = False
        if kind == "error":
            raise HostError("on host %s: %s" % (self.name, value))
        return value

    def _receive(self):
        return _receive(self._socket)


def _receive(connection):
    (n,) = struct.unpack("<Q", _exactly(connection, 8))
    return pickle.loads(_exactly(connection, n))


def _exactly(connection, n):
    data = b""
    while len(data) < n:
        more = connection.recv(min(n - len(data), 1 << 20))
        if not more:
            raise EOFError
        data += more
    return data


def _send(connection, value):
    data = pickle.dumps(value)
    connection.sendall(struct.pack("<Q", len(data)) + data)


def _become_host(name, connection, root):
    """In the child: new namespaces; the first process of the new process namespace then serves."""
    # There is no os.unshare() before Python 3.12.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    flags = 0x00020000 | 0x40000000 | 0x20000000 | 0x04000000 | 0x08000000  # mount, net, pid, uts, ipc
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    child = os.fork()
    if child:
        connection.close()
        os.waitpid(child, 0)
        return
    run("mount", "--make-rprivate", "/")
    if root:
        root.enter()
    run("mount", "-t", "proc", "proc", "/proc")
    # The world's own copy of what was installed, seen through the new /run.
    run("mount", "-t", "tmpfs", "-o", "mode=0700", "host", "/mnt")
    os.mkdir("/mnt/installed")
    run("mount", "--bind", "/run/world/installed", "/mnt/installed")
    for folder in ("upper", "work"):
        os.mkdir("/mnt/" + folder)
    run("mount", "-t", "overlay", "-o", "lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work" + OVERLAY, "host", "/etc")
    for path in EMPTY:
        run("mount", "-t", "tmpfs", "-o", "mode=%s" % ("1777" if "tmp" in path else "0755"), "host", path)
    os.makedirs("/run/world/installed")
    run("mount", "--bind", "/mnt/installed", "/run/world/installed")
    os.makedirs("/run/sshd")
    _make_devices()
    socket.sethostname(name)
    run("ip", "link", "set", "lo", "up")
    with open("/proc/self/stat") as file:
        assert file.read().split()[0] == "1"
    _send(connection, None)
    world = HostWorld()
    while True:
        try:
            what, arguments, named = _receive(connection)
        except EOFError:
            os._exit(0)
        try:
            function = getattr(world, what) if isinstance(what, str) else what
            arguments = arguments if isinstance(what, str) else (world, *arguments)
            _send(connection, ("value", function(*arguments, **named)))
        except BaseException:
            _send(connection, ("error", traceback.format_exc() + "\n" + world.log()[-2000:] + world.sshd_log()[-2000:]))


def _make_devices():
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "host", "/mnt", "--make-private")
    for name in DEVICES:
        path = "/mnt/" + name
        if os.path.isdir("/dev/" + name):
            os.mkdir(path)
        else:
            open(path, "w").close()
        run("mount", "--rbind", "/dev/" + name, path)
    for name, target in DEVICE_LINKS.items():
        os.symlink(target, "/mnt/" + name)
    run("mount", "--move", "/mnt", "/dev")


class HostWorld(World):
    """What a host does besides."""

    def __init__(self):
        super().__init__()
        self._sshd = None
        # The system's log (syslog(3)); read all the time, for whoever writes waits until there is room.
        log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        log.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        self._lines = queue.SimpleQueue()
        threading.Thread(target=self._read_syslog, args=(log,), daemon=True).start()

    def _read_syslog(self, log):
        while True:
            self._lines.put(log.recv(8192).decode(errors="replace"))

    def wait_syslog(self, part):
        """Wait for the next line with PART in it; what comes before it is forgotten."""
        while True:
            line = self._lines.get(timeout=20)
            if part in line:
                return line

    def wait_log(self, *arguments, **named):
        """As World's, without what it found."""
        super().wait_log(*arguments, **named)

    def host_key(self):
        """The public key of this host, made when it is first asked for."""
        path = "/etc/ssh/ssh_host_ed25519_key"
        if not os.path.exists("/mnt/host-key"):
            for old in os.listdir("/etc/ssh"):
                if old.startswith("ssh_host_"):
                    os.unlink("/etc/ssh/" + old)
            run(KEYGEN, "-q", "-t", "ed25519", "-N", "", "-f", path)
            self.write("/mnt/host-key", "")
        with open(path + ".pub") as file:
            return " ".join(file.read().split()[:2])

    def start_sshd(self):
        self.host_key()
        self.write("/etc/ssh/sshd_config", SSHD_CONFIG)
        log = open("/tmp/sshd.log", "ab", 0)
        self._sshd = subprocess.Popen([SSHD, "-D", "-e"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        # It listens once it says so.
        while "Server listening" not in self.sshd_log():
            assert self._sshd.poll() is None, self.sshd_log()
            os.sched_yield()

    def stop_sshd(self, sessions=False):
        """The listener; with SESSIONS also every connection."""
        self._sshd.terminate()
        self._sshd.wait()
        self._sshd = None
        if sessions:
            for process in processes.running(SSHD):
                process.kill()
                process.wait(10)
        os.unlink("/tmp/sshd.log")

    @staticmethod
    def sshd_log():
        try:
            with open("/tmp/sshd.log", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def add_relay(self, name, key, **properties):
        """A relay that another host logs in to: its shell, and its key where only root writes."""
        self.add_domain(name, **properties)
        with open("/etc/passwd") as file:
            lines = file.read().splitlines()
        lines = [
            line.rsplit(":", 1)[0] + ":/usr/lib/qubes/qrexec-relay-shell" if line.startswith(name + ":") else line
            for line in lines
        ]
        self.write("/etc/passwd", "\n".join(lines) + "\n")
        with open("/etc/shadow") as file:
            shadow = file.read().replace("\n%s:!:" % name, "\n%s:*:" % name)
        self.write("/etc/shadow", shadow, mode=0o640)
        self.write("/etc/qubes/relay/" + name, 'restrict,command="/usr/lib/qubes/qrexec-relay-shell" %s\n' % key)
        self.write(
            "/etc/ssh/sshd_config.d/50-%s.conf" % name,
            "Match User %s\n    AuthorizedKeysFile /etc/qubes/relay/%s\nMatch all\n" % (name, name),
        )

    def make_key(self, account):
        """An SSH key for ACCOUNT, without passphrase. Return: the public one."""
        self.accounts_run(account, [KEYGEN, "-q", "-t", "ed25519", "-N", "", "-f", "/home/%s/.ssh/id_ed25519" % account])
        return self.public_key(account)

    @staticmethod
    def public_key(account):
        with open("/home/%s/.ssh/id_ed25519.pub" % account) as file:
            return " ".join(file.read().split()[:2])

    def accounts_run(self, account, command):
        import pwd

        entry = pwd.getpwnam(account)
        folder = os.path.join(entry.pw_dir, ".ssh")
        if not os.path.isdir(folder):
            os.mkdir(folder, mode=0o700)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        result = self.run_as(account, command)
        assert result.returncode == 0, result
        return result.stdout

    def write_as(self, account, path, text):
        import pwd

        entry = pwd.getpwnam(account)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.write(path, text, mode=0o600)
        for name in (os.path.dirname(path), path):
            os.chown(name, entry.pw_uid, entry.pw_gid)

    def close(self, patience=5):
        if self._sshd:
            self.stop_sshd()
        for process in processes.running("/usr/bin/ssh") + processes.running(SSHD):
            process.kill()
            process.wait(10)
        super().close(patience)


class Hosts:
    """Hosts with these names on one network, as a context; all of it is gone at its end."""

    def __init__(self, *names, roots=None):
        self.names = names
        self.roots = roots or {}
        self.hosts = []

    def __enter__(self):
        self.hosts = [Host(name, number + 1, self.roots.get(name)) for number, name in enumerate(self.names)]
        known = "127.0.0.1 localhost\n" + "".join("%s %s\n" % (host.address, host.name) for host in self.hosts)
        run("ip", "link", "add", "qair-lan", "type", "bridge")
        run("ip", "link", "set", "qair-lan", "up")
        for host in self.hosts:
            (child,) = processes.children_of(host.pid)
            run("ip", "link", "add", "veth-" + host.name, "type", "veth", "peer", "name", "eth0", "netns", str(child))
            run("ip", "link", "set", "veth-" + host.name, "master", "qair-lan", "up")
            for command in (["addr", "add", host.address + "/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
                run("nsenter", "--net", "--target", str(child), "ip", *command)
            host.write("/etc/hosts", known)
        return self.hosts

    def __exit__(self, *_):
        failures = []
        for host in self.hosts:
            try:
                host.stop_host()
            except (HostError, EOFError, OSError) as error:
                failures.append(str(error))
        subprocess.run(["ip", "link", "del", "qair-lan"], stderr=subprocess.DEVNULL)
        if sys.exc_info()[0] is None:
            assert not failures, "\n".join(failures)
