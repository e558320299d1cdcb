# SPDX-License-Identifier: Apache-2.0
"""The test matrix of split-ssh (specification, 16.2), by its numbers: stock OpenSSH programs, a real agent, real sshd, raw
bytes. Here: the program, which identities there are, management, and what is logged. The other parts of the matrix:
logins, bytes, consent, limits."""

import os
import re
import shutil
import stat
import subprocess

import pytest
from sshvault import (ALL, ANY_LIBRARY, BIND, CUT_OFF, FAILURE, FILTER, PW, TIMEOUT, Tap, comments, holds, message,
                      messages, sign_request, string)
from waiting import wait_for


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
        wait_for(listens)
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
        wait_for(lambda: in_memory(pid, secret))
        connection.socket.sendall(request[-1:])
        assert connection.receive(5) == FAILURE
        assert not in_memory(pid, secret)


def test_M8_add_keys_to_agent(vault):
    vault.policy(PW)
    before = vault.agent("ssh-add", "-L")
    assert vault.ssh("-o", "AddKeysToAgent=yes", "-i", vault.path("work"), "a", "true")[0] == 0
    assert vault.agent("ssh-add", "-L") == before


# G, Z: what is logged, and what reaches the agent


def test_G1_one_line_for_each_signature(vault):
    vault.policy(PW)
    assert vault.ssh("a", "true")[0] == 0 and vault.sign_file()[0] == 0
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
    wait_for(lambda: os.path.exists(vault.path("slow.pid")) and vault.read("slow.pid"))
    wait_for(lambda: not os.path.exists("/proc/" + vault.read("slow.pid").strip()))


def test_Z1_only_three_types_reach_the_agent(vault):
    """Whatever is asked, by tools and by hand."""
    with Tap(vault.path("spy.sock"), vault.path("real.sock")) as tap:
        vault.agent_socket = vault.path("spy.sock")
        vault.policy("key = *", "sign = auth sshsig probe raw cert", "forwarded = yes")
        vault.inner()
        vault.run("ssh-add", "-D")
        vault.run("ssh-add", "-T", "work.pub")
        vault.run("ssh-add", "-s", ANY_LIBRARY)
        vault.sign_file()
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
