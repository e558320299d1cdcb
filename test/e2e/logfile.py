# SPDX-License-Identifier: Apache-2.0
"""A log file that a test can wait on: woken by the kernel (inotify) for each write, never by the clock."""

import ctypes
import os
import re
import select
import time

_IN_MODIFY = 0x2
_IN_CREATE = 0x100
_libc = ctypes.CDLL(None, use_errno=True)


class Folder:
    """The folder PATH: wakes whoever waits for a new file in it, or for a write to one."""

    def __init__(self, path):
        self._inotify = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        self.watch(path)

    def watch(self, path):
        """Watch PATH too."""
        if self._inotify < 0 or _libc.inotify_add_watch(self._inotify, os.fsencode(path), _IN_MODIFY | _IN_CREATE) < 0:
            raise OSError(ctypes.get_errno(), "cannot watch " + path)

    def close(self):
        os.close(self._inotify)

    def wait_change(self, deadline):
        """Wait until something was written since the last time, or until DEADLINE (time.monotonic())."""
        poll = select.poll()
        poll.register(self._inotify, select.POLLIN)
        if poll.poll(max(0, deadline - time.monotonic()) * 1000):
            os.read(self._inotify, 65536)


class LogFile:
    """The file PATH, which others append to; it exists from now on."""

    def __init__(self, path):
        self.path = path
        open(path, "ab").close()
        self._inotify = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._inotify < 0 or _libc.inotify_add_watch(self._inotify, os.fsencode(path), _IN_MODIFY) < 0:
            raise OSError(ctypes.get_errno(), "cannot watch " + path)

    def close(self):
        os.close(self._inotify)

    def text(self):
        with open(self.path, errors="backslashreplace") as file:
            return file.read()

    def mark(self):
        """A place to start a later wait() from: only what is written after it counts."""
        return len(self.text())

    def wait(self, expression, timeout, mark=0):
        """Wait until the regular EXPRESSION (multi-line) matches; return the match."""
        poll = select.poll()
        poll.register(self._inotify, select.POLLIN)
        deadline = time.monotonic() + timeout
        while True:
            match = re.compile(expression, re.MULTILINE).search(self.text(), mark)
            if match:
                return match
            if not poll.poll(max(0, deadline - time.monotonic()) * 1000):
                raise AssertionError("nothing like %r in the log:\n%s" % (expression, self.text()))
            try:
                os.read(self._inotify, 65536)
            except BlockingIOError:
                pass
