# SPDX-License-Identifier: Apache-2.0
"""The host that is measured: the installed programs, two domains, and beside them what others offer for the same job.

Everything runs in the private world of test/world/enter; callers are the account `work`, services run as `vault`.
"""

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
import uuid

HERE = os.path.dirname(os.path.realpath(__file__))
# Behind our own, of which some have the names of theirs.
sys.path.append(os.path.join(HERE, "..", "e2e"))
from world import AGENT, BROKER, CLIENT, World  # noqa: E402 (the end-to-end tests' harness)

SUPERVISOR = "/usr/lib/qubes/qair-supervisor"
MONITOR = "/usr/lib/qubes/qair-monitor"
BENCH = "/run/bench"
PROGRAMS = ("noop", "eof", "bare", "calls", "stream", "echo", "hold", "library")
NOOP, EOF, BARE, CALLS, STREAM, ECHO, HOLD, LIBRARY = (BENCH + "/" + name for name in PROGRAMS)
ECHO_SOCKET = BENCH + "/echo.sock"
HELD = "/etc/qubes-rpc/test.Hold"
PATH = "/usr/local/bin:/usr/bin:/bin"
SSH_PORT = 2222
SETTLE_SEC = 60
MAX_CALLS = 16000


class Unavailable(Exception):
    """A peer that is not installed, or does not work here."""


