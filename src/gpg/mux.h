/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The multiplexer: several descriptors here, one stream to the other side (split-gpg specification, 6.5). Both sides run
 * it, the client with its own descriptors, the server with GnuPG's pipes.
 *
 *   sources  ──read──▶ frames ──▶ stream      as much as a buffer holds; more is read when it has been sent
 *   sinks    ◀─write── frames ◀── stream      one frame's data at a time; more is read when it has been taken
 *
 * The two directions share nothing, so neither waits for the other. Within one, a sink that takes nothing holds up the
 * others: the protocol has no way around that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "gpg/command.h"

typedef struct GpgMux GpgMux;

enum {
        _GPG_MUX_E_SUCCESS,
        GPG_MUX_E_HANGUP,    /* the other side closed the stream, between frames */
        GPG_MUX_E_PROTOCOL,  /* it sent what no honest one does */
        GPG_MUX_E_TRUNCATED, /* it closed the stream in the middle of a frame */
        GPG_MUX_E_SOURCE,    /* a source cannot be read: what was read of it is not all */
};

/**
 * gpg_mux_new() - a multiplexer over a stream
 * @in_fd, @out_fd: of the stream; the caller's, O_NONBLOCK
 * @sources:        are read and sent, the caller's until their end, then closed
 * @sinks:          are written, likewise
 *
 * Sinks may be blocking: they are written only when and what they take at once, as far as the kernel tells.
 *
 * Return: 0 or a negative error.
 */
int gpg_mux_new(int in_fd, int out_fd, const GpgFds *sources, const GpgFds *sinks, GpgMux **ret_mux);

/** gpg_mux_free() - closes nothing. Accepts NULL. Return: NULL */
GpgMux *gpg_mux_free(GpgMux *mux);
DEFINE_CLEANUP(GpgMux *, gpg_mux_free)

/**
 * gpg_mux_run_client() - until the other side says that GnuPG has ended, and how
 *
 * Return: 0, one of GPG_MUX_E_…, or a negative error.
 */
int gpg_mux_run_client(GpgMux *mux, uint8_t *ret_status);

/**
 * gpg_mux_run_server() - until all sources have ended and a process has, too; its status is not sent yet
 * @pidfd: of the process, which is the caller's to reap
 *
 * Return: as gpg_mux_run_client(), without GPG_MUX_E_SOURCE.
 */
int gpg_mux_run_server(GpgMux *mux, int pidfd);

/** gpg_mux_send_exit() - the last frame, waiting for room. Return: 0 or GPG_MUX_E_HANGUP */
int gpg_mux_send_exit(GpgMux *mux, uint8_t status);
