#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install-link.sh LINK TARGET - make a symbolic link, below DESTDIR if that is set
set -eu
mkdir -p "${DESTDIR-}${1%/*}"
ln -sfn "$2" "${DESTDIR-}$1"
