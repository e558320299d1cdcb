# SPDX-License-Identifier: Apache-2.0
"""Colours of policy files in Vim, as installed: which word is taken for what; and those of nano, as far as grep knows."""

import os
import re
import shutil
import subprocess

import pytest

VIM = shutil.which("vim")
FOLDER = "/usr/share/vim/vimfiles"
SYNTAX = FOLDER + "/syntax/qubes-policy.vim"

needs_vim = pytest.mark.skipif(
    not VIM or "+syntax" not in subprocess.run([VIM, "--version"], capture_output=True, text=True).stdout,
    reason="needs a Vim with colours",
)


def groups(path):
    """For each line of the file the words and what they were taken for, by their first characters."""
    script = "\n".join(
        [
            "set nocompatible runtimepath=%s,$VIMRUNTIME" % FOLDER,
            "filetype on",
            "syntax on",
            "edit %s" % path,
            "let out = ['type ' . &filetype]",
            "for number in range(1, line('$'))",
            "  let found = []",
            "  let at = 0",
            "  while 1",
            "    let at = match(getline(number), '[^ \\t,]', at)",
            "    if at < 0 | break | endif",
            "    let name = synIDattr(synID(number, at + 1, 0), 'name')",
            "    call add(found, substitute(name, 'qubesPolicy', '', ''))",
            "    let at = match(getline(number), '[ \\t,]', at)",
            "    if at < 0 | break | endif",
            "  endwhile",
            "  call add(out, join(found, ' '))",
            "endfor",
            "call writefile(out, '/run/test/groups')",
            "qall!",
        ]
    )
    with open("/run/test/script.vim", "w") as file:
        file.write(script + "\n")
    subprocess.run(
        [VIM, "-es", "-N", "-u", "NONE", "-i", "NONE", "-S", "/run/test/script.vim"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": "/root", "TERM": "dumb"},
    )
    with open("/run/test/groups") as file:
        lines = file.read().splitlines()
    assert lines[0] == "type qubes-policy"
    return lines[1:]


@needs_vim
@pytest.mark.parametrize(
    "line, taken",
    [
        ("# comment @anyvm", "Comment Comment Comment"),
        ("s.Go * work vault allow", "Service Argument Source Target Allow"),
        ("s.Go +x @tag:a @dispvm:@tag:b ask default_target=x", "Service Argument Keyword Keyword Ask Parameter"),
        ("* * * @anyvm deny notify=no", "Service Argument Keyword Keyword Deny Parameter"),
        ("s.Go x work vault allow", "Service Error   "),
        ("s.Go * work vault permit", "Service Argument Source Target Error"),
        ("s.Go * work vault allow # why", "Service Argument Source Target Allow Error "),
        ("s.Go * work vault allow user=x bogus=1", "Service Argument Source Target Allow Parameter Error"),
        ("s.Go * allow deny ask", "Service Argument Source Target Ask"),
        ("!include include/x", "Directive Directive"),
        ("!include-service s.Go * include/x", "Directive Directive Directive Directive"),
        ("!compat-4.0", "Directive"),
        ("!nothing x", " "),
    ],
)
def test_policy_file(world, line, taken):
    world.write("/run/test/30-user.policy", line + "\n")
    assert groups("/run/test/30-user.policy") == [taken]


@needs_vim
def test_file_in_the_old_format(world):
    path = "/etc/qubes/policy.d/include/mine"
    world.write(path, "# who\n$include:include/common\n$tag:office  $dispvm  allow,target=$dispvm:dvm\ndesk,web,deny\na b permit\n")
    assert groups(path) == [
        "Comment Comment",
        "Directive",
        "Keyword Keyword Allow Parameter",
        "Source Target Deny",
        "Source Target Error",
    ]


@needs_vim
def test_file_of_a_service(world):
    world.write("/etc/qubes-rpc/policy/my.Secret", "$anyvm vault ask\n")
    assert groups("/etc/qubes-rpc/policy/my.Secret") == ["Keyword Target Ask"]


@needs_vim
def test_shipped_files_have_no_errors(world):
    for folder in ("/etc/qubes/policy.d", "/etc/qubes/policy.d/include"):
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and name != "README":
                assert not [line for line in groups(path) if "Error" in line], path


def nano_colours():
    """The last colour in nano's file counts; each is an extended regular expression."""
    with open("/usr/share/nano/qubes-policy.nanorc") as file:
        return re.findall(r'^color (\w+) "(.*)"$', file.read(), re.MULTILINE)


@pytest.mark.parametrize(
    "line, part, colour",
    [
        ("s.Go * work vault allow", " allow", "green"),
        ("s.Go * work vault ask user=x", " ask ", "yellow"),
        ("a,b,deny", ",deny", "red"),
        ("s.Go * @tag:a @dispvm:@tag:b ask", "@dispvm:@tag", "magenta"),
        ("s.Go * a b allow target=c", " target=", "brightblue"),
        ("!include-service s * include/x", "!include-service s * include/x", "magenta"),
        ("$include:include/x", "$include:include/x", "magenta"),
        ("# s.Go * work vault allow", "# s.Go * work vault allow", "brightblack"),
        ("s.Go +x work vault allow", "s.Go", "cyan"),
    ],
)
def test_nano(world, line, part, colour):
    taken = None
    for name, expression in nano_colours():
        found = subprocess.run(["grep", "-oE", "--", expression], input=line + "\n", capture_output=True, text=True)
        assert found.returncode in (0, 1) and found.stderr == "", found
        if part in found.stdout.splitlines():
            taken = name
    assert taken == colour
