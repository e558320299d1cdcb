#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh BUILD_DIR [DEB] - calls between this machine and a virtual one (root)
#
# The guest is a Debian 12 with systemd in qemu, with a kernel of its own. Its processor is emulated, so that booting takes a
# minute or two; QAIR_GUEST_ACCELERATOR=kvm where that is to be had. Builds the Debian package unless DEB is one; test_guest.py
# installs it there and does what doc/remote.md says, on both sides. What was downloaded for it, a root file system of 450 MB,
# stays in the folder CACHE for the next time; all else is gone at the end, but for CACHE/console.log.
set -euo pipefail

CACHE=${CACHE:-/var/tmp/qair-rootfs-guest}
check=check-guest
here=$(dirname -- "$(realpath -- "$0")")
. "$here/debian.sh"

# configure ROOT: what is this guest's own
configure() {
        local root=$1

        echo b >"$root/etc/hostname"
        printf '127.0.0.1 localhost\n10.77.0.1 a\n10.77.0.2 b\n' >"$root/etc/hosts"
        printf '[Match]\nName=en*\n[Network]\nAddress=10.77.0.2/24\n' >"$root/etc/systemd/network/10-lan.network"
        administer "$root"
}

build=$1
begin "${2-}"
echo '== guest'
make_disk 1500

status=0
QAIR_GUEST=$work "$here/../world/enter" --keep "$work" "$build" \
        /usr/bin/python3 -m pytest -q -p no:cacheprovider "$here/test_guest.py" || status=$?
cp -- "$work/console.log" "$CACHE/" 2>/dev/null || true
[ "$status" -eq 0 ] || echo "check-guest: what the guest said while it ran is in $CACHE/console.log"
exit "$status"
