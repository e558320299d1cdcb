/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the broker answers to one who asked for a call: a few bytes, and descriptors on them. It may come in pieces.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/socket.h"
#include "libqair/channel.h"

/** The longest answer: header and exec_params on a daemon socket. */
#define ANSWER_SIZE_MAX 16

enum {
        _ANSWER_E_SUCCESS,
        ANSWER_E_AGAIN,  /* nothing more yet */
        ANSWER_E_END,    /* the broker closed the connection */
        ANSWER_E_RESET,  /* the same, and it had not read everything */
        ANSWER_E_BROKEN, /* more descriptors than any mode has */
};

typedef struct Answer {
        uint8_t data[ANSWER_SIZE_MAX];
        size_t n;
        int fds[SOCKET_FDS_MAX];
        size_t n_fds;
} Answer;

#define ANSWER_INIT ((Answer){ .n = 0 })

/** answer_deinit() - close the descriptors that have not been taken */
void answer_deinit(Answer *answer);

/**
 * answer_receive() - receive at least one byte more
 * @n_max: how many bytes the answer may have in all, more than it has, at most ANSWER_SIZE_MAX
 * @wait:  without limit, until there is one
 *
 * Return: 0, ANSWER_E_…, or a negative error.
 */
int answer_receive(Answer *answer, int socket_fd, size_t n_max, bool wait);

/**
 * answer_take_channel() - the descriptors as what @mode says they are
 *
 * Return: 0, or ANSWER_E_BROKEN: a mode that we do not know, or another number of descriptors than it has.
 */
int answer_take_channel(Answer *answer, uint32_t mode, Channel *ret_channel);
