# SPDX-License-Identifier: Apache-2.0
"""The test matrix of split-ssh (specification, 16.2), by its numbers: stock OpenSSH programs, a real agent, real sshd, raw
bytes."""

import array
import fcntl
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import termios
import threading
import time

import pytest
from inside import IN_WORLD
from sshvault import FILTER, TIMEOUT, Connection, Tap, Vault, message, messages, sign_request, string, strings

pytestmark = pytest.mark.skipif(not IN_WORLD, reason="needs a private world: test/world/enter")

FAILURE = message(5)
PW = "key = <work>"


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    machine = Vault(tmp_path_factory.mktemp("vault"))
    yield machine
    machine.close()


@pytest.fixture
def vault(machine):
    machine.start()
    machine.policy("key = *")
    yield machine
    machine.stop()


def comments(out):
    """Of `ssh-add -l`."""
    return [line.split()[2] for line in out.splitlines() if line.split()[0].isdigit()]


# What a client comes to that is cut off at the start: it says so, or writes to a stream that is closed already.
CUT_OFF = (1, -signal.SIGPIPE)

ALL = ["work", "work", "priv", "ec", "rsa", "ca"]


# T: the program


def test_T1_end_of_file_inside_a_message(vault):
    done = subprocess.run(vault.command(), input=b"\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def forwarded(vault, forwarder):
    """`ssh-add -L` through the socket d.sock, on which FORWARDER listens."""
    def listens():
        with open("/proc/net/unix") as file:  # 00010000: it accepts connections
            return any(vault.path("d.sock") in line and " 00010000 " in line for line in file)

    with subprocess.Popen(forwarder) as process:
        vault.wait(listens)
        status, out = vault.run("ssh-add", "-L", env={"SSH_AUTH_SOCK": vault.path("d.sock")})
        process.terminate()
    if os.path.exists(vault.path("d.sock")):
        os.unlink(vault.path("d.sock"))
    assert status == 0 and len(out.splitlines()) == 6
    assert vault.read("work.pub").rsplit(" ", 1)[0] in out


def test_T2_socat(vault):
    forwarded(vault, ["socat", "UNIX-LISTEN:%s,fork" % vault.path("d.sock"), "EXEC:" + " ".join(vault.command())])


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="no systemd here")
def test_T3_systemd_socket_activate(vault):
    forwarded(vault, ["systemd-socket-activate", "--accept", "--inetd", "-l", vault.path("d.sock"), *vault.command()])


def test_T4_real_agent_stopped(vault):
    vault.stop_agent()
    status, out = vault.run("ssh-add", "-l")
    assert status in CUT_OFF and (status < 0 or "communication with agent failed" in out)
    assert vault.statuses() == [1]


def test_T4_real_agent_stops_while_serving(vault):
    with vault.connect() as connection:
        assert connection.ask(message(11))[0] == 12
        vault.stop_agent()
        assert connection.rest() == b""
    assert vault.statuses() == [4]
    assert vault.events("close")[0]["code"] == "4"


# A socket that the first owns, at which the second listens; it says whether anybody asked for anything.
LISTENER = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chown(sys.argv[1], int(sys.argv[2]), -1)
os.chmod(sys.argv[1], 0o777)
os.seteuid(int(sys.argv[3]))
listener.listen()
print("listens", flush=True)
sys.stdin.readline()
listener.setblocking(False)
try:
    connection = listener.accept()[0]
    print(len(connection.recv(64)))
except BlockingIOError:
    print("nobody")
