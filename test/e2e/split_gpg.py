# SPDX-License-Identifier: Apache-2.0
"""What the tests of split-gpg share: accounts with real GnuPG homes, their keys, and the wire protocol."""

import os
import pwd
import struct
import subprocess
import time

CLIENT = "/usr/bin/qubes-gpg-client"
WRAPPER = "/usr/bin/qubes-gpg-client-wrapper"
IMPORT = "/usr/bin/qubes-gpg-import-key"
SERVER = "/usr/lib/qubes-gpg-split/gpg-server"
GPG = "/usr/bin/gpg"
USER_ID = "Qubes test <user@localhost>"
TIMEOUT_SEC = 60

KEY = """
%no-protection
Key-Type: RSA
Key-Length: 2048
Key-Usage: sign
Subkey-Type: RSA
Subkey-Length: 2048
Subkey-Usage: encrypt
Name-Real: {name}
Name-Email: {email}
%commit
"""

HEADER_SIZE = 1028


class Done:
    """How a command ended."""

    def __init__(self, returncode, stdout, stderr):
        self.returncode, self.stdout, self.stderr = returncode, stdout, stderr.decode(errors="backslashreplace")

    def __repr__(self):
        return "Done(returncode=%d, stdout=%r, stderr=%r)" % (self.returncode, self.stdout[:300], self.stderr[:2000])


def run_as(world, account, command, input=b"", environment=None, timeout=TIMEOUT_SEC, **settings):
    """Run COMMAND as ACCOUNT, give it INPUT, and wait for its end."""
    process = world.popen_as(account, command, environment, **settings)
    try:
        stdout, stderr = process.communicate(input, timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Done(process.returncode, stdout or b"", stderr or b"")


def make_key(world, account, name="Qubes test", email="user@localhost", home=None):
    """A key pair without a passphrase, in ACCOUNT's own GnuPG home or another. Return: its fingerprint."""
    options = ["--homedir", home] if home else []
    done = run_as(world, account, [GPG, *options, "--batch", "--status-fd", "1", "--gen-key"],
                  KEY.format(name=name, email=email).encode())
    assert done.returncode == 0, done
    (line,) = [line for line in done.stdout.decode().splitlines() if "KEY_CREATED" in line]
    return line.split()[-1]


def stop_agents(world, *accounts):
    """GnuPG's own daemons: they stay behind, as they are meant to; a test leaves nobody."""
    for account in accounts:
        run_as(world, account, ["/usr/bin/gpgconf", "--kill", "all"])


def grant_directory(account):
    """Where the service remembers consent; made as the service makes it."""
    uid = pwd.getpwnam(account).pw_uid
    path = "/run/user/%d" % uid
    os.makedirs("/run/user", exist_ok=True)
    for folder in (path, path + "/qubes", path + "/qubes/gpg-split"):
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o700)
            os.chown(folder, uid, uid)
    return path + "/qubes/gpg-split"


def grant(account, source, age_sec=0):
    """Touch the marker of SOURCE in ACCOUNT, as it was AGE_SEC ago. Return: its path."""
    path = os.path.join(grant_directory(account), "stat." + source)
    with open(path, "a"):
        pass
    os.chown(path, pwd.getpwnam(account).pw_uid, -1)
    moment = int(time.time()) - age_sec
    os.utime(path, (moment, moment))
    return path


def forget(account):
    """No grant, no refusal, no notification has ever been."""
    folder = grant_directory(account)
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))


# The wire


def request(*arguments, name=b""):
    """A request header; arguments are bytes or text."""
    command = name + b"\0" + b"".join((a if isinstance(a, bytes) else a.encode()) + b"\0" for a in arguments)
    assert len(command) <= 1024
    return struct.pack("<I", len(command) - 1) + command.ljust(1024, b"\0")


def frame(index, data=b""):
    return struct.pack("<iI", index, len(data)) + data


def frames(data):
    """All frames in DATA, as (index, payload)."""
    found = []
    while data:
        index, n = struct.unpack_from("<iI", data)
        assert n <= 4096 and len(data) >= 8 + n, data[:64]
        found.append((index, data[8:8 + n]))
        data = data[8 + n:]
    return found


def joined(found, index):
    """What came on INDEX before its end."""
    return b"".join(payload for i, payload in found if i == index)
