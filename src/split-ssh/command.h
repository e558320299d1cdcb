/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of `split-ssh`: results on standard output, complaints on standard error. */
#pragma once

#include <stdio.h>

/** What is wrong with the command line, or anything else that stops us (split-ssh specification, 3.4). */
#define COMMAND_STATUS_FAILED 1

/** Words behind the command's name. Return: the exit status, or a negative error */
typedef int (*CommandRun)(int argc, char **argv);

/** command_usage() - to @stream */
void command_usage(FILE *stream);

/** command_start() - run an agent in the background; argv[0] is its name */
int command_start(int argc, char **argv);

/** command_list(), command_add(), command_reload() - the official ones; argv[0] is the agent */
int command_list(int argc, char **argv);
int command_add(int argc, char **argv);
int command_reload(int argc, char **argv);

/** command_forward() - serve a socket here */
int command_forward(int argc, char **argv);

/** command_grants() - what a person allowed for a while; no words */
int command_grants(int argc, char **argv);
/** command_revoke() - take it back; argv[0], if there: only what this source was allowed */
int command_revoke(int argc, char **argv);

/** command_policy() - what the filter would go by; argv: source, agent */
int command_policy(int argc, char **argv);
/** command_log() - what the filter has logged; argv: words for journalctl */
int command_log(int argc, char **argv);
