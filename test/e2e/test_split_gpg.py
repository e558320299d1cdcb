# SPDX-License-Identifier: Apache-2.0
"""split-gpg: real GnuPG homes on both sides, through qrexec. Test names have the numbers of the specification's cases."""

import pytest
import split_gpg
from split_gpg import CLIENT, run_as

POLICY = """
qubes.Gpg           *  work  vault     allow
qubes.Gpg           *  work  @default  allow  target=vault
qubes.GpgImportKey  *  work  vault     allow
qubes.GetDate       *  work  vault     allow
"""


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("vault")
    world.set_policy(POLICY)
    world.start()
    split_gpg.grant(world, "vault", "work")  # first: where GnuPG's own agent listens depends on /run/user
    world.fingerprint = split_gpg.make_key(world, "vault")
    yield world
    split_gpg.stop_agents(world, "vault", "work")


def client(host, *arguments, input=b"", **environment):
    return run_as(host, "work", [CLIENT, *arguments], input, {"QUBES_GPG_DOMAIN": "vault", **environment})


def test_thin_path(host):
    listed = client(host, "-k")
    assert listed.returncode == 0 and host.fingerprint.encode() in listed.stdout, listed
    signed = client(host, "--sign", "--armor", input=b"hi\n")
    assert signed.returncode == 0 and signed.stdout.startswith(b"-----BEGIN PGP MESSAGE-----"), signed
    read = client(host, input=signed.stdout)
    assert (read.returncode, read.stdout) == (0, b"hi\n") and "Good signature" in read.stderr, read
    encrypted = client(host, "--encrypt", "-r", "user@localhost", input=b"secret")
    assert encrypted.returncode == 0, encrypted
    decrypted = client(host, "--decrypt", input=encrypted.stdout)
    assert (decrypted.returncode, decrypted.stdout) == (0, b"secret"), decrypted
