# SPDX-License-Identifier: Apache-2.0
"""`qair relay`: two hosts in five commands, as doc/remote.md has them."""

import os
import pty
import re
import select

import pytest
from inside import IN_WORLD

if not IN_WORLD:
    pytest.skip("needs a private world", allow_module_level=True)

from hosts import Hosts

DOC = os.path.join(os.path.dirname(__file__), "../../doc/remote.md")


def documented():
    """The commands: (host, command), and what the last one prints."""
    with open(DOC) as file:
        block = re.search(r"<!-- tested: .*? -->\n```console\n(.*?)```", file.read(), re.DOTALL).group(1)
    lines = block.splitlines()
    return [(line[0], line[3:]) for line in lines if line[1:3] == "# "], lines[-1]


@pytest.fixture
def two():
    with Hosts("a", "b") as (a, b):
        a.add_domain("work")
        b.add_domain("vault")
        for host in (a, b):
            host.start()
        b.start_sshd()
        yield a, b


def at_terminal(world, command, answer):
    """Run COMMAND as root at a terminal of its own, and answer each question. Return: status and all that was said."""
    pid, master = pty.fork()
    if pid == 0:
        os.execv("/bin/sh", ["/bin/sh", "-c", command])
    said = b""
    n_answered = 0
    while True:
        select.select([master], [], [], 30)
        try:
            more = os.read(master, 4096)
        except OSError:
            break
        if not more:
            break
        said += more
        if said.count(b"[fingerprint])?") > n_answered:
            n_answered += 1
            os.write(master, answer.encode() + b"\n")
    os.close(master)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), said.decode().replace("\r\n", "\n")


def shell(world, command):
    path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    result = world.run_as("root", ["/bin/sh", "-c", command], path)
    return result.returncode, result.stdout.decode() + result.stderr


def reload_all(world):
    """What each command says to do where no systemd runs."""
    mark = world.logfile.mark()
    world.reload()
    world.wait_log("serving", mark=mark)
    if world._sshd:
        world.stop_sshd()
        world.start_sshd()


def test_five_commands(two):
    a, b = two
    hosts = {"a": a, "b": b}
    commands, printed = documented()
    assert len(commands) == 5
    key = None
    for name, command in commands:
        host = hosts[name]
        if command.startswith("qair relay add"):
            status, said = host.run(at_terminal, command, "yes")
            assert "ED25519 key fingerprint is SHA256:" in said
            key = re.search(r"qair relay authorize --domain a-relay --key '(ssh-ed25519 [^']+)' --source work", said).group(1)
        else:
            status, said = host.run(shell, command.replace("KEY", key or ""))
        assert status == 0, said
        host.run(reload_all)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*\n", said) and re.fullmatch(r"\d{4}-\d\d-\d\dT.*", printed), said


def test_again_changes_nothing(two):
    a, b = two
    key = "ssh-ed25519 " + "A" * 68
    command = "qair relay authorize --domain a-relay --key '%s comment' --source work --source other" % key
    for _ in range(2):
        status, said = b.run(shell, command)
        assert status == 0, said
    assert b.run(read, "/etc/qubes/relay/a-relay") == 'restrict,command="/usr/lib/qubes/qrexec-relay-shell" %s\n' % key
    status, said = b.run(shell, command.replace("A" * 68, "B" * 68))
    assert status == 0 and b.run(read, "/etc/qubes/relay/a-relay").count("\n") == 2
    assert "relayvm = a-relay" in b.run(read, "/etc/qubes/domains.d/other.conf")
    assert b.run(shell, "sshd -t")[0] == 0
    assert b.run(shell, "getent passwd a-relay")[1].endswith(":/usr/lib/qubes/qrexec-relay-shell\n")


def test_two_hosts_that_each_have_a_work(two):
    """The one of the other host gets another name here, and is not taken for ours."""
    _, b = two
    b.add_domain("work")
    command = "qair relay authorize --domain a-relay --key 'ssh-ed25519 %s' --source work" % ("A" * 68)
    status, said = b.run(shell, command)
    assert status == 1 and "'work' is another domain of this host already" in said, said
    for _ in range(2):
        status, said = b.run(shell, command + "=a-work")
        assert status == 0, said
    text = b.run(read, "/etc/qubes/domains.d/a-work.conf")
    assert "relayvm = a-relay" in text and "remote_name = work" in text


def test_the_readme_has_the_same_commands():
    with open(os.path.join(os.path.dirname(DOC), "../README.md")) as file:
        lines = re.findall(r"^([ab])# (.*?)(?:  +#.*)?$", file.read(), re.M)
    assert lines == documented()[0]


def read(world, path):
    with open(path) as file:
        return file.read()


def test_a_host_key_that_is_not_confirmed(two):
    a, b = two
    command = documented()[0][0][1]
    status, said = a.run(at_terminal, command, "no")
    assert "does not let us in yet" in said
    assert a.run(shell, "grep -c b /home/net-relay/.ssh/known_hosts")[0] != 0
    # What is missing is said by the call that needs it.
    a.set_policy("qubes.GetDate * work remote-vault allow\n")
    a.run(reload_all)
    result = a.call("work", "remote-vault", "qubes.GetDate")
    assert result.returncode == 125 and "its host key is not the one that is known here" in result.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("", "what shall be done"),
        ("ad", "did you mean 'add'"),
        ("add --relay net --name far", "HOST is missing"),
        ("add b --name far", "--relay is missing"),
        ("add b --relay net --name 'a b'", "is no domain's name"),
        ("add b c --relay net --name far", "one argument too many"),
        ("add -- -oProxyCommand=id", "--relay is missing"),
        ("add --relay net --name far -- -oProxyCommand=id", "is no host"),
        ("authorize --domain a-relay", "--key is missing"),
        ("authorize --domain a-relay --key k --source 'a b'", "--source: 'a b' is no domain's name"),
        ("authorize --domain a-relay --key k --source a=", "--source: 'a=' is no domain's name"),
        ("authorize --domain a-relay --key k --source a=b=c", "--source: 'a=b=c' is no domain's name"),
        ("authorize --domain a-relay --key nonsense", "that is no public key"),
        ("authorize --domain dom0 --key 'ssh-ed25519 %s'" % ("A" * 68), "is no domain with an account here"),
    ],
)
def test_wrong_use(world, arguments, words):
    status, said = shell(world, "qair relay " + arguments)
    assert status != 0 and words in said, said
    assert not os.path.exists("/etc/qubes/relay/a-relay")
