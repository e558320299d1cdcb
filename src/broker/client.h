/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a daemon socket: a program of the host (qrexec-client) calls into a domain
 * (protocol specification, 4.2). HELLO both ways, one command, one answer.
 *
 *   HELLO -- its HELLO --> COMMAND -- EXEC_CMDLINE, JUST_EXEC --> WAITING -- the answer --> freed
 *   every state -- anything else, hang-up, 10 s --> freed
 */
#pragma once

typedef struct Broker Broker;
typedef struct Domain Domain;

/**
 * client_new() - serve a connection; it frees itself
 * @target: whose socket it is
 * @payer:  whom it is charged to
 * @fd:     non-blocking; owned from here on, also on failure
 *
 * Return: 0 or a negative error.
 */
int client_new(Broker *broker, Domain *target, Domain *payer, int fd);
