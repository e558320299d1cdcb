# SPDX-License-Identifier: Apache-2.0
"""An ordinary user's own Qair: sandboxes that call each other, without root and without accounts."""

import json
import os
import pwd
import signal
import subprocess

import processes
import pytest
from world import BROKER, CLIENT, PASSED_ON, QAIR, REFUSED, supervisor

pytestmark = pytest.mark.skipif(not os.path.exists("/usr/bin/bwrap"), reason="there is no bubblewrap here")

MY_POLICY = """
my.Hello  *  work     vault    allow
my.Hello  *  vault    @adminvm allow
my.Hello  *  box      vault    allow
"""


class User:
    """One user of the world and his Qair."""

    def __init__(self, world, name="anna"):
        self.world = world
        self.account = world.add_account(name)
        self.runtime = "/run/user/%d" % self.account.pw_uid
        os.makedirs("/run/user", exist_ok=True)
        os.mkdir(self.runtime, 0o700)
        os.chown(self.runtime, self.account.pw_uid, self.account.pw_gid)
        self.config = self.account.pw_dir + "/.config/qubes"
        self.run_dir = self.runtime + "/qubes"
        self.environment = {"XDG_RUNTIME_DIR": self.runtime, "LANG": "C.UTF-8"}
        self.environment.update((key, os.environ[key]) for key in PASSED_ON if key in os.environ)
        self.process = None

    def write(self, path, text, mode=0o600):
        """A file of his, below his configuration."""
        script = 'umask 077; mkdir -p "$(dirname "$1")" && cat >"$1.new" && chmod "$2" "$1.new" && mv "$1.new" "$1"'
        self.run("/bin/sh", "-c", script, "sh", os.path.join(self.config, path), "%o" % mode, input=text)

    def add_service(self, name, script, domain=None):
        folder = "domains.d/%s.rpc" % domain if domain else "rpc"
        self.write(folder + "/" + name, "#!/bin/sh\n" + script + "\n", mode=0o700)

    def popen(self, *command):
        return self.world.popen_as(self.account.pw_name, list(command), environment=self.environment)

    def run(self, *command, input=""):
        with self.popen(*command) as process:
            stdout, stderr = process.communicate(input.encode(), timeout=30)
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr.decode())

    def qair(self, *arguments):
        return self.run(QAIR, "--user", *arguments)

    def call(self, target, service, input=""):
        """As dom0, which is he himself."""
        return self.run(CLIENT, "--agent-socket", self.run_dir + "/dom0/qrexec-agent", target, service, input=input)

    def inside(self, domain, script):
        """What SCRIPT prints in one of his sandboxes."""
        self.add_service("my.Inside", script, domain=domain)
        result = self.call(domain, "my.Inside")
        return result.stdout.decode()

    def start(self):
        entry = pwd.getpwnam(self.account.pw_name)
        environment = {"HOME": entry.pw_dir, "USER": entry.pw_name, "PATH": "/usr/bin:/bin", **self.environment}
        command = ["setpriv", "--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups", "--"]
        self.process = supervisor.start(
            self.world.logfile.path, [*command, supervisor.SUPERVISOR, "--user"], environment=environment
        )

    def stop(self):
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.fixture
def anna(world):
    user = User(world)
    for name in ("work", "vault"):
        user.write("domains.d/%s.conf" % name, "[domain]\nsandbox = bwrap\n")
        user.add_service("my.Inside", "true", domain=name)
    user.add_service("my.Hello", "echo hello $QREXEC_REMOTE_DOMAIN; id -un")
    user.write("policy.d/30-user.policy", MY_POLICY)
    yield user
    if user.process:
        user.stop()


def test_it_starts_from_nothing(world):
    """A user who has configured nothing has a policy that refuses everything, and is told no error."""
    user = User(world)
    user.start()
    status = json.loads(user.qair("status", "--json").stdout)
    assert (status["policy"], status["inventory"]) == ("ok", "ok")
    assert [domain["name"] for domain in status["domains"]] == ["dom0"]
    # A domain is a file; it is there at once.
    result = user.qair("domain", "add", "box", "sandbox=bwrap")
    assert result.returncode == 0, result
    world.wait_log("serving 2 domains")
    assert user.qair("domain", "start", "box").stdout == b"box is running\n", world.log()
    user.stop()


def test_calls_between_sandboxes(world, anna):
    anna.start()
    # from one sandbox to the other, with the paths and names that every domain has
    assert anna.inside("work", "exec qrexec-client-vm vault my.Hello") == "hello work\nuser\n", world.log()
    # what no rule allows is refused
    assert "Request refused" in anna.inside("vault", "qrexec-client-vm work my.Hello 2>&1")
    # from a sandbox to the user himself, and the other way
    assert anna.inside("vault", "exec qrexec-client-vm dom0 my.Hello") == "hello vault\nanna\n", world.log()
    assert anna.call("work", "my.Hello").stdout == b"hello dom0\nuser\n"
    # nothing of it is root's
    ours = [process for process in processes.others() if process.program.startswith("/usr/lib/qubes")]
    assert len(ours) >= 6
    for process in ours:
        with open("/proc/%d/status" % process.pid) as status:
            assert "Uid:\t%d\t" % anna.account.pw_uid in status.read(), process


