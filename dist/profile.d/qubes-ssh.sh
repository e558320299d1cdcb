# SPDX-License-Identifier: Apache-2.0
# Programs of this login find the keys of another domain (split-ssh(1)): the default agent, if one is named, else the
# forwarder's socket, if it listens. A program that was started by something else asks the environment for itself.
for _split_ssh in "${XDG_CONFIG_HOME:-$HOME/.config}/qubes/split-ssh-default-agent" /rw/config/split-ssh-default-agent; do
        if [ -s "$_split_ssh" ]; then
                QUBES_SSH_AGENT=$(cat "$_split_ssh")
                SSH_AUTH_SOCK=$HOME/.split-ssh/$QUBES_SSH_AGENT.sock
                export QUBES_SSH_AGENT SSH_AUTH_SOCK
                break
        fi
done
if [ ! -S "${SSH_AUTH_SOCK-}" ]; then
        _split_ssh=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/ssh/S.ssh-agent
        if [ -S "$_split_ssh" ]; then
                SSH_AUTH_SOCK=$_split_ssh
                export SSH_AUTH_SOCK
        fi
fi
unset _split_ssh
