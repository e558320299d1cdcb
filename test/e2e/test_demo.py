# SPDX-License-Identifier: Apache-2.0
"""`make demo` shows what it promises. Runs outside of a world, as root: the demo makes its own."""

import os
import re
import subprocess

import pytest

CHECKOUT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("QAIR_BUILD", os.path.join(CHECKOUT, "build"))

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def demo(*arguments, **settings):
    return subprocess.run(
        [CHECKOUT + "/test/world/enter", BUILD, CHECKOUT + "/test/demo/demo.sh", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **settings,
    )


def test_demo():
    """It checks each of its steps itself; this sees that it took them all."""
    result = demo(stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("\n  ok: ") == 12
    assert result.stdout.count("\n4294967296\n  ") == 2 and "% of the speed of a plain pipe" in result.stdout
    assert "\nFailed to remove all identities.\n" in result.stdout
    assert result.stdout.endswith("in five commands\n")


def test_shell_is_the_domain_work():
    result = demo("--shell", input="echo account=$(id -un); qrexec-client-vm vault qubes.GetDate; tty\nexit\n")
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"account=work\s", result.stdout), result.stdout
    assert "+00:00" in result.stdout and "/dev/pts/" in result.stdout


def test_demo_refuses_to_run_outside():
    result = subprocess.run([CHECKOUT + "/test/demo/demo.sh"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (1, "demo: run me in a private world: make demo\n")