"""


@pytest.mark.parametrize("owner, listens, found, words", [
    (65534, 65534, "nobody", "the socket is neither root's nor this user's"),
    (65534, 0, "nobody", "the socket is neither root's nor this user's"),
    (0, 65534, "0", "who listens there is neither root nor this user"),
])
def test_T4_somebody_elses_agent(vault, owner, listens, found, words):
    """Whoever makes a socket where the agent's is expected is asked for nothing."""
    vault.agent_socket = vault.path("fake.sock")
    try:
        with subprocess.Popen(["/usr/bin/python3", "-c", LISTENER, vault.agent_socket, str(owner), str(listens)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as agent:
            assert agent.stdout.readline() == "listens\n"
            done = subprocess.run(vault.command(), input=message(11), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=TIMEOUT)
            assert (done.returncode, done.stdout) == (1, b"")
            assert agent.communicate("\n", timeout=TIMEOUT)[0] == found + "\n"
        assert any(words in line for line in vault.log())
    finally:
        os.unlink(vault.path("fake.sock"))


def test_T5_forwarder_stopped(vault):
    vault.stop_listening()
    assert vault.run("ssh-add", "-l")[0] == 2


@pytest.mark.parametrize("argument", ["", "../x", "-x", "a/b", "a" * 65, ".a"])
def test_T6_names(vault, argument):
    environment = dict(os.environ, QREXEC_REMOTE_DOMAIN="work", QREXEC_SERVICE_ARGUMENT=argument)
    done = subprocess.run([FILTER, "--service", "--config", vault.path("p.conf")], env=environment, input=message(11),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (1, b"")
    assert len(done.stderr.splitlines()) == 1


def test_T6_a_call(vault):
    """Source and agent are the call's, the socket is the agent's; a fixed agent takes no argument."""
    vault.policy(text="[source work agent t]\nkey = *\n[agent t]\nsocket = %s\n" % vault.path("real.sock"))
    base = dict(os.environ, QREXEC_SERVICE_FULL_NAME="qubes.SshAgent+t", QREXEC_REMOTE_DOMAIN="work")
    options = ["--service", "--config", vault.path("p.conf"), "--state-dir", vault.path("st")]
    for arguments, environment, expect in [
            ([], {"QREXEC_SERVICE_ARGUMENT": "t"}, 0),
            (["--agent", "t"], {}, 0),
            (["--agent", "t"], {"QREXEC_SERVICE_ARGUMENT": ""}, 0),
            (["--agent", "t"], {"QREXEC_SERVICE_ARGUMENT": "t"}, 1),
            (["t"], {"QREXEC_SERVICE_ARGUMENT": "t"}, 1),
            (["--source", "work"], {"QREXEC_SERVICE_ARGUMENT": "t"}, 1),
            ([], {"QREXEC_SERVICE_ARGUMENT": "t", "QREXEC_REMOTE_DOMAIN": "a b"}, 1),
    ]:
        done = subprocess.run([FILTER, *options, *arguments], env=dict(base, **environment), input=message(11),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert (done.returncode, done.stdout[4:5]) == ((0, b"\x0c") if expect == 0 else (expect, b"")), arguments
    assert vault.events("open")[0]["service"] == "qubes.SshAgent+t"


def test_T7_syntax_error(vault):
    vault.policy("colour = green")
    assert vault.run("ssh-add", "-l")[0] in CUT_OFF
    assert vault.statuses() == [2]
    assert "%s:7: unknown setting colour" % vault.path("p.conf") in "".join(vault.log())


def test_T8_policy_that_others_can_write(vault):
    os.chmod(vault.path("p.conf"), 0o666)
    vault.run("ssh-add", "-l")
    assert vault.statuses() == [2]


def test_T9_all_files(vault):
    """In their order: of /etc, of /rw/config, of the account; the later one wins, and files in folders come after."""
    for name, text in [("/etc/split-ssh/filter.conf", "[source *]\nrate = 1/10\nprompt-rate = 1/10\n"),
                       ("/etc/split-ssh/filter.d/20.conf", "[source *]\nidle-timeout = 20\n"),
                       ("/etc/split-ssh/filter.d/10.conf", "[source *]\nidle-timeout = 10\n"),
                       ("/etc/split-ssh/filter.d/.hidden.conf", "nonsense"),
                       ("/etc/split-ssh/filter.d/30.conf.bak", "nonsense"),
                       (vault.path(".config/qubes/split-ssh/filter.conf"), "[source work]\nrate = 2/10\n")]:
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "w") as file:
            file.write(text)
    command = [FILTER, "--check-config", "--source", "work", "--agent", "t"]
    status, out = vault.run(*command)
    assert status == 0 and {"rate = 2/10", "prompt-rate = 1/10", "idle-timeout = 20"} <= set(out.splitlines())
    with open("/etc/split-ssh/filter.d/10.conf", "a") as file:
        file.write("host = nowhere\n")
    status, out = vault.run(*command)
    assert status == 2 and "/etc/split-ssh/filter.d/10.conf:3: there is no section [host nowhere]" in out
    for name in ("filter.conf", "filter.d/20.conf", "filter.d/10.conf", "filter.d/.hidden.conf", "filter.d/30.conf.bak"):
        os.unlink("/etc/split-ssh/" + name)
    shutil.rmtree(vault.path(".config"))


def test_T10_state_folder(vault):
    """Not somebody else's, not open to others, no link."""
    for make in (lambda path: os.mkdir(path, 0o755), lambda path: os.symlink("/tmp", path)):
        make(vault.path("st"))
        assert vault.run("ssh-add", "-l")[0] in CUT_OFF
        assert vault.statuses()[-1] == 1
        os.rmdir(vault.path("st")) if not os.path.islink(vault.path("st")) else os.unlink(vault.path("st"))
    assert vault.run("ssh-add", "-l")[0] == 0
    assert stat.S_IMODE(os.stat(vault.path("st")).st_mode) == 0o700


# L: which identities exist


@pytest.mark.parametrize("lines, expect", [
    pytest.param([PW], ["work", "work"], id="L-1"),
    pytest.param(["key = comment:priv*"], ["priv"], id="L-2"),
    pytest.param(["key = type:ssh-rsa"], ["rsa"], id="L-3"),
    pytest.param(["key = <work> alias=k1"], ["k1", "k1"], id="L-5"),
    pytest.param(["key = comment:priv* deny", "key = *"], ["work", "work", "ec", "rsa", "ca"], id="L-6"),
    pytest.param(["key = SHA256:" + 43 * "A"], [], id="L-7"),
    pytest.param(["key = *", "key = none"], [], id="none"),
    pytest.param(["key = * cert=only"], ["work"], id="certificates"),
])
def test_L_selectors(vault, lines, expect):
    vault.policy(*lines)
    status, out = vault.run("ssh-add", "-l")
    assert comments(out) == expect and status == (0 if expect else 1)
    assert expect or "The agent has no identities." in out
    assert vault.events("list")[0]["n"] == "%d/6" % len(expect)


def test_L1_one_fingerprint(vault):
    vault.policy(PW)
    out = vault.run("ssh-add", "-l")[1]
    assert out.count(vault.fingerprint("work")) == 2


def test_L4_without_certificate(vault):
    vault.policy(PW + " cert=no")
    status, out = vault.run("ssh-add", "-L")
    assert status == 0 and out == vault.read("work.pub")


def test_L8_two_sources(vault):
    vault.policy(text="[source work]\nkey = comment:work\n[source other]\nkey = comment:priv\n")
    assert comments(vault.run("ssh-add", "-l")[1]) == ["work", "work"]
    vault.source = "other"
    assert comments(vault.run("ssh-add", "-l")[1]) == ["priv"]


def test_L9_access_off(vault):
    vault.policy("access = off")
    status, out = vault.run("ssh-add", "-l")
    assert status == 1 and "agent refused operation" in out
    assert vault.raw(message(27, string("query")) + sign_request(b"", b"")) == 2 * FAILURE


def test_L10_real_agent_locked(vault):
    vault.write("password", "#!/bin/sh\necho secret\n", 0o700)
    lock = dict(os.environ, SSH_AUTH_SOCK=vault.path("real.sock"), SSH_ASKPASS=vault.path("password"),
                SSH_ASKPASS_REQUIRE="force")
    subprocess.run(["ssh-add", "-x"], env=lock, check=True, stderr=subprocess.DEVNULL)
    status, out = vault.run("ssh-add", "-l")
    assert status == 1 and "The agent has no identities." in out


def test_L11_sections(vault):
    vault.policy(text="[source wo*]\nkey = * deny\n[source work]\nkey = *\n")
    assert comments(vault.run("ssh-add", "-l")[1]) == ALL
    vault.source = "worx"
    assert comments(vault.run("ssh-add", "-l")[1]) == []


# M: management


ANY_LIBRARY = next(path for path in ("/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/aarch64-linux-gnu/libc.so.6",
                                     "/lib/libc.so.6") if os.path.exists(path))


@pytest.mark.parametrize("command, expect, types", [
    pytest.param(("ssh-add", "../other"), "Could not add identity", ["17"], id="M-1"),
    pytest.param(("ssh-add", "-t", "60", "-c", "../other"), "Could not add identity", ["25"], id="M-2"),
    pytest.param(("ssh-add", "-d", "work.pub"), "Could not remove identity", ["18"], id="M-3"),
    pytest.param(("ssh-add", "-D"), "Failed to remove all identities.", ["19", "9"], id="M-4"),
    pytest.param(("ssh-add", "-x"), "agent refused operation", ["22"], id="M-5-lock"),
    pytest.param(("ssh-add", "-X"), "agent refused operation", ["23"], id="M-5-unlock"),
    pytest.param(("ssh-add", "-s", ANY_LIBRARY), "Could not add card", ["20"], id="M-6"),
    pytest.param(("ssh-add", "-e", ANY_LIBRARY), "Could not remove card", ["21"], id="M-7"),
])
def test_M_management(vault, command, expect, types):
    vault.write("ask", "#!/bin/sh\necho secret\n", 0o700)
    before = vault.agent("ssh-add", "-L")
    status, out = vault.run(*command, env={"SSH_ASKPASS": vault.path("ask"), "SSH_ASKPASS_REQUIRE": "force"})
    assert status == 1 and expect in out
    assert vault.agent("ssh-add", "-L") == before
    events = vault.events("req")
    assert [event["type"] for event in events] == types
    assert {(event["verdict"], event["why"]) for event in events} == {("deny", "type")}
    assert "secret" not in "".join(vault.log())


def in_memory(pid, marker):
    """Does the process have MARKER in anything that it can write to?"""
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for line in maps:
            start, end = (int(address, 16) for address in line.split()[0].split("-"))
            if " rw" in line:
                memory.seek(start)
                if marker in memory.read(end - start):
                    return True
    return False


@pytest.mark.parametrize("number", [17, 20, 22, 25, 26])
def test_M_secrets_are_forgotten(vault, number):
    """A private key, a PIN or a passphrase that is refused does not stay in memory."""
    secret = b"secret" + os.urandom(16)
    request = message(number, string("x") + string(secret) + bytes(1000))
    with vault.connect() as connection:
        connection.socket.sendall(request[:-1])
        pid = vault.last_filter().pid
        vault.wait(lambda: in_memory(pid, secret))
        connection.socket.sendall(request[-1:])
        assert connection.receive(5) == FAILURE
        assert not in_memory(pid, secret)


def test_M8_add_keys_to_agent(vault):
    vault.policy(PW)
    before = vault.agent("ssh-add", "-L")
    assert vault.ssh("-o", "AddKeysToAgent=yes", "-i", vault.path("work"), "a", "true")[0] == 0
    assert vault.agent("ssh-add", "-L") == before


# A: logins


SIGNED = {"verdict": "allow", "why": "-", "kind": "auth", "user": "root", "host": "a", "via": "-", "src": "work",
          "agent": "t", "consent": "never"}


def holds(event, **expect):
    return {name: event[name] for name in expect} == expect


def test_A1_login(vault):
    vault.policy(PW)
    assert vault.ssh("a", "true") == (0, "")
    events = vault.events()
    assert [event["ev"] for event in events if event["ev"] not in ("open", "close")] == ["bind", "list", "sign"]
    assert holds(vault.events("sign")[0], **SIGNED, proof="signature", key=vault.fingerprint("work"),
                 hostkey=vault.fingerprint("ha"))
    assert holds(vault.events("bind")[0], verdict="allow", forwarding="0", verified="1",
                 hostkey=vault.fingerprint("ha"))


def test_A2_unbound(vault):
    vault.policy(PW)
    assert vault.ssh("-o", "PubkeyAuthentication=unbound", "a", "true") == (0, "")
    assert holds(vault.events("sign")[0], **SIGNED, proof="session")


@pytest.mark.parametrize("key, algorithms", [("ec", ["ecdsa-sha2-nistp256"]), ("rsa", ["rsa-sha2-512", "rsa-sha2-256"])])
def test_A3_other_types(vault, key, algorithms):
    vault.policy("key = <%s>" % key)
    assert vault.ssh("a", "true") == (0, "")
    assert vault.events("sign")[0]["alg"] in algorithms


def test_A4_not_there(vault):
    vault.policy(PW)
    status, out = vault.ssh("-o", "IdentitiesOnly=yes", "-i", "priv.pub", "a", "true")
    assert status == 255
    assert set(vault.whys()) <= {"unknown-key"}


def test_A5_certificate_of_the_client(vault):
    """The plain key signs for a certificate that the agent does not have."""
    vault.policy(PW + " cert=no")
    status, out = vault.ssh("-o", "CertificateFile=work-cert.pub", "-o", "IdentitiesOnly=yes", "-i", "work.pub", "a", "true")
    assert status == 0, out
    assert vault.events("sign")[0]["alg"] == "ssh-ed25519-cert-v01@openssh.com"


@pytest.mark.parametrize("lines, arguments, expect, whys", [
    pytest.param([PW, "access = list"], ["a"], 255, {"access"}, id="A-6"),
    pytest.param([PW, "user = git"], ["root@a"], 255, {"user"}, id="A-7"),
    pytest.param([PW, "user = r* !root"], ["root@a"], 255, {"user"}, id="A-7-negated"),
    pytest.param([PW, "host = a"], ["a"], 0, {"-"}, id="A-8-a"),
    pytest.param([PW, "host = a"], ["b"], 255, {"host"}, id="A-8-b"),
    pytest.param([PW + " host=a"], ["b"], 255, {"host"}, id="A-8-b-of-the-key"),
    pytest.param([PW, "host = a"], ["-o", "PubkeyAuthentication=unbound", "a"], 0, {"-"}, id="A-9-a"),
    pytest.param([PW, "host = a"], ["-o", "PubkeyAuthentication=unbound", "b"], 255, {"host"}, id="A-9-b"),
    pytest.param([PW, "host = a", "[agent t]", "bind-verify = none"], ["a"], 0, {"-"}, id="A-10"),
    pytest.param([PW, "host = a", "[agent t]", "bind-verify = none"], ["-o", "PubkeyAuthentication=unbound", "a"], 255,
                 {"host"}, id="A-10-unbound"),
    pytest.param([PW, "sign = none"], ["a"], 255, {"kind"}, id="kind"),
])
def test_A_rules(vault, lines, arguments, expect, whys):
    vault.policy(*lines)
    status, out = vault.ssh(*arguments, "true")
    assert status == expect, out
    assert set(vault.whys()) == whys
    if expect:
        assert "agent refused operation" in out


@pytest.mark.parametrize("arguments, expect, found", [
    pytest.param(["a"], 0, ("-", "signature"), id="host-bound"),
    pytest.param(["-o", "PubkeyAuthentication=unbound", "a"], 255, ("host", "none"), id="unbound"),
])
def test_A11_gpg_agent(vault, arguments, expect, found):
    """It does not know of bindings: what is in the signature is the one proof."""
    home = vault.path("gnupg")
    shutil.rmtree(home, ignore_errors=True)
    os.mkdir(home, 0o700)
    os.environ["GNUPGHOME"] = home
    try:
        subprocess.run(["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "t", "ed25519", "auth", "0"],
                       check=True, stderr=subprocess.DEVNULL)
        grip = re.search(rb"grp:+([0-9A-F]{40})", subprocess.run(
            ["gpg", "--batch", "--with-colons", "--with-keygrip", "-K"], check=True, stdout=subprocess.PIPE).stdout).group(1)
        with open(home + "/sshcontrol", "wb") as file:
            file.write(grip + b"\n")
        with open(home + "/gpg-agent.conf", "w") as file:
            file.write("enable-ssh-support\n")
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=True)
        vault.policy("key = *", "host = a", "[agent t]", "socket = gpg-agent")
        command = vault.command
        vault.command = lambda: [word for word in command() if word not in ("--agent-socket", vault.agent_socket)]
        status, out = vault.run("ssh-add", "-L")
        assert status == 0 and out.startswith("ssh-ed25519 "), (out, vault.log())
        with open(vault.path("authorized"), "a") as file:
            file.write(out)
        status, out = vault.ssh(*arguments, "true")
        assert status == expect, out
        assert (vault.events("sign")[0]["why"], vault.events("sign")[0]["proof"]) == found
        assert {event["verified"] for event in vault.events("bind")} == {"0"}
    finally:
        if "command" in vault.__dict__:
            del vault.command
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=True)
        del os.environ["GNUPGHOME"]


def inner(vault, *arguments):
    """ssh from the account on host a, over the forwarded agent, to host b."""
    return vault.ssh("-A", "a", "ssh -F %s %s b echo inner; echo $?" % (vault.path("client.conf"), " ".join(arguments)))


@pytest.mark.parametrize("lines, expect, why, host", [
    pytest.param([PW], 255, "forwarded", "b", id="A-12"),
    pytest.param([PW, "forwarded = yes"], 0, "-", "b", id="A-13"),
    pytest.param([PW, "forwarded = yes", "host = a"], 255, "host", "b", id="A-14"),
    pytest.param([PW, "forwarded = yes", "via = b"], 255, "via", "b", id="A-15"),
    pytest.param([PW, "forwarded = yes", "via = a"], 0, "-", "b", id="A-15-allowed"),
])
def test_A_forwarded(vault, lines, expect, why, host):
    vault.policy(*lines)
    status, out = inner(vault)
    # Both streams of the other side are in it, in any order.
    assert status == 0 and str(expect) in out.splitlines(), out
    outer, *rest = vault.events("sign")
    assert holds(outer, **SIGNED)
    assert {(event["why"], event["via"], event["host"]) for event in rest} == {(why, "a", host)}


def test_A16_jump(vault):
    vault.policy(PW)
    status, out = vault.ssh("-o", "ProxyCommand=%s -W %%h:%%p a" % " ".join(vault.ssh_command()), "b", "true")
    assert status == 0, out
    assert [(event["host"], event["via"]) for event in vault.events("sign")] == [("a", "-"), ("b", "-")]


def test_A17_A18_constrained_key(vault):
    """`ssh-add -h` at the real agent: a binding that the filter passes on makes it work, and only there."""
    vault.stop_agent()
    vault.start_agent("priv")
    shutil.move(vault.path("work-cert.pub"), vault.path("work-cert.kept"))
    vault.agent("ssh-add", "-q", "-H", vault.path("known_hosts"), "-h", "[127.0.0.1]:2201", "work")
    shutil.move(vault.path("work-cert.kept"), vault.path("work-cert.pub"))
    vault.policy("key = <work>")
    assert vault.ssh("a", "true") == (0, "")
    assert vault.ssh("b", "true")[0] == 255
    vault.forget()
    vault.write("m", "text")
    status, out = vault.run("ssh-keygen", "-Y", "sign", "-f", "work.pub", "-n", "file", vault.path("m"))
    assert status != 0
    assert vault.whys() == ["agent-refused"]


def test_A19_identity_agent(vault):
    vault.policy(PW)
    assert vault.ssh("-o", "IdentityAgent=" + vault.path("c.sock"), "a", "true", env={"SSH_AUTH_SOCK": ""}) == (0, "")


def test_A20_tools(vault):
    vault.policy(PW)
    vault.write("tool", "text")
    config = "-F" + vault.path("client.conf")
    assert vault.run("scp", config, "a:" + vault.path("tool"), vault.path("tool.copy")) == (0, "")
    assert vault.read("tool.copy") == "text"
    status, out = vault.run("sftp", "-b", "-", config, "a", stdin=b"pwd\n")
    assert status == 0 and "Remote working directory" in out
    vault.run("git", "init", "-q", "--bare", vault.path("repo.git"))
    status, out = vault.run("git", "ls-remote", "a:" + vault.path("repo.git"),
                            env={"GIT_SSH_COMMAND": " ".join(vault.ssh_command())})
    assert (status, out) == (0, "")
    assert vault.whys() == 3 * ["-"]


# S: signatures of files


def sign_file(vault, *options, key="work.pub"):
    vault.write("m", "text")
    if os.path.exists(vault.path("m.sig")):
        os.unlink(vault.path("m.sig"))
    return vault.run("ssh-keygen", "-Y", "sign", *options, "-f", key, "-n", "file", vault.path("m"))


def test_S1_sign_and_verify(vault):
    vault.policy(PW)
    assert sign_file(vault)[0] == 0
    vault.write("signers", "me " + vault.read("work.pub"))
    status, out = vault.run("ssh-keygen", "-Y", "verify", "-f", vault.path("signers"), "-I", "me", "-n", "file", "-s",
                            vault.path("m.sig"), stdin=b"text")
    assert status == 0, out
    assert holds(vault.events("sign")[0], kind="sshsig", namespace="file", hash="sha512", verdict="allow")


@pytest.mark.parametrize("lines, options, key, expect, why", [
    pytest.param([PW, "namespace = git"], [], "work.pub", 255, ["namespace"], id="S-2"),
    pytest.param([PW], [], "priv.pub", 255, [], id="S-3"),
    pytest.param([PW, "sign = auth"], [], "work.pub", 255, ["kind"], id="S-5"),
    pytest.param([PW], ["-O", "hashalg=sha256"], "work.pub", 0, ["-"], id="S-6"),
])
def test_S_rules(vault, lines, options, key, expect, why):
    vault.policy(*lines)
    assert sign_file(vault, *options, key=key)[0] == expect
    assert vault.whys() == why
    if expect == 0:
        assert vault.events("sign")[0]["hash"] == "sha256"


def test_S4_git(vault):
    vault.policy(PW, "namespace = git")
    key = " ".join(vault.read("work.pub").split()[:2])
    vault.write("signers", "me@example.org " + key + "\n")
    shutil.rmtree(vault.path("repo"), ignore_errors=True)
    vault.run("git", "init", "-q", vault.path("repo"))
    settings = ["-C", vault.path("repo"), "-c", "gpg.format=ssh", "-c", "user.signingkey=key::" + key, "-c", "user.name=me",
                "-c", "user.email=me@example.org", "-c", "gpg.ssh.allowedSignersFile=" + vault.path("signers")]
    status, out = vault.run("git", *settings, "commit", "-q", "-S", "--allow-empty", "-m", "text")
    assert status == 0, out
    status, out = vault.run("git", *settings, "verify-commit", "HEAD")
    assert status == 0 and "Good" in out


# K: other kinds of data


@pytest.mark.parametrize("lines, key, expect", [
    pytest.param([PW], "work.pub", "kind", id="K-1"),
    pytest.param(["key = *", "sign = probe"], "work.pub", "-", id="K-2"),
    pytest.param(["key = *", "sign = probe", "rsa-sha1 = yes"], "rsa.pub", "-", id="K-2-rsa"),
])
def test_K_probe(vault, lines, key, expect):
    vault.policy(*lines)
    status, out = vault.run("ssh-add", "-T", key)
    event, = vault.events("sign")
    assert (event["kind"], event["why"]) == ("probe", expect)
    assert status == (0 if expect == "-" else 1), out
    # OpenSSH 10 asks for SHA-256 here, 9.2 for SHA-1.
    assert key != "rsa.pub" or event.get("flags", "0") in ("0", "2")


def test_K2_rsa_sha1(vault):
    vault.policy("key = *", "sign = raw")
    assert vault.raw(sign_request(vault.blob("rsa"), b"data")) == FAILURE
    assert vault.raw(sign_request(vault.blob("rsa"), b"data", 2))[4] == 14
    assert vault.whys() == ["rsa-sha1", "-"]


def issue(vault):
    return vault.run("ssh-keygen", "-U", "-s", "ca.pub", "-I", "t", "-n", "root", "-V", "+1h", "other.pub")


def test_K3_K4_certificate(vault):
    assert issue(vault)[0] == 255
    assert vault.whys() == ["kind"]
    vault.policy("key = *", "sign = cert")
    vault.forget()
    status, out = issue(vault)
    assert status == 0, out
    assert "Key ID: \"t\"" in vault.run("ssh-keygen", "-Lf", "other-cert.pub")[1]
    assert holds(vault.events("sign")[0], kind="cert", certid="t", verdict="allow")
    os.unlink(vault.path("pub/other-cert.pub"))


# Q, R: bytes


SIGN_BYTES = {
    "R-1": ("0000000101 0000000109 0000000116 00000001ff 0000000100", 5 * "0000000105"),
    "R-3": ("000000020b00", "0000000105"),
    "R-4": ("000000010d 000000050d00000000", 2 * "0000000105"),
    "R-5": ("0000000a1b000000057175657279",
            "000000261d000000057175657279" + "00000018" + b"session-bind@openssh.com".hex()),
    "R-6": ("0000000b1b00000005717565727900 000000091b0000000478797a7a 000000011b", 3 * "0000000105"),
    "R-7": ("00000000", ""),
    "R-7-too-long": ("0004000100", ""),
    "R-7-huge": ("7fffffff00", ""),
}


@pytest.mark.parametrize("name", SIGN_BYTES)
def test_R_bytes(vault, name):
    request, expect = SIGN_BYTES[name]
    assert vault.raw(bytes.fromhex(request)).hex() == expect
    assert vault.statuses() == [3 if name.startswith("R-7") else 0]


def test_Q1_query(vault):
    """As `ssh-add -Q` of OpenSSH 10 asks it."""
    assert strings(vault.raw(message(27, string("query")))[5:]) == [b"query", b"session-bind@openssh.com"]


def test_R2_list(vault):
    assert vault.raw(message(11))[4] == 12


def test_R8_largest(vault):
    with vault.connect() as connection:
        assert connection.ask(struct.pack(">IB", 262144, 13) + 262143 * b"x") == b"\x05"
        assert connection.ask(message(11))[0] == 12


def test_R9_several_at_once(vault):
    answers = messages(vault.raw(3 * message(11) + message(19)))
    assert [number for number, _ in answers] == [12, 12, 12, 5]
    assert vault.statuses() == [0]


def test_R10_byte_by_byte(vault):
    """Each byte alone: the next goes out when the filter has taken the one before."""
    with vault.connect() as connection:
        for byte in message(11):
            connection.socket.sendall(bytes([byte]))
            vault.wait(lambda: _unread(connection.socket) == 0)
        assert connection.answer()[0] == 12


def _unread(connection):
    """Bytes that the peer has not read yet (SIOCOUTQ)."""
    n = array.array("i", [0])
    fcntl.ioctl(connection, termios.TIOCOUTQ, n)
    return n[0]


BIND = string("session-bind@openssh.com")


def bindings(captured):
    """The bindings of a connection, as requests."""
    return [message(27, contents) for number, contents in captured if number == 27 and contents.startswith(BIND)]


def signs(captured):
    """The sign requests of a connection: (blob, data, flags)."""
    return [(*strings(contents[:-4]), struct.unpack(">I", contents[-4:])[0]) for number, contents in captured
            if number == 13]


def host_bound(vault):
    """A binding and the sign request of a real login to a."""
    status, out, (captured,) = vault.capture("a", "true")
    assert status == 0, out
    return bindings(captured)[0], signs(captured)[0]


def test_R11_bad_signature(vault):
    vault.policy(PW, "host = a")
    bind, (blob, data, flags) = host_bound(vault)
    broken = bytearray(bind)
    broken[-10] ^= 1
    with Connection(vault.path("real.sock")) as agent:
        knows = agent.ask(bytes(broken)) == b"\x1c"
    vault.forget()
    with vault.connect() as connection:
        if knows:
            assert connection.ask(bytes(broken)) == b"\x1c"
            assert connection.ask(sign_request(blob, data, flags)) == b"\x05"
        else:
            # OpenSSH 9.2 says the same as an agent that knows of no bindings. So it counts as not verified: what is bound
            # to a server by itself is good for that one, and a session proves nothing.
            assert connection.ask(bytes(broken)) == b"\x06"
            assert connection.ask(sign_request(blob, data, flags))[0] == 14
    if knows:
        assert vault.whys("bind") == ["agent-refused"] and vault.whys() == ["bind-failed"]
    else:
        assert vault.events("bind")[0]["verified"] == "0" and vault.events("sign")[0]["proof"] == "signature"


def test_R11_bad_signature_of_a_session(vault):
    """The plain method rests on the binding alone."""
    vault.policy(PW, "host = a")
    status, out, (captured,) = vault.capture("-o", "PubkeyAuthentication=unbound", "a", "true")
    assert status == 0, out
    bind, sign = bytearray(bindings(captured)[0]), sign_request(*signs(captured)[0])
    with vault.connect() as connection:
        assert connection.ask(bytes(bind)) == b"\x06"
        assert connection.ask(sign)[0] == 14
    bind[-10] ^= 1
    with vault.connect() as connection:
        connection.ask(bytes(bind))
        assert connection.ask(sign) == b"\x05"
    assert vault.whys()[-1] in ("bind-failed", "host")


def test_R11_bad_signature_after_a_good_one(vault):
    """An agent that has taken a binding knows what one is: it refuses the next, whatever it says."""
    vault.policy(PW, "host = a", "forwarded = yes")
    _, forwarded = forwarding(vault)
    bind, (blob, data, flags) = host_bound(vault)
    broken = bytearray(bind)
    broken[-10] ^= 1
    with vault.connect() as connection:
        assert connection.ask(forwarded) == b"\x06"
        assert connection.ask(bytes(broken)) == b"\x1c"
        assert connection.ask(sign_request(blob, data, flags)) == b"\x05"
    assert vault.whys()[-1] == "bind-failed"


def forwarding(vault):
    """A forwarding binding, of a real `ssh -A`; and one without, of the same."""
    status, out, captured = vault.capture("-A", "a", "ssh-add -l")
    assert status == 0, out
    plain, forwarded = [bindings(connection)[0] for connection in captured if connection]
    assert (plain[-1], forwarded[-1]) == (0, 1)
    return plain, forwarded


def other_host_key(vault, bind):
    """The same session id, claimed for host b."""
    key, session, signature = strings(bind[5 + len(BIND):-1])
    assert key == vault.blob("ha")
    return message(27, BIND + string(vault.blob("hb")) + string(session) + string(signature) + bind[-1:])


def test_R12_replayed_bindings(vault):
    plain, forwarded = forwarding(vault)
    with vault.connect() as connection:
        assert connection.ask(forwarded) == b"\x06"
        assert connection.ask(forwarded) == b"\x06"
        assert connection.ask(other_host_key(vault, forwarded)) == b"\x1c"
    with vault.connect() as connection:  # R-12b
        assert connection.ask(plain) == b"\x06"
        assert connection.ask(forwarded) == b"\x1c"
    with vault.connect() as connection:
        assert connection.ask(plain) == b"\x06"
        assert connection.ask(plain) == b"\x1c"
    assert vault.whys("bind")[-4:] == ["-", "bound", "-", "bound"]


def test_R12c_too_many_bindings(vault):
    found = [forwarding(vault)[1] for _ in range(17)]
    with vault.connect() as connection:
        assert [connection.ask(bind) for bind in found] == 16 * [b"\x06"] + [b"\x1c"]
    assert vault.whys("bind")[-1] == "full"


def auth(session, user, algorithm, blob, host_key=None, service="ssh-connection", tail=b""):
    method = "publickey" if host_key is None else "publickey-hostbound-v00@openssh.com"
    return (string(session) + b"\x32" + string(user) + string(service) + string(method) + b"\x01" + string(algorithm) +
            string(blob) + (string(host_key) if host_key is not None else b"") + tail)


def sshsig(namespace="file", reserved="", hash_name="sha512", digest=64 * b"h"):
    return b"SSHSIG" + string(namespace) + string(reserved) + string(hash_name) + string(digest)


SESSION = 32 * b"s"

# What is asked to be signed, with which key and flags: the reason of the refusal, or None.
CASES = {
    "good": ("work", lambda v: auth(SESSION, "root", "ssh-ed25519", v.blob("work")), 0, None),
    "R-13": ("rsa", lambda v: auth(SESSION, "root", "ssh-rsa", v.blob("rsa")), 0, "rsa-sha1"),
    "R-14-both": ("rsa", lambda v: auth(SESSION, "root", "rsa-sha2-512", v.blob("rsa")), 6, "flags"),
    "R-14-obsolete": ("rsa", lambda v: auth(SESSION, "root", "rsa-sha2-512", v.blob("rsa")), 1, "flags"),
    "R-14-unknown": ("rsa", lambda v: auth(SESSION, "root", "rsa-sha2-512", v.blob("rsa")), 8, "flags"),
    "R-14-not-rsa": ("work", lambda v: auth(SESSION, "root", "ssh-ed25519", v.blob("work")), 2, "flags"),
    "R-15-key": ("work", lambda v: auth(SESSION, "root", "ssh-ed25519", v.blob("priv")), 0, "key-mismatch"),
    "R-15-alg": ("work", lambda v: auth(SESSION, "root", "ssh-rsa", v.blob("work")), 0, "alg"),
    "R-15-alg-rsa": ("rsa", lambda v: auth(SESSION, "root", "rsa-sha2-256", v.blob("rsa")), 4, "alg"),
    "rsa-512": ("rsa", lambda v: auth(SESSION, "root", "rsa-sha2-512", v.blob("rsa")), 4, None),
    "rsa-256": ("rsa", lambda v: auth(SESSION, "root", "rsa-sha2-256", v.blob("rsa")), 2, None),
    "R-15b-trailing": ("work", lambda v: auth(SESSION, "root", "ssh-ed25519", v.blob("work"), tail=b"x"), 0, "kind"),
    "R-15b-service": ("work", lambda v: auth(SESSION, "root", "ssh-ed25519", v.blob("work"), service="ssh-other"), 0,
                      "kind"),
    "R-15b-nul": ("work", lambda v: auth(SESSION, "ro\0ot", "ssh-ed25519", v.blob("work")), 0, "kind"),
    "R-15b-no-session": ("work", lambda v: auth(b"", "root", "ssh-ed25519", v.blob("work")), 0, "kind"),
    "sshsig": ("work", lambda v: sshsig(), 0, None),
    "R-15b-reserved": ("work", lambda v: sshsig(reserved="x"), 0, "kind"),
    "R-15b-namespace": ("work", lambda v: sshsig(namespace=""), 0, "kind"),
    "R-15b-digest": ("work", lambda v: sshsig(hash_name="sha256", digest=31 * b"h"), 0, "kind"),
    "raw": ("work", lambda v: b"anything", 0, "kind"),
    "empty": ("work", lambda v: b"", 0, "kind"),
}


@pytest.mark.parametrize("name", CASES)
def test_R_data(vault, name):
    key, data, flags, why = CASES[name]
    answer = vault.raw(sign_request(vault.blob(key), data(vault), flags))
    assert answer[4] == 14 if why is None else answer == FAILURE
    assert vault.whys() == [why or "-"]


def test_R15c_bound_connections(vault):
    vault.policy("key = *", "forwarded = yes")
    plain, forwarded = forwarding(vault)
    session = strings(plain[5 + len(BIND):-1])[1]
    forwarded_session = strings(forwarded[5 + len(BIND):-1])[1]
    work = vault.blob("work")
    vault.forget()
    for bind, data, why in [
            (plain, auth(session, "root", "ssh-ed25519", work, vault.blob("hb")), "hostkey-mismatch"),
            (plain, auth(session, "root", "ssh-ed25519", work, vault.blob("ha")), "-"),
            (plain, auth(session, "root", "ssh-ed25519", work), "-"),
            (plain, auth(SESSION, "root", "ssh-ed25519", work), "session-mismatch"),
            (forwarded, auth(forwarded_session, "root", "ssh-ed25519", work), "forward-sign"),
    ]:
        with vault.connect() as connection:
            assert connection.ask(bind) == b"\x06"
            assert connection.ask(sign_request(work, data))[0] == (14 if why == "-" else 5)
        assert vault.whys()[-1] == why


def test_R16_not_there_or_not_allowed(vault):
    """Nobody can tell."""
    vault.policy(PW)
    data = auth(SESSION, "root", "ssh-ed25519", vault.blob("other"))
    assert vault.raw(sign_request(vault.blob("other"), data)) == FAILURE
    data = auth(SESSION, "root", "ssh-ed25519", vault.blob("priv"))
    assert vault.raw(sign_request(vault.blob("priv"), data)) == FAILURE
    assert vault.whys() == ["unknown-key", "unknown-key"]


# C: consent


def test_C1_asked(vault):
    vault.policy(PW, confirm="ask")
    assert vault.ssh("a", "true") == (0, "")
    record, = vault.asked()
    assert holds(record, v="1", source="work", agent="t", kind="auth", key=vault.fingerprint("work"), user="root", host="a",
                 hostkey=vault.fingerprint("ha"), proof="signature", via="", grant="0", comment="work")
    assert int(record["timeout"]) in range(1, 61)
    assert vault.events("sign")[0]["consent"] == "asked"
    names = {line.split("=")[0] for line in vault.read("environment").splitlines()}
    assert names <= {"PATH", "HOME", "LANG", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR",
                     "DBUS_SESSION_BUS_ADDRESS", "PWD", "_", "SHLVL", "OLDPWD"}


def test_C2_no_and_cooldown(vault):
    vault.policy(PW, confirm="ask")
    vault.write("answer", "1")
    assert vault.ssh("a", "true")[0] == 255
    assert vault.whys() == ["denied", "cooldown"]
    assert len(vault.asked()) == 1


def test_C3_no_cooldown(vault):
    vault.policy("key = *", "deny-cooldown = 0", confirm="ask")
    vault.write("answer", "1")
    assert vault.ssh("a", "true")[0] == 255
    assert set(vault.whys()) == {"denied"} and len(vault.asked()) == len(vault.whys()) == 6


def test_C4_nobody_answers(vault):
    vault.policy("key = <priv>", "prompt-timeout = 5", confirm="ask")
    vault.hold()
    assert vault.ssh("a", "true")[0] == 255
    event, = vault.events("sign")
    assert event["why"] == "prompt-timeout" and 5000 <= int(event["ms"]) < 20000
    assert not os.path.exists("/proc/" + vault.read("helper.pid").strip())
    # That was a "no".
    assert vault.ssh("a", "true")[0] == 255
    assert vault.whys() == ["prompt-timeout", "cooldown"] and len(vault.asked()) == 1


@pytest.mark.parametrize("answer, why", [("2", "prompt-failed"), ("127", "prompt-failed"), ("missing", "prompt-failed")])
def test_C5_helper_fails(vault, answer, why):
    vault.policy("key = <priv>", confirm="ask")
    if answer == "missing":
        vault.options = ["--helper", "/nonexistent"]
    else:
        vault.write("answer", answer)
    for _ in range(2):
        assert vault.ssh("a", "true")[0] == 255
    assert vault.whys() == [why, "cooldown"]


DESCRIPTORS = """#!/usr/bin/python3
import os, sys
def is_open(fd):
    try:
        return bool(os.fstat(fd))
    except OSError:
        return False
with open("%(folder)s/fds.part", "w") as file:
    print([fd for fd in range(1024) if fd != file.fileno() and is_open(fd)], file=file)
os.rename("%(folder)s/fds.part", "%(folder)s/fds." + sys.argv[1])
"""


def test_C_no_other_descriptors(vault):
    """A helper has none of the client, of the agent, or of whoever started the filter."""
    vault.policy(PW, confirm="ask")
    vault.write("tool", DESCRIPTORS % {"folder": vault.folder}, 0o755)
    vault.options = ["--helper", vault.path("tool")]
    ours, theirs = socket.socketpair()
    with ours, open(os.devnull) as inherited:
        os.dup2(inherited.fileno(), 200)
        try:
            process = subprocess.Popen(vault.command(), stdin=theirs, stdout=theirs, pass_fds=[200])
        finally:
            os.close(200)
            theirs.close()
        ours.settimeout(TIMEOUT)
        ours.sendall(sign_request(vault.blob("work"), auth(SESSION, "root", "ssh-ed25519", vault.blob("work"))))
        assert ours.recv(65536)[4] == 14
        ours.shutdown(socket.SHUT_WR)
        assert process.wait(TIMEOUT) == 0
    for mode in ("confirm", "notify"):
        vault.wait(lambda: os.path.exists(vault.path("fds." + mode)))
        assert vault.read("fds." + mode) == "[0, 1, 2]\n"


def logins(vault, *names):
    """One after the other; how often somebody was asked for each."""
    counts = []
    for name in names:
        before = len(vault.asked())
        assert vault.ssh(name, "true") == (0, "")
        counts.append(len(vault.asked()) - before)
    return counts


@pytest.mark.parametrize("lines, confirm, names, expect", [
    pytest.param([PW], "grant:30", ["a", "a", "b"], [1, 0, 1], id="C-6"),
    pytest.param([PW, "grant-scope = key"], "grant:30", ["a", "b"], [1, 0], id="C-7"),
    pytest.param([PW, "grant-scope = exact"], "grant:30", ["a", "a"], [1, 0], id="exact"),
    pytest.param([PW], "ask", ["a", "a"], [1, 1], id="never-remembered"),
])
def test_C_grants(vault, lines, confirm, names, expect):
    vault.policy(*lines, confirm=confirm)
    assert logins(vault, *names) == expect
    assert [event["consent"] for event in vault.events("sign")] == ["asked" if n else "grant" for n in expect]


def test_C8_grant_expires(vault):
    vault.policy(PW, confirm="grant:1")
    assert logins(vault, "a") == [1]
    name, = [name for name in os.listdir(vault.path("st/grants")) if "." not in name]
    expiry = int(vault.read("st/grants/" + name).split()[2])
    vault.wait(lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) > expiry)
    assert logins(vault, "a") == [1]


@pytest.mark.parametrize("change", [
    lambda text: re.sub(r"^1 .{8}", "1 00000000", text),
    lambda text: text + "x",
    lambda text: text.replace("\n", "0\n"),
    lambda text: "",
])
def test_C9_foreign_grant(vault, change):
    vault.policy(PW, confirm="grant:30")
    assert logins(vault, "a") == [1]
    name, = [name for name in os.listdir(vault.path("st/grants")) if "." not in name]
    vault.write("st/grants/" + name, change(vault.read("st/grants/" + name)))
    assert logins(vault, "a") == [1]


def test_C10_two_at_once(vault):
    """The second waits for the answer to the first, and that is its answer too."""
    vault.policy("key = <priv>", confirm="grant:30")
    vault.hold()
    commands = [vault.start_command(*vault.ssh_command("a", "true")) for _ in range(2)]
    vault.wait(lambda: len(vault.asked()) == 1 and len(vault.events("bind")) == 2)
    vault.release()
    assert [command.wait(TIMEOUT) for command in commands] == [0, 0]
    assert len(vault.asked()) == 1
    assert sorted(event["consent"] for event in vault.events("sign")) == ["asked", "grant"]


def test_C10_two_at_once_no(vault):
    vault.policy("key = <priv>", confirm="ask")
    vault.write("answer", "1")
    vault.hold()
    commands = [vault.start_command(*vault.ssh_command("a", "true")) for _ in range(2)]
    vault.wait(lambda: len(vault.asked()) == 1 and len(vault.events("bind")) == 2)
    vault.release()
    assert [command.wait(TIMEOUT) for command in commands] == [255, 255]
    assert len(vault.asked()) == 1 and sorted(vault.whys()) == ["cooldown", "denied"]


def test_C11_client_gone(vault):
    vault.policy("key = <priv>", confirm="ask")
    vault.hold()
    client = vault.start_command(*vault.ssh_command("a", "true"))
    vault.wait(vault.asked)
    client.kill()
    client.wait()
    assert vault.statuses() == [0]
    assert vault.whys() == ["prompt-cancelled"]
    vault.wait(lambda: not os.path.exists("/proc/" + vault.read("helper.pid").strip()))


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return file.read().split()


def command_of(pid):
    try:
        with open("/proc/%s/cmdline" % pid) as file:
            return file.read()
    except OSError:  # it has ended
        return ""


def test_C11_client_gone_while_another_is_asked(vault):
    """Who waits for his turn is not asked any more either, and takes nobody else's."""
    vault.policy("key = <priv>", confirm="ask")
    vault.hold()
    first = vault.start_command(*vault.ssh_command("a", "true"))
    vault.wait(vault.asked)
    second = vault.start_command(*vault.ssh_command("b", "true"))
    vault.wait(lambda: len(vault.events("bind")) == 2)
    waiting = vault.last_filter()
    vault.wait(lambda: children(waiting.pid))  # the one that waits for the lock
    second.kill()
    second.wait()
    assert waiting.wait(TIMEOUT) == 0
    vault.release()
    assert first.wait(TIMEOUT) == 0
    assert len(vault.asked()) == 1
    assert sorted(vault.whys()) == ["-", "prompt-cancelled"]


def test_C11_filter_killed(vault):
    """Its question goes with it."""
    vault.policy("key = <priv>", confirm="ask")
    vault.hold()
    client = vault.start_command(*vault.ssh_command("a", "true"))
    vault.wait(vault.asked)
    helper = int(vault.read("helper.pid"))
    vault.wait(lambda: any(vault.path("hold") in command_of(pid) for pid in children(helper)))
    vault.last_filter().kill()
    assert client.wait(TIMEOUT) == 255
    vault.wait(lambda: not os.path.exists("/proc/%d" % helper))
    vault.release()  # what the helper has started is its own to end


def test_C11_half_closed(vault):
    """A client that asks for nothing more is answered what needs no question."""
    vault.policy("key = *", "sign = raw", confirm="ask")
    vault.hold()
    with vault.connect() as connection:
        connection.socket.sendall(sign_request(vault.blob("work"), b"x") + message(11) +
                                  sign_request(vault.blob("work"), b"x") + message(19))
        vault.wait(vault.asked)
        connection.socket.shutdown(socket.SHUT_WR)
        assert [number for number, _ in messages(connection.rest())] == [5, 12, 5, 5]
    assert vault.whys() == ["prompt-cancelled", "prompt-cancelled"] and len(vault.asked()) == 1
    assert vault.statuses() == [0]


def test_C12_hostile_text(vault):
    vault.policy("key = *", confirm="ask")
    data = auth(SESSION, b"x\x1b[31m\ny%\nhost=a", "ssh-ed25519", vault.blob("work"))
    with vault.connect() as connection:
        assert connection.ask(sign_request(vault.blob("work"), data))[0] == 14
    record, = vault.asked()
    assert record["user"] == "x%1B[31m%0Ay%25%0Ahost=a" and record["host"] == ""
    assert vault.events("sign")[0]["user"] == "x%1B[31m%0Ay%25%0Ahost%3Da"


def test_C13_no_grants_for_other_kinds(vault):
    vault.policy("key = *", "sign = probe raw", confirm="grant:60")
    for n in (1, 2):
        assert vault.run("ssh-add", "-T", "work.pub")[0] == 0
        assert len(vault.asked()) == n
    assert {record["grant"] for record in vault.asked()} == {"0"}


def test_C14_no_grant_for_an_unknown_server(vault):
    """A claimed host is none: only a grant of the whole key is remembered."""
    request = sign_request(vault.blob("work"), auth(SESSION, "root", "ssh-ed25519", vault.blob("work")))
    for scope, expect in [("host", 2), ("exact", 2), ("key", 1)]:
        vault.policy("key = *", "grant-scope = " + scope, confirm="grant:30")
        vault.forget()
        with vault.connect() as connection:
            assert [connection.ask(request)[0] for _ in range(2)] == [14, 14]
        assert len(vault.asked()) == expect


# N: limits


def test_N1_rate(vault):
    vault.policy("key = <priv>", "rate = 2/60")
    assert [vault.ssh("a", "true")[0] for _ in range(3)] == [0, 0, 255]
    assert vault.whys() == ["-", "-", "rate"]


def test_N1_corrupt_rate_file(vault):
    """It is as if nothing were left, once."""
    vault.policy("key = <priv>", "rate = 2/60")
    assert vault.ssh("a", "true")[0] == 0
    vault.write("st/work@t.rate", "nonsense")
    assert vault.ssh("a", "true")[0] == 255
    assert vault.read("st/work@t.rate").count("\n") == 3


def test_N2_prompt_rate(vault):
    vault.policy("key = <priv>", "prompt-rate = 1/60", confirm="ask")
    assert [vault.ssh("a", "true")[0] for _ in range(2)] == [0, 255]
    assert vault.whys() == ["-", "prompt-rate"]


def test_N3_connections(vault):
    vault.policy("key = *", "max-connections = 1")
    with vault.connect() as connection:
        assert connection.ask(message(11))[0] == 12
        assert vault.run("ssh-add", "-l")[0] in CUT_OFF
    vault.statuses()
    assert vault.run("ssh-add", "-l")[0] == 0


def test_N4_idle(vault):
    vault.policy("key = *", "idle-timeout = 2")
    with vault.connect() as connection:
        assert connection.ask(message(11))[0] == 12
        assert connection.rest() == b""
    assert vault.statuses() == [0]


def test_N5_many_at_once(vault):
    vault.policy("key = *", "max-connections = 64")
    commands = [vault.start_command("ssh-add", "-l") for _ in range(50)]
    for command in commands:
        out = command.communicate(timeout=TIMEOUT)[0].decode()
        assert command.returncode == 0 and comments(out) == ALL


# U: an agent that misbehaves, scripted


class Agent:
    """Answers each request with what SCRIPT says: bytes, or None to close."""

    def __init__(self, path, script):
        self._script, self.requests = script, []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        connection, _ = self._listener.accept()
        with connection:
            for answer in self._script:
                head = connection.recv(4, socket.MSG_WAITALL)
                if len(head) < 4:
                    return
                self.requests.append(connection.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL))
                if answer is None:
                    return
                connection.sendall(answer)
            connection.recv(1)

    def close(self):
        self._listener.close()


