# SPDX-License-Identifier: Apache-2.0
"""The second generation of split-gpg: the client's own gpg, and a filter in front of the vault's gpg-agent."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import time

import pytest
import split_gpg
from split_gpg import GPG, run_as
from test_prompts import Terminal
from test_prompts import answer as answer_question
from waiting import wait_for
from world import QAIR

CLIENT = "/usr/bin/split-gpg2-client"
POLICY = """
qubes.Gpg2  *  work   vault     allow
qubes.Gpg2  *  work   @default  allow  target=vault
qubes.Gpg2  *  other  vault     allow
qubes.GetDate  *  work  vault   allow
"""
RING = ".gnupg/qubes-auto-keyring"
FILTERED = "ERR 67109888 not allowed by split-gpg2 <qair>\n"

KEYS = {
    "rsa": "Key-Type: RSA\nKey-Length: 2048\nKey-Usage: cert\nSubkey-Type: RSA\nSubkey-Length: 2048\nSubkey-Usage: sign\n",
    "ed25519": "Key-Type: EDDSA\nKey-Curve: ed25519\nKey-Usage: cert\nSubkey-Type: EDDSA\nSubkey-Curve: ed25519\nSubkey-Usage: sign\n",
    "nistp256": "Key-Type: ECDSA\nKey-Curve: nistp256\nKey-Usage: cert\nSubkey-Type: ECDSA\nSubkey-Curve: nistp256\nSubkey-Usage: sign\n",
}
ENCRYPTION = {"rsa": "rsa2048", "ed25519": "cv25519", "nistp256": "nistp256"}


def home_of(account):
    return pwd.getpwnam(account).pw_dir


def gpg(world, account, *arguments, input=b"", **environment):
    return run_as(world, account, [GPG, "--batch", "--no-tty", *arguments], input, environment)


def make_key(world, kind, user="Gpg2 test <user@localhost>"):
    """A primary key that certifies alone, a subkey that signs, another to encrypt to. Return: the primary's fingerprint."""
    name, email = user[:-1].split(" <")
    request = "%%no-protection\n%sName-Real: %s\nName-Email: %s\n%%commit\n" % (KEYS[kind], name, email)
    done = gpg(world, "vault", "--status-fd", "1", "--gen-key", input=request.encode())
    assert done.returncode == 0, done
    (line,) = [line for line in done.stdout.decode().splitlines() if "KEY_CREATED" in line]
    fingerprint = line.split()[3]
    done = gpg(world, "vault", "--passphrase", "", "--quick-add-key", fingerprint, ENCRYPTION[kind], "encr")
    assert done.returncode == 0, done
    return fingerprint


def give_public_key(world, account, fingerprint):
    """As a person would: the public key goes to the client, and is trusted there."""
    public = gpg(world, "vault", "--export", fingerprint)
    assert public.returncode == 0 and public.stdout
    assert gpg(world, account, "--no-autostart", "--import", input=public.stdout).returncode == 0
    assert gpg(world, account, "--no-autostart", "--import-ownertrust", input=fingerprint.encode() + b":6:\n").returncode == 0


def put(account, name, text):
    """A file of ACCOUNT's own, below its home."""
    path = os.path.join(home_of(account), name)
    uid = pwd.getpwnam(account).pw_uid
    folder = home_of(account)
    for part in os.path.dirname(name).split("/"):
        folder = os.path.join(folder, part)
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o700)
            os.chown(folder, uid, uid)
    with open(path, "w") as file:
        file.write(text)
    os.chown(path, uid, uid)
    return path


def configure(text):
    return put("vault", ".config/qubes-split-gpg2/qubes-split-gpg2.conf", text)


