#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# archive.sh OUT OBJCOPY AR INSIDE SILENT LIBRARY… -- CC… - make libqair.a
#
# One object with everything in it that the library needs of ours, whose only names are those of qair.h: a program that links
# it may well have a fd_close() of its own.
set -eu

out=$1 objcopy=$2 ar=$3 inside=$4 silent=$5
shift 5
others=
while [ "$1" != -- ]; do
        others="$others $1"
        shift
done
shift

object=${out%.a}.o
"$@" -r -nostdlib -o "$object" -Wl,--whole-archive "$inside" "$silent" -Wl,--no-whole-archive $others
"$objcopy" --localize-hidden "$object"
rm -f "$out"
"$ar" rcs "$out" "$object"