def identities(*pairs):
    return message(12, struct.pack(">I", len(pairs)) + b"".join(string(blob) + string(comment) for blob, comment in pairs))


@pytest.mark.parametrize("script, expect, status", [
    pytest.param([message(5)], [5], 0, id="failure"),
    pytest.param([message(30)], [5], 0, id="old-failure"),
    pytest.param([message(6)], [5], 0, id="success"),
    pytest.param([message(14, string("x"))], [5], 0, id="other-type"),
    pytest.param([identities()], [12], 0, id="empty"),
    pytest.param([message(12, struct.pack(">I", 1))], [5], 0, id="fewer-than-said"),
    pytest.param([message(12, struct.pack(">I", 0) + b"x")], [5], 0, id="trailing"),
    pytest.param([message(12, struct.pack(">I", 2049) + 2049 * (string("") + string("")))], [5], 0, id="too-many"),
    pytest.param([struct.pack(">I", 0)], [5], 4, id="empty-message"),
    pytest.param([struct.pack(">I", 262145)], [5], 4, id="too-long"),
    pytest.param([identities() + identities()], [5], 4, id="two-answers"),
    pytest.param([None], [5], 4, id="closes"),
])
def test_U_list(vault, script, expect, status):
    agent = Agent(vault.path("fake.sock"), script)
    vault.agent_socket = vault.path("fake.sock")
    try:
        assert [number for number, _ in messages(vault.raw(message(11)))] == expect
        assert vault.statuses() == [status]
        assert agent.requests == [b"\x0b"]
    finally:
        agent.close()
        os.unlink(vault.path("fake.sock"))


