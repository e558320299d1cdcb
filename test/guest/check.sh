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
MIRROR=${MIRROR:-http://deb.debian.org/debian}
here=$(dirname -- "$(realpath -- "$0")")

# What the package depends on, so that installing needs no network; a kernel without drivers for real machines; a server.
packages=adduser,dbus,iproute2,libinih1,libjson-c5,libpam-modules,libpam-runtime,libpam-systemd,libseccomp2,libsystemd0
packages+=,linux-image-cloud-amd64,openssh-client,openssh-server,passwd,procps,systemd,systemd-sysv

die() {
        printf 'check-guest: %s\n' "$1" >&2
        exit 1
}

make_root() {
        local new=$CACHE/root.new

        echo "== debootstrap (once; $CACHE/root)"
        rm -rf -- "$new"
        debootstrap --variant=minbase --include="$packages" bookworm "$new" "$MIRROR" >"$CACHE/debootstrap.log" 2>&1 ||
                die "debootstrap failed: see $CACHE/debootstrap.log"
        rm -rf -- "$new"/var/cache/apt/archives/*.deb "$CACHE/root"
        mv -- "$new" "$CACHE/root"
}

# configure ROOT: what is this guest's own
configure() {
        local root=$1 wants=$1/etc/systemd/system/multi-user.target.wants

        echo b >"$root/etc/hostname"
        printf '127.0.0.1 localhost\n10.77.0.1 a\n10.77.0.2 b\n' >"$root/etc/hosts"
        printf '[Match]\nName=en*\n[Network]\nAddress=10.77.0.2/24\n' >"$root/etc/systemd/network/10-lan.network"
        ln -sf /lib/systemd/system/systemd-networkd.service "$wants/"
        : >"$root/etc/machine-id"
        # The test is its administrator.
        ssh-keygen -q -t ed25519 -N '' -f "$work/admin"
        install -D -m 0600 "$work/admin.pub" "$root/root/.ssh/authorized_keys"
        rm -f "$root"/etc/ssh/ssh_host_*
        ssh-keygen -q -t ed25519 -N '' -f "$root/etc/ssh/ssh_host_ed25519_key"
        cp "$root/etc/ssh/ssh_host_ed25519_key.pub" "$work/host.pub"
        cat >"$root/etc/systemd/system/ready.service" <<'UNIT'
[Unit]
After=ssh.service systemd-networkd.service
[Service]
Type=oneshot
ExecStart=/lib/systemd/systemd-networkd-wait-online --timeout=60
ExecStart=/bin/echo guest is ready
StandardOutput=tty
TTYPath=/dev/ttyS0
UNIT
        ln -s ../ready.service "$wants/"
}

[ "$(id -u)" -eq 0 ] || die 'this needs root: it makes file systems and networks'
build=$1 deb=${2-}
mkdir -p "$CACHE"
CACHE=$(realpath -- "$CACHE")
# Two at once would share the log.
exec 9>"$CACHE/lock"
flock --nonblock 9 || die "another one runs with CACHE=$CACHE"
work=$(mktemp -d "$CACHE/run.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
trap 'exit 1' HUP INT TERM

if [ -z "$deb" ]; then
        echo '== package'
        deb=$(DEB_BUILD_OPTIONS=nocheck "$here/../package/build.sh" "$work/package")
fi
cp -- "$deb" "$work/qair.deb"
[ -e "$CACHE/root/boot" ] || make_root

echo '== guest'
export -f configure
export work CACHE
# In a mount namespace, on a layer over what was downloaded.
unshare --mount --propagation private /bin/bash -euc '
        mount -t tmpfs guest /mnt
        mkdir /mnt/upper /mnt/work /mnt/root
        mount -t overlay -o "lowerdir=$CACHE/root,upperdir=/mnt/upper,workdir=/mnt/work" guest /mnt/root
        configure /mnt/root
        mkfs.ext4 -q -F -d /mnt/root "$work/disk" 1500M
        cp /mnt/root/boot/vmlinuz-* "$work/kernel"
        cp /mnt/root/boot/initrd.img-* "$work/initrd"
'

status=0
QAIR_GUEST=$work "$here/../world/enter" --keep "$work" "$build" \
        /usr/bin/python3 -m pytest -q -p no:cacheprovider "$here/test_guest.py" || status=$?
cp -- "$work/console.log" "$CACHE/" 2>/dev/null || true
[ "$status" -eq 0 ] || echo "check-guest: what the guest said while it ran is in $CACHE/console.log"
exit "$status"
