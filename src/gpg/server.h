/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backend's end (split-gpg specification, 7): reads one request from standard input, checks it again, runs GnuPG with
 * options that take away what could do harm, and connects its descriptors to the stream.
 *
 * What the frontend sends is foreign up to the last byte: the command line is checked by the table, the rest is GnuPG's
 * input. On the first thing that no honest client sends, GnuPG is ended, and so are we.
 */
#pragma once

#include "gpg/command.h"

/** Statuses of our own; GnuPG's travels in the last frame. */
#define GPG_SERVER_FAILED 1

/**
 * gpg_server_run() - the whole of gpg-server
 * @gpg:        path of the program
 * @on_request: told of a request that was understood, before GnuPG is started; may be NULL
 *
 * Standard input and output are the stream, and are consumed. Nothing is said about a bad request: whoever made it knows,
 * and every message is something that the frontend could look at. Return: the exit status.
 */
int gpg_server_run(const char *gpg, void (*on_request)(const GpgCommand *command, void *userdata), void *userdata);