@pytest.mark.parametrize("key, flags, answer, why", [
    pytest.param("work", 0, message(14, string(string("ssh-ed25519") + string(64 * b"s"))), "-", id="good"),
    pytest.param("work", 0, message(14, string(string("ssh-ed25519")) + b"x"), "agent-error", id="trailing"),
    pytest.param("work", 0, message(14), "agent-error", id="nothing"),
    pytest.param("work", 0, message(6), "agent-error", id="success"),
    pytest.param("work", 0, message(5), "agent-refused", id="failure"),
    pytest.param("work", 0, message(102), "agent-refused", id="old-failure"),
    pytest.param("rsa", 4, message(14, string(string("rsa-sha2-512") + string("s"))), "-", id="rsa"),
    pytest.param("rsa", 4, message(14, string(string("rsa-sha2-256") + string("s"))), "rsa-sha1", id="rsa-weaker"),
    pytest.param("rsa", 4, message(14, string(string("ssh-rsa") + string("s"))), "rsa-sha1", id="rsa-sha1"),
    pytest.param("work", 0, None, "agent-error", id="closes"),
])
def test_U_sign(vault, key, flags, answer, why):
    agent = Agent(vault.path("fake.sock"), [identities((vault.blob(key), "c")), answer])
    vault.agent_socket = vault.path("fake.sock")
    vault.policy("key = *", "sign = raw")
    try:
        answers = messages(vault.raw(sign_request(vault.blob(key), b"data", flags)))
        assert [number for number, _ in answers] == [14 if why == "-" else 5]
        assert vault.whys() == [why]
        assert [request[0] for request in agent.requests] == [11, 13]
        assert vault.statuses() == [4 if answer is None else 0]
    finally:
        agent.close()
        os.unlink(vault.path("fake.sock"))


