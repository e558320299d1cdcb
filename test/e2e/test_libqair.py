# SPDX-License-Identifier: Apache-2.0
"""libqair as a stranger meets it: header, pkg-config file and library as installed, the example of the manual page."""

import os
import re
import shlex
import subprocess

import pytest
from world import INSTALLED, NO_SERVICE

HERE = os.path.dirname(os.path.realpath(__file__))
EXAMPLE = "/usr/share/doc/qair/examples/call.c"
MANUAL = os.path.join(HERE, "..", "..", "doc", "man", "libqair.3.scd")


def _said(command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def pkg_config(*words):
    return shlex.split(_said(["pkg-config", *words, "libqair"]))


def is_instrumented(path):
    with open(path, "rb") as file:
        return b"__asan_init" in file.read()


def library():
    (folder,) = pkg_config("--variable=libdir")
    return os.path.join(folder, "libqair.so.0")


def build(source, program, *options, compiler="cc"):
    """Compile a C program against the library as installed."""
    if is_instrumented(library()):
        pytest.skip("built with sanitizers")
    command = [compiler, "-Wall", "-Wextra", "-Werror", *options, "-o", program, source, "-x", "none"]
    command += pkg_config("--cflags", "--libs")
    subprocess.run(command, check=True)


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("vault")
    world.set_policy("my.Secret * work vault deny\n* * work vault allow")
    world.add_service("my.Echo", "exec cat")
    world.add_service("my.Hello", 'echo "hello $QREXEC_REMOTE_DOMAIN $1"; echo complaint >&2; exit 3')
    world.add_service("my.Secret", "echo secret")
    world.start()
    return world


def test_the_example_is_the_manuals():
    with open(EXAMPLE) as file:
        example = file.read().split("\n", 3)[3]
    with open(MANUAL) as file:
        assert "\n```\n" + example.rstrip("\n") + "\n```\n" in file.read()
    assert example.count("\n") <= 33


@pytest.mark.parametrize("language, standard", [("c", "c99"), ("c", "gnu17"), ("c++", "c++11")])
def test_the_header_stands_alone(tmp_path, language, standard):
    source = tmp_path / "header"
    source.write_text("#include <qair.h>\nint main() { qair_call_free(0); return 0; }\n")
    # gcc may be there without C++, clang has it.
    build(str(source), str(tmp_path / "program"), "-x", language, "-std=" + standard, "-pedantic", compiler="clang")


def run_as(host, account, *command):
    result = host.run_as(account, command)
    return result.returncode, result.stdout.decode(), result.stderr


def test_the_example(host):
    program = "/run/test/call"
    build(EXAMPLE, program)
    assert run_as(host, "work", program, "vault", "my.Hello+x") == (3, "hello work x\n", "")
    assert run_as(host, "work", program, "vault", "my.Secret") == (1, "", "refused\n")
    assert run_as(host, "work", program, "vault", "my.Nowhere") == (NO_SERVICE, "", "")
    host.add_account("nobody-here")
    assert run_as(host, "nobody-here", program, "vault", "my.Hello") == (1, "", "not a domain\n")
    host.assert_service_never_started("my.Secret")


def test_calls_in_an_event_loop(host):
    """Calls that overlap, some cancelled, with one client, which outlives a restart of the broker."""
    program = "/run/test/loop"
    build(os.path.join(HERE, "library-loop.c"), program)
    with host.popen_as("work", [program]) as loop:
        assert loop.stdout.readline() == b"first\n", loop.stderr.read()
        host.restart_broker()
        stdout, stderr = loop.communicate(b"go on\n", timeout=30)
    assert (loop.returncode, stdout.decode(), stderr.decode()) == (0, "all\n", "")


def test_what_it_exports():
    """Its own prefix, in its own version, and nothing else."""
    lines = _said(["nm", "-D", "--defined-only", library()])
    names = [line.split()[-1] for line in lines.splitlines() if not line.endswith(" A QAIR_0")]
    with open(INSTALLED + "/usr/include/qair.h") as file:
        declared = set(re.findall(r"\b(qair_(?:client|call|reason)_\w+)\(", file.read()))
    if not is_instrumented(library()):
        assert set(names) == {name + "@@QAIR_0" for name in declared}
        needed = _said(["readelf", "-d", library()])
        assert re.findall(r"\(NEEDED\).*\[(.*)\]", needed) == ["libc.so.6"]
        assert "[libqair.so.0]" in needed


def test_the_static_library(host):
    """A static program calls like any other, and may have names of its own that are ours, too."""
    archive = library().replace(".so.0", ".a")
    if not os.path.exists(archive):
        pytest.skip("built with sanitizers")
    lines = _said(["nm", "--defined-only", "--extern-only", archive]).splitlines()
    assert {line.split()[-1].split("_")[0] for line in lines if line.count(" ") == 2} == {"qair"}
    source = "/run/test/own.c"
    with open(source, "w") as file:
        file.write('int fd_close(int fd);\nint fd_close(int fd) { return fd; }\n#include "%s"\n' % EXAMPLE)
    build(source, "/run/test/static", "-static")
    assert run_as(host, "work", "/run/test/static", "vault", "my.Hello+x") == (3, "hello work x\n", "")


def test_it_keeps_no_state():
    """No variable that two threads could meet in: nothing but tables that are written once, by the dynamic linker."""
    if is_instrumented(library()):
        pytest.skip("built with sanitizers")
    lines = _said(["size", "-A", library()]).splitlines()
    sizes = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith(".")}
    # What crtbegin.o brings: a pointer to itself, and a flag.
    assert sizes.get(".data", 0) <= 16 and sizes.get(".bss", 0) <= 16
