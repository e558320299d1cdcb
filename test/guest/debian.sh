# SPDX-License-Identifier: Apache-2.0
#
# debian.sh - a Debian 12 that boots in qemu: for check.sh, here and in ../vsock
#
# To be sourced, with $check, the name of the check, and $CACHE, the folder where the system stays that was downloaded. The
# work is done in $work, which is gone at the end.

MIRROR=${MIRROR:-http://deb.debian.org/debian}
tests=$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/..

# What the package depends on, so that installing needs no network; a kernel without drivers for real machines; a server.
packages=adduser,dbus,iproute2,libinih1,libjson-c5,libpam-modules,libpam-runtime,libpam-systemd,libseccomp2,libsystemd0
packages+=,linux-image-cloud-amd64,openssh-client,openssh-server,passwd,procps,systemd,systemd-sysv

die() {
        printf '%s: %s\n' "$check" "$1" >&2
        exit 1
}

# begin [DEB]: make $work, and there qair.deb, which is built unless it is one that exists
begin() {
        local deb=${1-}

        [ "$(id -u)" -eq 0 ] || die 'this needs root: it makes file systems and networks'
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
                deb=$(DEB_BUILD_OPTIONS=nocheck "$tests/package/build.sh" "$work/package")
        fi
        cp -- "$deb" "$work/qair.deb"
        [ -e "$CACHE/root/boot" ] || make_root
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

# make_disk MIB: $work/disk, kernel and initrd, of what was downloaded and what `configure ROOT` of the caller's does to it
make_disk() {
        export -f administer configure
        export work CACHE
        # In a mount namespace, on a layer over what was downloaded.
        unshare --mount --propagation private /bin/bash -euc '
                mount -t tmpfs guest /mnt
                mkdir /mnt/upper /mnt/work /mnt/root
                mount -t overlay -o "lowerdir=$CACHE/root,upperdir=/mnt/upper,workdir=/mnt/work" guest /mnt/root
                configure /mnt/root
                mkfs.ext4 -q -F -d /mnt/root "$work/disk" "${1}M"
                cp /mnt/root/boot/vmlinuz-* "$work/kernel"
                cp /mnt/root/boot/initrd.img-* "$work/initrd"
        ' make_disk "$1"
}

# administer ROOT: the test is its administrator, with $work/admin, and is told on the console when it is ready
administer() {
        local root=$1 wants=$1/etc/systemd/system/multi-user.target.wants

        ln -sf /lib/systemd/system/systemd-networkd.service "$wants/"
        : >"$root/etc/machine-id"
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
# By way of the kernel: getty, which starts at the same time, hangs up who has opened the console.
ExecStart=/bin/sh -c 'echo "<2>guest is ready" >/dev/kmsg'
UNIT
        ln -s ../ready.service "$wants/"
}