def test_U_answer_before_the_question(vault):
    """What answers a request that it has not heard cannot be talked to: the rest would be taken for the next one."""
    vault.policy("key = *", "sign = raw")
    vault.agent_socket = vault.path("fake.sock")

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(5, socket.MSG_WAITALL)
            connection.sendall(identities((vault.blob("work"), "work")))
            # The rest does not fit into the socket.
            connection.recv(5, socket.MSG_WAITALL)
            connection.sendall(message(14, string(string("ssh-ed25519") + string(64 * b"s"))))
            ended.wait(TIMEOUT)

    with socket.socket(socket.AF_UNIX) as listener:
        ended = threading.Event()
        listener.bind(vault.agent_socket)
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert vault.raw(sign_request(vault.blob("work"), 250000 * b"x")) == FAILURE
            assert vault.statuses() == [4] and vault.whys() == ["agent-error"]
        finally:
            ended.set()
            thread.join()
            os.unlink(vault.agent_socket)


def test_U_silent_agent(vault):
    """One that takes its time is refused in the end, and cannot be talked to any more."""
    agent = Agent(vault.path("fake.sock"), [identities((vault.blob("work"), "c")), b""])
    vault.agent_socket = vault.path("fake.sock")
    vault.policy("key = *", "sign = raw", "[agent t]", "reply-timeout = 5")
    try:
        assert vault.raw(sign_request(vault.blob("work"), b"data")) == FAILURE
        assert vault.whys() == ["agent-error"] and vault.statuses() == [4]
    finally:
        agent.close()
        os.unlink(vault.path("fake.sock"))


