/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of policy-cases.json: each function runs one entry and says whether it passed.
 */
#pragma once

#include <stdbool.h>

struct json_object;

/** case_run() - an evaluation (A.1, A.2) */
bool case_run(struct json_object *object, struct json_object *inventories);

/** case_run_lint(), case_run_graph() - the checker and the graph tool (A.5) */
bool case_run_lint(struct json_object *object, struct json_object *inventories);
bool case_run_graph(struct json_object *object, struct json_object *inventories);

/** case_run_admin() - the Admin API (A.3) */
bool case_run_admin(struct json_object *object, struct json_object *inventories);

/** case_run_socket() - the daemon's sockets (A.4) */
bool case_run_socket(struct json_object *object, struct json_object *inventories);

/**
 * lines_run() - cases as JSON on standard input, one a line; for each a line with its result on standard output
 *
 * Return: an exit status.
 */
int lines_run(struct json_object *inventories);
