/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a relay says to the host over there, as one line: pure functions over text.
 *
 *   command = [folder] "qrexec-client-vm" " --source-qube=" source [" --"] " " target " " service
 *   folder  = "/usr/bin/" | "/usr/lib/qubes/"
 *   source  = a domain's name
 *   target  = 1 to 63 of A-Z a-z 0-9 _ - . @ :, the first no minus
 *   service = NAME or NAME+ARGUMENT
 *
 * One blank between words, nothing before or behind. No byte of it means anything to a shell, so that a host over there
 * whose account has an ordinary shell, as a qube of Qubes OS has, is told the same.
 */
#pragma once

#include <stddef.h>

#include "base/name.h"

/** Longest line: the words, the names and the service at their longest. */
#define RELAY_COMMAND_MAX (64 + DOMAIN_NAME_MAX + REQUEST_NAME_MAX + SERVICE_DESCRIPTOR_MAX)

typedef struct RelayCommand {
        DomainName source;   /* whom the relay speaks for */
        RequestName target;  /* whom it wants, as it is called over there; never empty */
        const char *service; /* NAME or NAME+ARGUMENT, NUL-terminated; borrowed */
} RelayCommand;

enum {
        _RELAY_COMMAND_E_SUCCESS,
        RELAY_COMMAND_E_MALFORMED,
};

/**
 * relay_command_parse() - the grammar above, and nothing else
 * @ret_command: its service points into @untrusted_text
 *
 * Return: 0 or RELAY_COMMAND_E_MALFORMED.
 */
int relay_command_parse(const char *untrusted_text, RelayCommand *ret_command);

/** relay_command_format() - the line, without folder and "--". Return: its length, which is below RELAY_COMMAND_MAX */
size_t relay_command_format(const RelayCommand *command, char ret_text[static RELAY_COMMAND_MAX]);

/**
 * relay_argument_parse() - the argument of a transport, TARGET+SERVICE+ARGUMENT (policy specification, 5.7)
 * @ret_target:  the RemoteVM, as it is called here
 * @ret_service: points into @untrusted_text; an argument that is empty stays empty
 *
 * Return: 0 or RELAY_COMMAND_E_MALFORMED.
 */
int relay_argument_parse(const char *untrusted_text, DomainName *ret_target, const char **ret_service);
