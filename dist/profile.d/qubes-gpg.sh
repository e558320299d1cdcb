# SPDX-License-Identifier: Apache-2.0
# Which domain has the GnuPG keys, for qubes-gpg-client(1): what the file gpg-split-domain says; else what is set already;
# else what the policy says of @default. The wrapper does the same by itself.
for _qubes_gpg_file in /rw/config/gpg-split-domain "${XDG_CONFIG_HOME:-$HOME/.config}/qubes/gpg-split-domain"; do
        if [ -s "$_qubes_gpg_file" ]; then
                QUBES_GPG_DOMAIN=$(cat -- "$_qubes_gpg_file")
                break
        fi
done
unset _qubes_gpg_file
QUBES_GPG_DOMAIN=${QUBES_GPG_DOMAIN:-@default}
export QUBES_GPG_DOMAIN
