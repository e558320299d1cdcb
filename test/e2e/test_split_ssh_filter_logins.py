# SPDX-License-Identifier: Apache-2.0
"""The test matrix of split-ssh (specification, 16.2): logins, signatures of files, other kinds of data."""

import os
import re
import shutil
import subprocess

import pytest
from sshvault import FAILURE, PW, holds, sign_request


# A: logins


SIGNED = {"verdict": "allow", "why": "-", "kind": "auth", "user": "root", "host": "a", "via": "-", "src": "work",
          "agent": "t", "consent": "never"}


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


@pytest.mark.parametrize("lines, expect, why, host", [
    pytest.param([PW], 255, "forwarded", "b", id="A-12"),
    pytest.param([PW, "forwarded = yes"], 0, "-", "b", id="A-13"),
    pytest.param([PW, "forwarded = yes", "host = a"], 255, "host", "b", id="A-14"),
    pytest.param([PW, "forwarded = yes", "via = b"], 255, "via", "b", id="A-15"),
    pytest.param([PW, "forwarded = yes", "via = a"], 0, "-", "b", id="A-15-allowed"),
])
def test_A_forwarded(vault, lines, expect, why, host):
    vault.policy(*lines)
    status, out = vault.inner()
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


def test_S1_sign_and_verify(vault):
    vault.policy(PW)
    assert vault.sign_file()[0] == 0
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
    assert vault.sign_file(*options, key=key)[0] == expect
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
