/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of both ends: a peer that says exactly what a test tells it, byte for byte, and ends run in processes
 * of their own, as they ship. Everything waits for events; a test that waits in vain is ended by its alarm.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdbool.h>
#include <cmocka.h>

#include <sys/types.h>

#include "data/callee.h"
#include "data/caller.h"

/** peer_setup() - a cmocka fixture for each test: deadline, and no SIGPIPE */
int peer_setup(void **state);

void socket_pair(int ret_fds[2]);
/** pipe_pair() - ret_fds[0] is the readable end */
void pipe_pair(int ret_fds[2]);

/** peer_try_send() - in chunks, until all is sent or the other end is gone; for senders in processes of their own */
void peer_try_send(int fd, uint32_t type, const uint8_t *data, size_t n);
void peer_send(int fd, uint32_t type, const void *data, size_t n);
void peer_hello(int fd, uint32_t version);
/** peer_expect() - the next message is exactly this one */
void peer_expect(int fd, uint32_t type, const void *data, size_t n);
void peer_expect_text(int fd, uint32_t type, const char *text);
void peer_expect_exit(int fd, int status);
/** peer_expect_closed() - nothing more comes */
void peer_expect_closed(int fd);
/** peer_receive() - the next message; its payload in @ret_data. Return: false at the end of the stream */
bool peer_receive(int fd, uint32_t *ret_type, uint8_t ret_data[static 65536], size_t *ret_n);

/** Read exactly @n bytes, fewer is a failure; and everything up to the end. */
void read_exactly(int fd, void *data, size_t n);
void expect_bytes(int fd, const char *text);
void expect_end(int fd);
void write_all(int fd, const void *data, size_t n);

/** An end, running in a process of its own. */
typedef struct Running {
        pid_t pid;
        int report_fd;
} Running;

typedef struct Report {
        int r;
        int status;
        CallHow how;
} Report;

/**
 * callee_start() - a handler with a service `sh -c SCRIPT` (socket pairs and a pipe), or none
 * @template: options besides the descriptors; in_fd may be set for a socket service, and is then closed here
 */
Running callee_start(const char *script, int stream_fd, DataCallee template);

/** bridge_start() - the same for a direct call: @status_fd, and the caller's pipes; all are closed here */
Running bridge_start(const char *script, int status_fd, int stdin_fd, int stdout_fd, DataCallee template);

/**
 * caller_start() - a caller with a local program `sh -c SCRIPT`, or with the descriptors of @template
 * @err_fd: becomes its descriptor 2; -1: the test's own. All of @template's are closed here
 */
Running caller_start(const char *script, int stream_fd, int err_fd, DataCaller template);

/** running_finish() - wait for the end of an end */
Report running_finish(Running *running);