class Contender:
    """One way to do the job: COMMAND, run by ACCOUNT, or with SETTINGS of Popen(). If it is not there, REASON says why."""

    def __init__(self, name, command, account="work", reason=None, settings=None):
        self.name, self.command, self.reason = name, command, reason
        self.settings = settings or identity(account)

    def check(self):
        """Run it once: what does not work is not measured."""
        if self.reason:
            return
        try:
            result = subprocess.run(
                self.command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, **self.settings
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            self.reason = "not available: %s" % error
            return
        if result.returncode != 0:
            said = result.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
            self.reason = "not available: status %d: %s" % (result.returncode, said[-1])


class Host:
    """The world with our programs and their peers in it; use it in a `with`."""

    def __init__(self, build):
        self.build = build
        self.peers = {}
        self.uuids = {}
        self._processes = []

    def __enter__(self):
        os.makedirs(BENCH)
        os.chmod(BENCH, 0o1777)
        for name in PROGRAMS:
            shutil.copy(os.path.join(self.build, "test", "bench", "bench-" + name), os.path.join(BENCH, name))
        self.world = World()
        try:
            self._configure()
            self.world.start()
            # The first call of each starts what is only started when it is needed.
            for name in ("work", "crowd", "mallory"):
                self.world.call(name, "vault", "test.Noop")
            (self.broker,) = pids(BROKER)
            for name, start in (("s6-ipc", _s6), ("socat", _socat), ("sudo", _sudo), ("ssh", _ssh)):
                try:
                    start(self)
                    self.peers[name] = None
                except Unavailable as error:
                    self.peers[name] = "not available: %s" % error
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *_):
        for process in self._processes:
            process.terminate()
            process.wait()
        # Whatever else is left goes with the world.
        if self.world.supervisor:
            self.world.supervisor.send_signal(signal.SIGTERM)
            self.world.supervisor.wait()

    def _configure(self):
        world = self.world
        for name in ("work", "vault", "crowd", "mallory"):
            self.uuids[name] = str(uuid.uuid4())
            world.add_domain(name, max_calls=MAX_CALLS, uuid=self.uuids[name])
        world.set_policy("* * @anyvm @anyvm allow")
        services = "/etc/qubes-rpc/"
        shutil.copy(NOOP, services + "test.Noop")
        shutil.copy(EOF, HELD)
        world.write(services + "test.Sink", '#!/bin/sh\nexec %s read "$1"\n' % STREAM, mode=0o755)
        world.write(services + "test.Source", '#!/bin/sh\nexec %s write "$1"\n' % STREAM, mode=0o755)
        os.symlink(ECHO_SOCKET, services + "test.Echo")
        self.serve([ECHO, ECHO_SOCKET], "vault", ready=b"ready\n")

    def serve(self, command, account="root", ready=None, path=None):
        """Start a server and wait until it is: READY is what it prints then, PATH the socket that it makes.

        In a session of its own, as servers are: the kernel shares processors out by session first.
        """
        process = subprocess.Popen(
            command,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if ready else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **identity(account),
        )
        self._processes.append(process)
        if ready and process.stdout.readline() != ready:
            raise Unavailable("%s did not start" % command[0])
        if path and not poll(lambda: process.poll() is not None or os.path.exists(path), 10):
            raise Unavailable("%s did not start" % command[0])
        if process.poll() is not None:
            raise Unavailable("%s ended with status %d" % (command[0], process.returncode))

    # Ways to call

    def contenders(self):
        """Every way to run the no-op, ours first; those that do not work here say why."""
        client = [CLIENT, "vault"]
        found = [
            Contender("floor: start one no-op", [NOOP]),
            Contender("bare: two pipes and a no-op", [BARE, NOOP]),
            Contender("qrexec-client-vm -> no-op", [*client, "test.Noop"]),
            Contender("qrexec-client-vm -> socket service", [*client, "test.Echo"]),
            Contender("s6-ipc -> no-op", S6_CALL, reason=self.peers["s6-ipc"]),
            Contender("qrexec-client-vm --help", [CLIENT, "--help"]),
            Contender("socat -> EXEC no-op", socat_call("noop"), reason=self.peers["socat"]),
            Contender("sudo -u vault no-op", [*SUDO, NOOP], reason=self.peers["sudo"]),
            Contender("ssh, shared connection, no-op", [*SSH, NOOP], reason=self.peers["ssh"]),
        ]
        for contender in found:
            contender.check()
            if contender.reason and contender.command[0] in (NOOP, BARE, CLIENT):
                raise RuntimeError("%s: %s\n%s" % (contender.name, contender.reason, self.world.log()))
        return found

    @staticmethod
    def run_calls(contender, limit, callers=1, starters=1):
        """What bench-calls reports of CONTENDER: a dict. CALLERS at once, which so many STARTERS start."""
        command = [CALLS, str(starters), str(callers // starters), str(limit), *contender.command]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, **contender.settings)
        report = json.loads(result.stdout)
        if "error" in report:
            raise RuntimeError("%s: %s" % (contender.name, report["error"]))
        return report

    @contextlib.contextmanager
    def held(self, count, account="crowd", shake=False):
        """COUNT calls to vault, held open by ACCOUNT as long as the `with` lasts; gives (held, pipes, complaint)."""
        command = [HOLD, str(count), "vault", "test.Hold"] + (["shake"] if shake else [])
        others = len(pids(HELD))
        # Another account has logged in by itself; in our session it would take the processor from what we measure.
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        holder = subprocess.Popen(command, start_new_session=True, **streams, **identity(account))
        try:
            words = holder.stdout.readline().split()
            complaint = "" if int(words[1]) == count else holder.stderr.readline().decode().strip()
            wait_processes(HELD, others + int(words[1]))
            yield int(words[1]), int(words[3]), complaint
        finally:
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()
            holder.stderr.close()
            wait_processes(HELD, others)
            self.settle(others)

    @staticmethod
    def settle(others=0):
        """Wait until the agent of vault has no more handlers than there are OTHERS: calls that still run."""
        uid = pwd.getpwnam("vault").pw_uid
        poll(lambda: len(pids(AGENT, uid)) <= 1 + others, SETTLE_SEC)

    def agent(self, domain="vault"):
        """The agent of DOMAIN itself, not one of the processes that it has forked."""
        agents = pids(AGENT, pwd.getpwnam(domain).pw_uid)
        (pid,) = (pid for pid in agents if _parent(pid) not in agents)
        return pid


def pids(program, uid=None):
    """The live processes that execute PROGRAM, as UID if given. Cheap: there may be ten thousand others."""
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            if os.readlink("/proc/%s/exe" % entry.name) != program:
                continue
            if uid is None or _uid(entry.name) == uid:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _status(pid, key):
    with open("/proc/%s/status" % pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key + ":"))


def _uid(pid):
    """Of the process, not of its folder in /proc: that of one that cannot be dumped is root's."""
    return _status(pid, "Uid")


def _parent(pid):
    return _status(pid, "PPid")


def poll(condition, timeout):
    """Wait until CONDITION holds, looking a hundred times a second. Return: whether it did in TIMEOUT seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def wait_processes(program, count):
    if not poll(lambda: len(pids(program)) == count, SETTLE_SEC):
        raise RuntimeError("%d of %s, not %d" % (len(pids(program)), program, count))


def identity(account):
    """Settings of Popen() that make a process ACCOUNT's, with an environment as a login has it."""
    entry = pwd.getpwnam(account)
    environment = {"HOME": entry.pw_dir, "USER": account, "LOGNAME": account, "SHELL": "/bin/sh", "PATH": PATH}
    return {
        "user": entry.pw_uid,
        "group": entry.pw_gid,
        "extra_groups": [],
        "env": environment,
        "cwd": entry.pw_dir,
    }


# The peers. Each is set up as its own manual says, for one account that calls and one that serves, and given every
# option that makes it faster at this.

S6_SOCKET = BENCH + "/s6.sock"
# Connects, and reads until the server is done: the server's program has the connection as stdin and stdout.
S6_CALL = ["/usr/bin/s6-ipcclient", S6_SOCKET, EOF, "6"]
SUDO = ["/usr/bin/sudo", "-n", "-u", "vault"]
SSH = ["/usr/bin/ssh", "-F", BENCH + "/ssh/config", "vault-here"]

SSHD_CONFIG = """Port %d
ListenAddress 127.0.0.1
HostKey %s/ssh/host
PidFile none
UsePAM no
MaxSessions 4096
MaxStartups 4096
AuthorizedKeysFile %s/ssh/authorized
StrictModes no
"""
SSH_CONFIG = """Host vault-here
HostName 127.0.0.1
Port %d
User vault
IdentityFile %s/ssh/key
ControlPath /home/work/.control
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
"""


def socat_call(name):
    return ["/usr/bin/socat", "-t", "60", "-b", "65536", "-", "UNIX-CONNECT:%s/socat-%s" % (BENCH, name)]


def socat_serve(host, name, command):
    """A socket that runs COMMAND for each connection; made once."""
    path = "%s/socat-%s" % (BENCH, name)
    if os.path.exists(path):
        return
    listen = "UNIX-LISTEN:%s,fork,mode=666,backlog=4096" % path
    host.serve(["/usr/bin/socat", "-t", "60", "-b", "65536", listen, "EXEC:" + command], "vault", path=path)


def _need(*programs):
    for program in programs:
        if not os.access(program, os.X_OK):
            raise Unavailable("%s is not installed" % os.path.basename(program))


def _s6(host):
    _need("/usr/bin/s6-ipcserver", "/usr/bin/s6-ipcclient")
    server = ["/usr/bin/s6-ipcserver", "-a", "0666", "-b", "4096", "-c", "4096", "-C", "4096", S6_SOCKET, NOOP]
    host.serve(server, "vault", path=S6_SOCKET)


def _socat(host):
    _need("/usr/bin/socat")
    socat_serve(host, "noop", NOOP)


def _sudo(host):
    _need("/usr/bin/sudo")
    host.world.write("/etc/sudoers.d/bench", "work ALL=(vault) NOPASSWD: ALL\n", mode=0o440)
    # sudo looks the host's own name up each time; here nobody else would answer.
    with open("/etc/hosts", "a") as file:
        file.write("127.0.0.1 %s\n" % os.uname().nodename)


def _ssh(host):
    _need("/usr/bin/ssh", "/usr/sbin/sshd", "/usr/bin/ssh-keygen")
    folder = BENCH + "/ssh"
    os.makedirs(folder)
    os.makedirs("/run/sshd", exist_ok=True)
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder + "/" + name], check=True)
    shutil.copy(folder + "/key.pub", folder + "/authorized")
    shutil.chown(folder + "/key", "work")
    # sshd takes an account whose password begins with ! for a locked one.
    with open("/etc/shadow") as file:
        shadow = file.read().replace("\nvault:!:", "\nvault:*:")
    host.world.write("/etc/shadow", shadow, mode=0o640)
    host.world.write(folder + "/sshd_config", SSHD_CONFIG % (SSH_PORT, BENCH, BENCH))
    host.world.write(folder + "/config", SSH_CONFIG % (SSH_PORT, BENCH))
    host.serve(["/usr/sbin/sshd", "-D", "-f", folder + "/sshd_config"])
    master = [SSH[0], *SSH[1:3], "-o", "ControlMaster=yes", "-o", "ConnectionAttempts=10", "-N", SSH[3]]
    host.serve(master, "work", path="/home/work/.control")
