#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# aarch64.sh BUILD_DIR SYSROOT - build for 64-bit ARM (a Raspberry Pi) and run the unit tests under emulation
#
# SYSROOT is made if it is not there: Debian's arm64 libraries, unpacked and nothing more; no program of theirs runs but the
# tests of ours. Needs root (debootstrap), gcc-aarch64-linux-gnu, qemu-user-static and the network, the first time.
set -euo pipefail

build=$1 sysroot=$2
suite=bookworm mirror=http://deb.debian.org/debian
here=$(dirname -- "$(realpath -- "$0")")
libraries=libc6-dev,linux-libc-dev,libgcc-12-dev,libsystemd-dev,libseccomp-dev,libinih-dev,libjson-c-dev,libpam0g-dev,libcmocka-dev

# Unpacked in a folder beside it, which gets the name when it is whole.
make_sysroot() {
        local new=$sysroot.new package

        rm -rf -- "$new"
        mkdir -p -- "$new"
        debootstrap --foreign --variant=minbase --arch=arm64 --include="$libraries" "$suite" "$new" "$mirror" >"$new.log"
        for package in "$new"/var/cache/apt/archives/*.deb; do
                dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$new"
        done
        # Links that begin at the root of a machine begin here at that of the sysroot.
        find "$new/usr/lib/aarch64-linux-gnu" -maxdepth 1 -type l -lname '/*' -printf '%p %l\n' |
                while read -r link target; do
                        ln -sfr -- "$new$target" "$link"
                done
        rm -rf -- "$new"/var/cache/apt/archives "$sysroot"
        mv -- "$new" "$sysroot"
}

[ -d "$sysroot/usr/include/json-c" ] || make_sysroot
mkdir -p -- "$build"
printf "[constants]\nsysroot = '%s'\n" "$sysroot" >"$build.ini"
[ -f "$build/build.ninja" ] ||
        meson setup "$build" --cross-file "$build.ini" --cross-file "$here/aarch64.ini" -Dman=disabled
ninja -C "$build" -j "${JOBS:-$(nproc)}" --quiet

# What user-mode emulation does not have: vfork(2) that shares memory, so that a failed exec is seen; MSG_CTRUNC; TIOCGPTPEER;
# seccomp and Landlock. On a machine of its own these have to pass too.
not_emulated=' agent/spawn base/socket base/socket-partial broker/sandbox data/end data/filter data/relay
        policy-tools/adminclient policy-tools/execute '
tests=()
for name in $(meson test -C "$build" --no-rebuild --list --suite unit --suite fuzz 2>/dev/null | sed -n 's|.* / ||p'); do
        [[ $not_emulated == *[[:space:]]$name[[:space:]]* ]] || tests+=("$name")
done
meson test -C "$build" --no-rebuild --timeout-multiplier 5 --print-errorlogs --quiet "${tests[@]}"
