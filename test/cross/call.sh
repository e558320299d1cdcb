#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# call.sh BUILD_DIR CROSS_BUILD_DIR SYSROOT ROOT - calls between this machine and an emulated 64-bit ARM one
#
# BUILD_DIR is a build for this machine; CROSS_BUILD_DIR and SYSROOT are what aarch64.sh makes. ROOT is made if it is not
# there: a minimal Debian for arm64 with an SSH server, 300 MB. Needs root, debootstrap, qemu-user-static, Linux 6.7 and, the
# first time, the network.
set -euo pipefail

build=$1 cross=$2 sysroot=$3 root=$4
suite=bookworm mirror=${MIRROR:-http://deb.debian.org/debian}
here=$(dirname -- "$(realpath -- "$0")")
# What ours need, and what the tests use there.
packages=iproute2,libinih1,libjson-c5,libpam-modules,libpam-runtime,libseccomp2,libsystemd0,openssh-client,openssh-server,passwd,procps

# In two steps: the second runs programs of the new system. In a folder beside it, which gets the name when it is whole.
make_root() {
        local new=$root.new

        echo "== debootstrap (once; $root)"
        rm -rf -- "$new"
        debootstrap --foreign --variant=minbase --arch=arm64 --include="$packages" "$suite" "$new" "$mirror" >"$new.log"
        # It makes no device nodes where it may not; they have been made by the first step.
        container=lxc "$here/emulate" chroot "$new" /debootstrap/debootstrap --second-stage >>"$new.log" || {
                tail -n 20 "$new.log" "$new/debootstrap/debootstrap.log" >&2
                exit 1
        }
        rm -rf -- "$new"/var/cache/apt/archives/*.deb "$new"/etc/ssh/ssh_host_* "$root"
        mv -- "$new" "$root"
}

[ -x "$root/usr/sbin/sshd" ] || make_root

installed=$(realpath -- "$cross")/installed
rm -rf -- "$installed"
DESTDIR=$installed meson install -C "$cross" --no-rebuild --quiet
aarch64-linux-gnu-gcc --sysroot="$sysroot" -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -shared -fPIC \
        -o "$installed/usr/lib/qair-emulated.so" "$here/emulated.c"
echo /usr/lib/qair-emulated.so >"$installed/etc/ld.so.preload"

QAIR_OVERLAY=,userxattr QAIR_FOREIGN_ROOT=$(realpath -- "$root") QAIR_FOREIGN_INSTALLED=$installed exec \
        "$here/emulate" "$here/../world/enter" --keep "$root" "$build" \
        /usr/bin/python3 -m pytest -q -p no:cacheprovider "$here/test_calls.py"
