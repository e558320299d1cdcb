/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend's end (split-gpg specification, 4): checks the command, opens its files, calls qubes.Gpg, and connects
 * the descriptors. Nobody trusts it: the server checks everything again. It does so that people see why, and that the
 * keys' domain is left alone.
 */
#pragma once

/** Statuses of our own, where GnuPG has none: also of calls that were refused (4). */
#define GPG_CLIENT_FAILED 1

/**
 * gpg_client_run() - the whole of qubes-gpg-client
 * @words: @n of them, the command line without the program's name; option lists are rewritten in place
 *
 * Descriptors 0 and those that the command names are consumed. Return: the exit status; what failed has been said.
 */
int gpg_client_run(char *const *words, int n);