class Forwarder:
    """split-gpg2-client in an account, in front of whose gpg it stands."""

    def __init__(self, world, account):
        # Both homes' sockets are below /run/user, which tells where they are.
        split_gpg.grant_directory(account)
        self.path = run_as(world, account, ["/usr/bin/gpgconf", "--list-dirs", "agent-socket"]).stdout.decode().strip()
        run_as(world, account, ["/usr/bin/gpgconf", "--create-socketdir"])
        put(account, ".gnupg/gpg.conf", "no-autostart\n")
        put(account, ".config/split-gpg2-rc", "SPLIT_GPG2_SERVER_DOMAIN=vault\n")
        self.process = world.popen_as(account, [CLIENT])
        wait_for(lambda: os.path.exists(self.path) or self.process.poll() is not None, "the socket")
        assert self.process.poll() is None, self.process.communicate()

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(self.path)
        return connection.makefile("rwb", buffering=0)

    def stop(self):
        self.process.terminate()
        self.process.communicate(timeout=20)


def talk(stream, line):
    """One command. Return: what came, up to its end."""
    stream.write(line.encode() + b"\n")
    return answer(stream)


def answer(stream):
    lines = []
    while True:
        line = stream.readline()
        lines.append(line.decode(errors="backslashreplace"))
        if not line or line.startswith((b"OK", b"ERR", b"INQUIRE")):
            return lines


@pytest.fixture
def host(world):
    for name in ("work", "other", "vault"):
        world.add_domain(name)
    world.set_policy(POLICY)
    world.start()
    split_gpg.grant_directory("vault")
    configure("[DEFAULT]\nautoaccept = yes\n")
    forwarders = []

    def forward(account="work"):
        forwarders.append(Forwarder(world, account))
        return forwarders[-1]

    world.forward = forward
    yield world
    for forwarder in forwarders:
        forwarder.stop()
    split_gpg.stop_agents(world, "vault")
    run_as(world, "vault", ["/usr/bin/gpgconf", "--homedir", os.path.join(home_of("vault"), RING), "--kill", "all"])


@pytest.mark.parametrize("kind", KEYS)
def test_stock_gpg_signs_and_decrypts(host, kind):
    fingerprint = make_key(host, kind)
    give_public_key(host, "work", fingerprint)
    host.forward()
    listed = gpg(host, "work", "--list-secret-keys", "--with-colons")
    assert listed.returncode == 0 and b"ssb:" in listed.stdout, listed
    signed = gpg(host, "work", "--local-user", fingerprint, "--clearsign", input=b"hi\n")
    assert signed.returncode == 0 and b"BEGIN PGP SIGNATURE" in signed.stdout, signed
    verified = gpg(host, "work", "--verify", input=signed.stdout)
    assert verified.returncode == 0 and "Good signature" in verified.stderr, verified
    encrypted = gpg(host, "work", "--encrypt", "-r", fingerprint, input=b"secret")
    assert encrypted.returncode == 0, encrypted
    decrypted = gpg(host, "work", "--decrypt", input=encrypted.stdout)
    assert (decrypted.returncode, decrypted.stdout) == (0, b"secret"), decrypted
    folder = os.path.join(home_of("work"), ".gnupg/private-keys-v1.d")
    assert not os.path.isdir(folder) or not os.listdir(folder), "no private key came here"


def test_the_agent_has_subkeys_alone(host):
    fingerprint = make_key(host, "ed25519")
    give_public_key(host, "work", fingerprint)
    host.forward()
    assert gpg(host, "work", "--local-user", fingerprint, "--sign", input=b"x").returncode == 0
    with_primary = os.listdir(os.path.join(home_of("vault"), ".gnupg/private-keys-v1.d"))
    copied = os.listdir(os.path.join(home_of("vault"), RING, "private-keys-v1.d"))
    assert len(with_primary) == 3 and len(copied) == 2 and set(copied) < set(with_primary)
    certified = gpg(host, "work", "--yes", "--quick-add-uid", fingerprint, "Another <another@localhost>")
    assert certified.returncode != 0 and "No secret key" in certified.stderr, certified


