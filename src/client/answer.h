/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the broker answers to one who asked for a call: a few bytes, and a descriptor on them. It may come in pieces.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** The longest answer: header and exec_params on a daemon socket. */
#define ANSWER_SIZE_MAX 16

enum {
        _ANSWER_E_SUCCESS,
        ANSWER_E_END,    /* the broker closed the connection */
        ANSWER_E_BROKEN, /* more descriptors than one, or on the wrong bytes */
};

typedef struct Answer {
        uint8_t data[ANSWER_SIZE_MAX];
        size_t n;
        int fd; /* the stream; -1: has not come */
} Answer;

#define ANSWER_INIT ((Answer){ .fd = -1 })

/** answer_deinit() - close the descriptor, if it has not been taken */
void answer_deinit(Answer *answer);

/**
 * answer_receive() - wait, without limit, for at least one byte more
 * @n_max: how many bytes the answer may have in all, more than it has, at most ANSWER_SIZE_MAX
 *
 * Return: 0, ANSWER_E_…, or a negative error.
 */
int answer_receive(Answer *answer, int socket_fd, size_t n_max);
