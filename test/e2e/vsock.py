# SPDX-License-Identifier: Apache-2.0
"""AF_VSOCK where there is none: vsock-kernel.c plays it for the programs of one side."""

import os
import subprocess

SOURCE = os.path.join(os.path.dirname(__file__), "vsock-kernel.c")


def build_kernel(path, side):
    """At PATH, the library to be loaded into programs of SIDE, "guest" or "host"."""
    command = ["cc", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", '-DSIDE="%s"' % side, "-shared", "-fPIC"]
    subprocess.run([*command, "-o", path, SOURCE], check=True)
