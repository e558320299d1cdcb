/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent that starts nothing itself: the domain is behind vchan, and qrexec-daemon(8), which has its control connection,
 * gave us our place at the broker (doc/architecture.md, "Domains over vchan and vsock"). The program of every call is then
 * qrexec-client, which has the daemon start the service over there, and carries its data. What exists there, and as whom it
 * runs, the agent over there decides.
 */
#pragma once

#include <stdint.h>

/** Words of the program, with the NULL at their end. */
#define GUEST_WORDS_MAX 10

/** How long the domain may take to dial back: as long as a caller waits for its callee (protocol specification, 1.5). */
#define GUEST_WAIT_SEC 120

typedef struct Guest {
        const char *client;    /* path of qrexec-client */
        const char *directory; /* where the daemon's socket is */
        uint32_t domain;       /* the domain's id */
} Guest;

typedef struct GuestCommand {
        const char *argv[GUEST_WORDS_MAX];
        char *directory; /* owned */
        char domain[16];
} GuestCommand;

/**
 * guest_command_init() - what to run for a call
 * @text: the command, with its user; borrowed
 * @ret_command: the caller calls guest_command_deinit(), whatever is returned
 *
 * Return: 0 or a negative error.
 */
int guest_command_init(const Guest *guest, const char *text, GuestCommand *ret_command);

/** guest_command_deinit() - harmless on an all-zero one */
void guest_command_deinit(GuestCommand *command);
