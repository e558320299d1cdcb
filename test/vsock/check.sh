#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh [DEB] - calls between a host and virtual machines in it, over AF_VSOCK (root)
#
#   this machine -> the host: a Debian 12 with systemd and our package, in qemu
#                -> vm42 and vm43, in the qemu of the host: a kernel, busybox, our agent
#
# The host is emulated, with the virtualization of AMD's processors: so it has KVM for its machines whatever this one is. It
# has one processor, for with two that emulation hung. Builds the Debian package unless DEB is one. What was downloaded, a
# root file system of 500 MB, stays in the folder CACHE for the next time; all else is gone at the end, but for
# CACHE/console.log and CACHE/vm.log.
set -euo pipefail

CACHE=${CACHE:-/var/tmp/qair-rootfs-vsock}
check=check-vsock
here=$(dirname -- "$(realpath -- "$0")")
. "$here/../guest/debian.sh"

packages+=,busybox-static,kmod,qemu-system-x86,socat

# configure ROOT: what is the host's own
configure() {
        local root=$1

        echo host >"$root/etc/hostname"
        printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
        printf '[Match]\nName=en*\n[Network]\nDHCP=yes\n' >"$root/etc/systemd/network/10-lan.network"
        administer "$root"

        mkdir -p "$root/var/lib/vm"
        make_vm "$root" "$root/var/lib/vm/initrd"
        ln "$root"/boot/vmlinuz-* "$root/var/lib/vm/kernel"
        install -m 0644 "$here/vm@.service" "$root/etc/systemd/system/"
        install -m 0755 "$here/at-once" "$root/"
        install -D -m 0755 -t "$root/etc/qubes-rpc" "$here"/services/*
}

# make_vm ROOT INITRD: the file system of the virtual machines, all of it in memory; its programs are those of ROOT and of
# the package
make_vm() {
        local root=$1 vm=/mnt/vm module program
        local modules=(drivers/virtio/{virtio,virtio_ring,virtio_mmio}
                net/vmw_vsock/{vsock,vmw_vsock_virtio_transport_common,vmw_vsock_virtio_transport})

        mkdir -p "$vm"/{bin,dev,etc/pam.d,etc/qubes-rpc,home/user,modules,proc,root,run/qubes,sys,tmp,usr/lib,usr/lib64,var}
        ln -s usr/lib "$vm/lib"
        ln -s usr/lib64 "$vm/lib64"
        ln -s ../run "$vm/var/run"
        chmod 1777 "$vm/tmp"
        cp "$root/bin/busybox" "$vm/bin/"
        for program in $("$vm/bin/busybox" --list); do
                [ "$program" = busybox ] || ln -s busybox "$vm/bin/$program"
        done

        # Unpacked below ROOT for a moment, where the libraries are.
        dpkg-deb -x "$work/qair.deb" "$root/package"
        for program in /usr/bin/qrexec-client-vm /usr/lib/qubes/{qrexec-agent,qrexec-agent-vchan,qrexec-session}; do
                copy_program "$root" /package "$program" "$vm"
        done
        # A program that calls through libqair: the manual's example.
        cc -static -I "$root/package/usr/include" -o "$vm/bin/call" "$root/package/usr/share/doc/qair/examples/call.c" \
                "$root"/package/usr/lib/*/libqair.a
        rm -r "$root/package"
        for program in /usr/bin/socat /usr/lib/x86_64-linux-gnu/security/pam_permit.so; do
                copy_program "$root" '' "$program" "$vm"
        done

        for module in "${modules[@]}"; do
                cp "$root"/lib/modules/*/kernel/"$module.ko" "$vm/modules/"
                echo "$(basename "$module").ko"
        done >"$vm/modules/order"
        printf 'root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n' >"$vm/etc/passwd"
        printf 'root:x:0:\nuser:x:1000:\n' >"$vm/etc/group"
        chown 1000:1000 "$vm/home/user"
        # Nobody logs in there.
        printf '%s required pam_permit.so\n' auth account session >"$vm/etc/pam.d/qrexec"
        install -m 0755 "$here/init" "$here/one-command" "$here/at-once" "$vm/"
        install -m 0755 "$here"/services/* "$vm/etc/qubes-rpc/"
        (cd "$vm" && find . | bin/busybox cpio -o -H newc 2>/dev/null) >"$2"
}

# copy_program ROOT FOLDER PATH VM: ROOT/FOLDER/PATH, with the libraries that it is linked with
copy_program() {
        local root=$1 folder=$2 path=$3 vm=$4

        install -D "$root$folder$path" "$vm$path"
        for path in $(chroot "$root" ldd "$folder$path" | grep -o '/[^ ]*'); do
                # There /lib is /usr/lib.
                path=/usr${path#/usr}
                [ -e "$vm$path" ] || install -D "$root$path" "$vm$path"
        done
}

begin "${1-}"
echo '== host and virtual machines'
export here
export -f make_vm copy_program
make_disk 2500

status=0
# In a network of its own, where the port is free; and with processes of its own, so that none is left.
QAIR_GUEST=$work unshare --net --mount --pid --fork --kill-child --mount-proc -- \
        /bin/sh -c 'ip link set lo up && exec "$@"' sh /usr/bin/python3 -m pytest -q -p no:cacheprovider \
        "$here/test_vsock.py" || status=$?
cp -- "$work/console.log" "$work/vm.log" "$CACHE/" 2>/dev/null || true
[ "$status" -eq 0 ] || echo "check-vsock: what the host and its machines said is in $CACHE/console.log and vm.log"
exit "$status"