def test_a_new_subkey_is_found(host):
    first = make_key(host, "ed25519")
    give_public_key(host, "work", first)
    host.forward()
    assert gpg(host, "work", "--local-user", first, "--sign", input=b"x").returncode == 0
    second = make_key(host, "ed25519", "Second key <second@localhost>")
    give_public_key(host, "work", second)
    assert gpg(host, "work", "--local-user", second, "--sign", input=b"x").returncode == 0
    assert gpg(host, "vault", "--yes", "--delete-secret-keys", first).returncode == 0
    gone = gpg(host, "work", "--local-user", first, "--sign", input=b"x")
    assert gone.returncode != 0, gone
    assert len(os.listdir(os.path.join(home_of("vault"), RING, "private-keys-v1.d"))) == 2


def test_git(host):
    fingerprint = make_key(host, "ed25519")
    give_public_key(host, "work", fingerprint)
    host.forward()
    folder = os.path.join(home_of("work"), "repository")

    def git(*arguments):
        command = ["/usr/bin/git", "-C", folder, "-c", "user.name=A", "-c", "user.email=a@b", "-c",
                   "user.signingkey=" + fingerprint, *arguments]
        return run_as(host, "work", command)

    assert run_as(host, "work", ["/usr/bin/git", "init", "-q", folder]).returncode == 0
    committed = git("commit", "-q", "--allow-empty", "-S", "-m", "signed elsewhere")
    assert committed.returncode == 0, committed
    verified = git("verify-commit", "HEAD")
    assert verified.returncode == 0 and "Good signature" in verified.stderr, verified
    tagged = git("tag", "-s", "-m", "signed", "v1")
    assert tagged.returncode == 0 and git("verify-tag", "v1").returncode == 0, tagged


@pytest.mark.parametrize("command", [
    "GET_PASSPHRASE --data x X X X", "PRESET_PASSPHRASE x -1 00", "EXPORT_KEY " + "0" * 40, "IMPORT_KEY --force",
    "KEYWRAP_KEY --export", "DELETE_KEY " + "0" * 40, "PASSWD " + "0" * 40, "LEARN", "KEYTOCARD x", "MARKTRUSTED x", "LISTTRUSTED",
    "CLEAR_PASSPHRASE x", "GET_CONFIRMATION x", "UPDATESTARTUPTTY", "KILLAGENT", "RELOADAGENT", "GET_SECRET x", "PUT_SECRET x",
    "GENKEY", "READKEY " + "0" * 40, "SIGKEY " + "0" * 40, "OPTION s2k-count=1", "GETINFO socket_name", "SCD LEARN", "x" * 1000,
])
def test_what_is_filtered_ends_the_connection(host, command):
    make_key(host, "ed25519")
    stream = host.forward().connect()
    assert answer(stream)[-1].startswith("OK")
    assert talk(stream, command) == [FILTERED]
    assert stream.read(1) == b"", "and nothing after it is answered"


def test_a_line_that_is_too_long(host):
    make_key(host, "ed25519")
    stream = host.forward().connect()
    assert answer(stream)[-1].startswith("OK")
    assert talk(stream, "NOP " + "x" * 997) == [FILTERED]
    assert stream.read(1) == b""


def test_answered_here(host):
    make_key(host, "ed25519")
    stream = host.forward().connect()
    assert answer(stream)[-1].startswith("OK")
    for command, expected in (("NOP", "OK\n"), ("OPTION ttyname=/dev/tty", "OK\n"), ("OPTION putenv=A=B", "OK\n"),
                              ("SETKEYDESC Sign+everything", "OK\n"), ("OPTION pinentry-mode=loopback", "ERR 67108924"),
                              ("AGENT_ID", "ERR 67109139"), ("SCD SERIALNO openpgp", "ERR 67108983")):
        (line,) = talk(stream, command)
        assert line.startswith(expected), command
    assert talk(stream, "GETINFO version")[0].startswith("D 2.")
    assert talk(stream, "BYE") == ["OK closing connection\n"]


def test_nobody_says_yes(host):
    """Without a desktop, a terminal or a grant nobody can say yes; gpg says that it was cancelled, and goes on."""
    configure("[DEFAULT]\nautoaccept = no\n[client:other]\nautoaccept = yes\n")
    fingerprint = make_key(host, "ed25519")
    for account in ("work", "other"):
        give_public_key(host, account, fingerprint)
        host.forward(account)
    signed = gpg(host, "work", "--local-user", fingerprint, "--sign", input=b"x")
    assert signed.returncode != 0 and "cancel" in signed.stderr.lower(), signed
    assert gpg(host, "other", "--local-user", fingerprint, "--sign", input=b"x").returncode == 0, "each client has its own"


