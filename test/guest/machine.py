# SPDX-License-Identifier: Apache-2.0
"""A virtual machine that debian.sh has made; what is asked of it is done by its root, over ssh."""

import os
import shlex
import subprocess
import threading

QEMU = "/usr/bin/qemu-system-x86_64"
# Emulation works everywhere; a nested KVM may not.
ACCELERATOR = os.environ.get("QAIR_GUEST_ACCELERATOR", "tcg")
BOOT_TIMEOUT_SEC = 400
# Of one command or call: the guest's processor may be an emulated one, on a machine that is busy.
TIMEOUT_SEC = 120


class Machine:
    """A subclass has shell(command, input), which returns status, stdout and stderr."""

    def __init__(self, folder, network, memory=1024, processors=2):
        """Boot what is in FOLDER; NETWORK is qemu's backend, whose id is lan."""
        self.process = subprocess.Popen(
            [QEMU, "-accel", ACCELERATOR, "-cpu", "max", "-m", str(memory), "-smp", str(processors), "-no-reboot"]
            + ["-kernel", folder + "/kernel", "-initrd", folder + "/initrd", "-append", "root=/dev/vda rw console=ttyS0"]
            + ["-drive", "file=%s/disk,if=virtio,format=raw,cache=unsafe" % folder, "-device", "virtio-rng-pci"]
            + ["-netdev", network, "-device", "virtio-net-pci,netdev=lan"]
            + ["-display", "none", "-serial", "stdio", "-monitor", "none"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        # Everything that it says goes to the log; that it is ready is said there too.
        self.log = subprocess.Popen(["tee", folder + "/console.log"], stdin=self.process.stdout, stdout=subprocess.PIPE)
        self.process.stdout.close()
        impatience = threading.Timer(BOOT_TIMEOUT_SEC, self.process.kill)
        impatience.start()
        ready = any(b"guest is ready" in line for line in self.log.stdout)
        impatience.cancel()
        # Read on, or it waits when the pipe is full.
        self.reader = subprocess.Popen(["cat"], stdin=self.log.stdout, stdout=subprocess.DEVNULL)
        if not ready:
            self.close()
            raise AssertionError("the guest did not boot: see console.log")

    def do(self, command, input=b""):
        """What has to succeed. Return: stdout, as text"""
        status, stdout, stderr = self.shell(command, input)
        assert status == 0, (command, status, stdout, stderr)
        return stdout.decode()

    def write(self, path, text, mode="0644"):
        self.do("mkdir -p $(dirname {0}) && cat >{0} && chmod {1} {0}".format(shlex.quote(path), mode), text.encode())

    def install_package(self, folder):
        with open(folder + "/qair.deb", "rb") as file:
            self.do("cat >/tmp/qair.deb && dpkg -i /tmp/qair.deb", file.read())

    def close(self):
        self.process.kill()
        for process in (self.process, self.log, self.reader):
            process.wait()