def test_U_large_answers(vault):
    """As many identities as there may be, through pipes that take a piece at a time."""
    pairs = [(string("type") + string(b"%04d" % n), "comment %d" % n) for n in range(2048)]
    agent = Agent(vault.path("fake.sock"), 3 * [identities(*pairs)])
    vault.agent_socket = vault.path("fake.sock")
    try:
        done = subprocess.run(vault.command(), input=3 * message(11), stdout=subprocess.PIPE, timeout=TIMEOUT)
        assert done.returncode == 0 and done.stdout == 3 * identities(*pairs)
    finally:
        agent.close()
        os.unlink(vault.path("fake.sock"))


def test_U_reader_gone(vault):
    """Nobody reads the answers: an end, not an error, and whatever else was asked for is not done."""
    with subprocess.Popen(vault.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(message(11))
        process.stdin.flush()
        assert process.stdout.read(5)[4] == 12
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0


def test_U_agent_starts_again(vault):
    assert vault.run("ssh-add", "-l")[0] == 0
    vault.stop_agent()
    assert vault.run("ssh-add", "-l")[0] in CUT_OFF
    vault.start_agent("priv")
    assert comments(vault.run("ssh-add", "-l")[1]) == ["priv"]


def test_U_key_loaded_later(vault):
    """A connection that has listed finds what has come since."""
    vault.policy("key = *", "sign = raw")
    request = sign_request(vault.blob("other"), b"data")
    with vault.connect() as connection:
        assert connection.ask(message(11))[0] == 12
        assert connection.ask(request) == b"\x05"
        vault.agent("ssh-add", "-q", "other")
        assert connection.ask(request)[0] == 14


# G, Z: what is logged, and what reaches the agent


def test_G1_one_line_for_each_signature(vault):
    vault.policy(PW)
    assert vault.ssh("a", "true")[0] == 0 and sign_file(vault)[0] == 0
    events = vault.events("sign")
    assert len(events) == 2
    assert {(event["verdict"], event["key"], event["src"]) for event in events} == \
        {("allow", vault.fingerprint("work"), "work")}
    vault.statuses()
    assert [holds(event, code="0", refused="0") for event in vault.events("close")] == [True, True]


def test_G2_every_line_parses(vault):
    """And has no byte of what was to be signed, of keys or of passwords."""
    vault.raw(message(17, string("ssh-ed25519") + string("PRIVATE")) + message(22, string("PASSWORD")) +
              sign_request(vault.blob("work"), b"CONFIDENTIAL") + message(27, string("x y=z\n")) + message(13, b"x"))
    for line in vault.log():
        text = line.split("]: ", 1)[1]
        assert re.fullmatch(r"[a-z]+=[!-<>-~]+( [a-z]+=[!-<>-~]+)*", text), text
        assert not re.search("PRIVATE|PASSWORD|CONFIDENTIAL", text)
    assert vault.events("req")[-1]["name"] == "x%20y%3Dz%0A"
    assert [event["priority"] for event in vault.events("req")] == 3 * [str(10 * 8 + 5)]
    assert [event["priority"] for event in vault.events("sign")] == [str(10 * 8 + 5), str(10 * 8 + 4)]


def test_G3_notices(vault):
    vault.policy("key = <priv>", "host = a")
    assert vault.ssh("a", "true")[0] == 0
    assert holds(vault.wait_told(1)[0], verdict="allow", host="a", user="root", timeout="0")
    assert vault.ssh("b", "true")[0] == 255
    told = vault.wait_told(2)
    assert len(told) == 2 and holds(told[1], verdict="deny", why="host")


def test_G3_no_notices(vault):
    vault.policy("key = <priv>", "notify = no")
    assert vault.ssh("a", "true")[0] == 0
    vault.statuses()
    assert vault.records("told") == []


def test_G3_notices_do_not_delay(vault):
    """A helper that hangs holds neither the answer nor the end."""
    vault.policy("key = <priv>")
    vault.write("slow", "#!/bin/sh\necho $$ >%s\nexec sleep 1000\n" % vault.path("slow.pid"), 0o755)
    vault.options = ["--helper", vault.path("slow")]
    assert vault.ssh("a", "true")[0] == 0
    assert vault.statuses() == [0]
    vault.wait(lambda: os.path.exists(vault.path("slow.pid")) and vault.read("slow.pid"))
    vault.wait(lambda: not os.path.exists("/proc/" + vault.read("slow.pid").strip()))


def test_Z1_only_three_types_reach_the_agent(vault):
    """Whatever is asked, by tools and by hand."""
    with Tap(vault.path("spy.sock"), vault.path("real.sock")) as tap:
        vault.agent_socket = vault.path("spy.sock")
        vault.policy("key = *", "sign = auth sshsig probe raw cert", "forwarded = yes")
        inner(vault)
        vault.run("ssh-add", "-D")
        vault.run("ssh-add", "-T", "work.pub")
        vault.run("ssh-add", "-s", ANY_LIBRARY)
        sign_file(vault)
        vault.raw(b"".join(message(number, b"x") for number in range(256)))
        vault.raw(b"".join(message(number) for number in range(256)))
        vault.statuses()
        seen = [request for data in tap.finish() for request in messages(data)]
    assert {number for number, _ in seen} == {11, 13, 27}
    assert all(contents.startswith(BIND) for number, contents in seen if number == 27)
    assert all(contents == b"" for number, contents in seen if number == 11)


def test_Z1_nothing_stays_open(vault):
    """The filter has no descriptor that it does not need."""
    with vault.connect() as connection:
        assert connection.ask(message(11))[0] == 12
        pid = vault.last_filter().pid
        names = [os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)]
        # The stream twice, standard error, the log, two folders, the slot, the agent.
        assert len(names) <= 8, names