def test_a_remembered_yes(host):
    """Per client and per kind of operation."""
    configure("[DEFAULT]\nautoaccept = 300\n")
    fingerprint = make_key(host, "ed25519")
    give_public_key(host, "work", fingerprint)
    host.forward()
    encrypted = gpg(host, "work", "--encrypt", "-r", fingerprint, input=b"secret").stdout
    folder = os.path.join(split_gpg.grant_directory("vault"), "gpg2-PKSIGN")
    uid = pwd.getpwnam("vault").pw_uid
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.chown(folder, uid, uid)
    marker = os.path.join(folder, "stat.work")
    with open(marker, "w"):
        pass
    assert gpg(host, "work", "--local-user", fingerprint, "--sign", input=b"x").returncode == 0
    decrypted = gpg(host, "work", "--decrypt", input=encrypted)
    assert decrypted.returncode != 0 and decrypted.stdout == b"", decrypted
    moment = time.time() - 302
    os.utime(marker, (moment, moment))
    assert gpg(host, "work", "--local-user", fingerprint, "--sign", input=b"x").returncode != 0, "it is over"


def test_a_list_between_the_key_and_its_use(host):
    """Lists come from the agent's unrestricted socket; no operation goes there, whatever was asked for before it."""
    configure("[DEFAULT]\nautoaccept = yes\n")
    make_key(host, "ed25519")
    listed = gpg(host, "vault", "--with-colons", "--with-keygrip", "--list-secret-keys").stdout.decode()
    grips = [line.split(":")[9] for line in listed.splitlines() if line.startswith("grp:")]
    stream = host.forward().connect()
    assert answer(stream)[-1].startswith("OK")
    for command in ("SIGKEY " + grips[1], "SETHASH 8 " + "0123456789ABCDEF" * 4, "KEYINFO --list"):
        assert talk(stream, command)[-1].startswith("OK"), command
    signed = talk(stream, "PKSIGN")
    assert "sig-val" in "".join(signed) and signed[-1].startswith("OK"), signed


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
def test_a_person_says_yes(host):
    """Of the question every word arrives, whatever the key's owner is called; and that yes is for once."""
    configure("[DEFAULT]\nautoaccept = no\n")
    fingerprint = make_key(host, "ed25519", 'Joe "J\\n\\" Test <user@localhost>')
    give_public_key(host, "work", fingerprint)
    host.forward()
    host.call("work", "vault", "qubes.GetDate")  # so that the vault runs
    terminal = Terminal(host, "root", QAIR, "prompts", "vault")
    try:
        terminal.wait("are answered here")
        for number, word, status in ((1, "y", 0), (2, "n", 2)):
            process = host.popen_as("work", [GPG, "--batch", "--no-tty", "--local-user", fingerprint, "--sign"])
            process.stdin.write(b"x")
            process.stdin.close()
            process.stdin = None
            terminal.wait(r"^Question %d: work calls qubes\.Gpg2$" % number)
            terminal.wait(r"^  \| Do you allow the domain 'work' to sign with this key now\?$")
            terminal.wait(r"Joe .*Test <user@localhost>$")
            terminal.wait(r"^  \| key [0-9A-F]{40}$")
            answer_question(terminal, word)
            _, stderr = process.communicate(timeout=60)
            assert process.returncode == status, stderr
            assert (b"signing failed: Operation cancelled" in stderr) == (word == "n"), stderr
    finally:
        terminal.close()


def test_a_configuration_that_is_wrong(host):
    configure("[DEFAULT]\nautoaccept = perhaps\n")
    make_key(host, "ed25519")
    stream = host.forward().connect()
    assert stream.read(1) == b"", "nothing is served on a guess"


