# SPDX-License-Identifier: Apache-2.0
"""Accounts of the private world, written into its own copies of passwd, group, shadow and gshadow.

useradd(8) would do, but takes a tenth of a second for each; tests make hundreds of domains.
"""

import os
import pwd
import shutil

FILES = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")
FIRST_ID = 30001


class Accounts:
    """The accounts as they were when this object was made, and those added since."""

    def __init__(self):
        self._before = {path: _read(path) for path in FILES}
        self._next_id = FIRST_ID
        self._homes = []

    def add(self, name, groups=()):
        """Make the account NAME with a group and a home directory of its own; one of that name is replaced."""
        uid = self._free_id()
        home = "/home/" + name
        self._replace("/etc/passwd", name, "%s:x:%d:%d::%s:/bin/sh" % (name, uid, uid, home))
        self._replace("/etc/group", name, "%s:x:%d:" % (name, uid))
        self._replace("/etc/shadow", name, "%s:!:19000:0:99999:7:::" % name)
        self._replace("/etc/gshadow", name, "%s:!::" % name)
        for group in groups:
            self._join(group, name)

        os.makedirs(home, mode=0o700)
        os.chown(home, uid, uid)
        self._homes.append(home)
        return pwd.getpwnam(name)

    def restore(self):
        """Forget every account that was added, with its home."""
        for path, content in self._before.items():
            _write(path, content)
        for home in self._homes:
            shutil.rmtree(home, ignore_errors=True)
        self._homes = []

    def _free_id(self):
        while True:
            uid, self._next_id = self._next_id, self._next_id + 1
            try:
                pwd.getpwuid(uid)
            except KeyError:
                return uid

    @staticmethod
    def _replace(path, name, line):
        lines = [old for old in _read(path).splitlines() if old.split(":", 1)[0] != name]
        _write(path, "\n".join([*lines, line]) + "\n")

    @staticmethod
    def _join(group, name):
        path = "/etc/group"
        lines = _read(path).splitlines()
        for i, line in enumerate(lines):
            if line.split(":", 1)[0] == group:
                lines[i] = line + ("" if line.endswith(":") else ",") + name
                _write(path, "\n".join(lines) + "\n")
                return
        raise KeyError("no group " + group)


def _read(path):
    with open(path) as file:
        return file.read()


def _write(path, content):
    """Replace PATH in one step: somebody may be reading it."""
    old = os.stat(path)
    new = path + ".new"
    with open(new, "w") as file:
        os.fchmod(file.fileno(), old.st_mode & 0o7777)
        os.fchown(file.fileno(), old.st_uid, old.st_gid)
        file.write(content)
    os.rename(new, path)