def test_what_a_sandbox_reaches(world, anna):
    anna.start()
    with open(anna.account.pw_dir + "/secret", "w") as file:
        file.write("secret")
    os.chmod(anna.account.pw_dir + "/secret", 0o644)
    assert sorted(anna.inside("work", "ls /run/qubes").split()) == ["link", "qrexec-agent", "qubesdb.sock"]
    assert anna.inside("work", "ls -d %s 2>&1 || echo no" % anna.run_dir).endswith("no\n")
    assert anna.inside("work", "cat %s/secret 2>&1 || echo no" % anna.account.pw_dir).endswith("no\n")
    # each has a home of its own, which stays
    anna.inside("work", "echo works >~/file")
    assert anna.inside("vault", "cat ~/file 2>/dev/null || echo none") == "none\n"
    assert anna.qair("domain", "stop", "work").returncode == 0
    assert anna.inside("work", "cat ~/file") == "works\n"
    with open(anna.account.pw_dir + "/.local/share/qubes/homes/work/file") as file:
        assert file.read() == "works\n"
    # it can reach no socket but its own: neither the host's, nor dom0's
    assert anna.inside("work", "ls /run").split() == ["qubes", "user"]
    assert "Read-only" in anna.inside("work", "rm /run/qubes/link 2>&1; true")


def test_others_are_strangers(world, anna):
    """Another account of the machine reaches nothing of it, and root of the host is not its dom0."""
    anna.start()
    world.add_account("bert")
    command = [CLIENT, "--agent-socket", anna.run_dir + "/dom0/qrexec-agent", "work", "my.Hello"]
    result = world.run_as("bert", command)
    assert result.returncode != 0 and "hello" not in result.stderr
    result = world.run_as("root", command)
    assert result.returncode == REFUSED and result.stdout == b""


def test_the_broker_is_confined(world, anna):
    anna.start()
    (broker,) = processes.running(BROKER)
    with open("/proc/%d/status" % broker.pid) as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1"
    assert int(status["CapEff"], 16) == 0


def test_restart_and_audit(world, anna):
    anna.start()
    assert anna.call("work", "my.Hello").returncode == 0
    world.restart_broker()
    assert anna.call("work", "my.Hello").returncode == 0
    result = anna.qair("log", "--json", "--service=my.Hello")
    assert result.returncode == 0 and result.stdout.count(b'"event":"end"') >= 1, result
    assert os.path.exists(anna.account.pw_dir + "/.local/state/qubes/audit.jsonl")
    listed = anna.qair("domain", "list").stdout.decode()
    assert any(line.split()[:4] == ["work", "AppVM", "-", "running"] for line in listed.splitlines()), listed
    anna.stop()
    anna.start()
    assert anna.call("work", "my.Hello").returncode == 0


def test_a_container_of_a_user(world, anna):
    """Its start command is the user's, and whoever reaches the folder is the domain."""
    anna.write(
        "start-box",
        "#!/bin/sh\nsetsid -f bwrap --unshare-all --die-with-parent --ro-bind / / --dev /dev --proc /proc --tmpfs /run "
        '--ro-bind "$QAIR_RUN_DIR" /run/qubes --setenv USER inside '
        "/usr/lib/qubes/qrexec-agent </dev/null >/dev/null 2>&1 &\nexit 0\n",
        mode=0o700,
    )
    anna.write("domains.d/box.conf", "[domain]\nstart = %s/start-box\nstop = /usr/bin/pkill -x bwrap\n" % anna.config)
    anna.start()
    result = anna.call("box", "qubes.GetDate")
    assert result.returncode == 0, (result, world.log())
    anna.qair("domain", "stop", "box")


def test_demo(world):
    """`make demo-rootless`, as an account that has nothing; it checks each of its steps itself."""
    user = User(world)
    script = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "demo", "rootless.sh")
    result = user.run("/bin/bash", "-c", "exec bash <(cat)", input=open(script).read())
    assert result.returncode == 0, result.stdout.decode() + result.stderr
    assert result.stdout.count(b"\n  ok: ") == 5
    assert not [name for name in os.listdir("/tmp") if name.startswith("qair-demo")]


def test_mistakes(world, anna):
    result = anna.run(supervisor.SUPERVISOR)
    assert result.returncode == 1 and "--user" in result.stderr
    result = world.run_as("root", [supervisor.SUPERVISOR, "--user"])
    assert result.returncode == 1 and "root is none" in result.stderr
    del anna.environment["XDG_RUNTIME_DIR"]
    result = anna.run(supervisor.SUPERVISOR, "--user")
    assert result.returncode == 1 and "XDG_RUNTIME_DIR is not set" in result.stderr
    anna.environment["XDG_RUNTIME_DIR"] = anna.runtime
    anna.write("domains.d/odd.conf", "[domain]\nuser = anna\n")
    anna.start()
    world.wait_log("odd.conf:2: domain odd: a user's domains have no accounts: set sandbox = bwrap instead")
    assert anna.call("odd", "my.Hello").returncode == REFUSED


def test_beside_the_hosts(world, anna):
    """The host's Qair and a user's know nothing of each other."""
    world.add_domain("work")
    world.add_service("my.Hello", "echo hello from the host")
    world.start()
    anna.start()
    assert anna.call("work", "my.Hello").stdout == b"hello dom0\nuser\n"
    assert world.call("dom0", "work", "my.Hello").stdout == b"hello from the host\n"