def test_key_generation(host):
    configure("[DEFAULT]\nautoaccept = yes\nallow_keygen = yes\n")
    host.forward()
    made = gpg(host, "work", "--passphrase", "", "--quick-gen-key", "New <new@localhost>", "ed25519", "sign", "0")
    assert made.returncode == 0, made
    assert len(os.listdir(os.path.join(home_of("vault"), ".gnupg/private-keys-v1.d"))) == 1
    signed = gpg(host, "work", "--clearsign", input=b"hi\n")
    assert signed.returncode == 0, signed
    assert gpg(host, "work", "--verify", input=signed.stdout).returncode == 0


def test_a_home_for_each_client(host):
    folder = os.path.join(home_of("vault"), "clients")
    os.mkdir(folder, 0o700)
    uid = pwd.getpwnam("vault").pw_uid
    os.chown(folder, uid, uid)
    configure("[DEFAULT]\nautoaccept = yes\nisolated_gnupghome_dirs = %s\n" % folder)
    fingerprint = make_key(host, "ed25519")
    give_public_key(host, "work", fingerprint)
    shutil.copytree(os.path.join(home_of("vault"), ".gnupg"), os.path.join(folder, "work"), ignore=lambda where, names: [
        name for name in names if name.startswith("S.") or name == "qubes-auto-keyring"])
    subprocess.run(["chown", "-R", "vault:", folder], check=True)
    give_public_key(host, "other", fingerprint)
    for account, expected in (("work", 0), ("other", 2)):
        host.forward(account)
        assert gpg(host, account, "--local-user", fingerprint, "--sign", input=b"x").returncode == expected
    for client in ("work", "other"):
        for home in (client, client + "/qubes-auto-keyring"):
            run_as(host, "vault", ["/usr/bin/gpgconf", "--homedir", os.path.join(folder, home), "--kill", "all"])


def test_a_client_that_goes_away(host):
    """The service ends with it, at any moment."""
    fingerprint = make_key(host, "ed25519")
    forwarder = host.forward()
    stream = forwarder.connect()
    assert answer(stream)[-1].startswith("OK")
    stream.close()
    stream = forwarder.connect()
    assert answer(stream)[-1].startswith("OK")
    stream.write(b"HAVEKEY --list\nHAVEKEY --list\nNOP\n")  # without waiting
    stream.close()
    ends = host.wait_audit(n=2, event="end", service="qubes.Gpg2")
    assert {end["how"] for end in ends} <= {"exited", "abandoned", "cancelled"}
    assert fingerprint


def test_twenty_at_a_time(host):
    """Of one client only so many at once; those that follow are served."""
    fingerprint = make_key(host, "ed25519")
    give_public_key(host, "work", fingerprint)
    host.forward()
    jobs = [host.popen_as("work", [GPG, "--batch", "--no-tty", "--local-user", fingerprint, "--sign"]) for _ in range(10)]
    for job in jobs:
        stdout, stderr = job.communicate(b"x", 60)
        assert job.returncode == 0 and stdout, stderr


def test_the_documents_lines(world):
    """doc/split-gpg.md, its second generation, pasted: as root, as vault, as work."""
    with open(os.path.join(os.path.dirname(__file__), "../../doc/split-gpg.md")) as file:
        section = file.read().split("## One's own gpg, the vault's keys\n")[1].split("\n## ")[0]
    root, vault, work = re.findall(r"^```\n(.*?)^```", section, re.M | re.S)
    for name in ("work", "vault"):
        world.add_domain(name)
        split_gpg.grant_directory(name)
    world.start()
    for account, text in (("root", root), ("vault", vault)):
        done = run_as(world, account, ["/bin/bash", "-e", "-c", text])
        assert done.returncode == 0, done
    try:
        process = world.popen_as("work", ["/bin/bash", "-e", "-c", work + "kill %1\n"])
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 0 and b"Good signature" in stderr, (stdout, stderr)
    finally:
        os.unlink("/tmp/me.gpg")
        split_gpg.stop_agents(world, "vault")
        run_as(world, "vault", ["/usr/bin/gpgconf", "--homedir", os.path.join(home_of("vault"), RING), "--kill", "all"])
