/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of qrexec-agent(8), which is one program to whoever starts it and two to the machine: what serves a vchan or
 * vsock link is a file of its own, so that an agent on a local link, of which there is one in each domain, does not carry it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct AgentArguments {
        const char *domain, *link; /* NULL: not said */
        const char *agent_socket;  /* NULL: not said */
        const char *fork_server;   /* a pattern; NULL: the usual one; "": none */
        uint64_t stop_sec;         /* 0: no limit */
        uint64_t guest;            /* the domain that calls are for (agent/guest.h); 0: services are here */
        bool vsock;                /* the link is one to the host of a virtual machine */
        bool shell, debug;
} AgentArguments;

/**
 * agent_arguments_parse() - parse the command line; what is wrong is said on standard error
 * @ret_arguments: points into @argv
 *
 * Return: 0, or what main() returns.
 */
int agent_arguments_parse(int argc, char **argv, AgentArguments *ret_arguments);

/**
 * agent_arguments_are_vchan() - is it the other program that is wanted?
 *
 * Upstream's agent has no words for a link of ours: where they were not used, its own decide, here or in the environment.
 */
bool agent_arguments_are_vchan(const AgentArguments *arguments);
