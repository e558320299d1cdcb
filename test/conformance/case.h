/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One case of policy-cases.json (policy specification, appendix A): its files, in a directory of its own, and its
 * domains.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "policy-tools/system.h"
#include "policy/evaluate.h"
#include "policy/policy.h"
#include "policy/question.h"

struct json_object;

typedef struct Case {
        const char *id;
        struct json_object *object;
        char root[PATH_MAX]; /* with the three directories in it */
        char etc[PATH_MAX + 16], run[PATH_MAX + 16], legacy[PATH_MAX + 16];
        unsigned n_failed;
        PolicySystem *system;
        PolicyFacts *facts; /* of the system */
        Policy *policy;
        PolicyRequest request;
} Case;

/** die() - for what is wrong with the machine or the table, not with the engine: ends the program */
void die(const char *what) __attribute__((__noreturn__));

/** case_fail() - say what is wrong with a case, and remember it */
void case_fail(Case *c, const char *format, ...) _printf_(2, 3);

/** case_same() - fail unless both texts are the same */
void case_same(Case *c, const char *what, const char *got, const char *want);

/** member() - of an object that may be NULL; NULL: there is none, or it is null */
struct json_object *member(struct json_object *object, const char *name);

/** text() - the same, as text */
const char *text(struct json_object *object, const char *name);

/** expand() - a copy with {etc}, {run} and {legacy} filled in; the caller frees it */
char *expand(const Case *c, const char *string);

/** is_ascii() - characters beyond ASCII may be quoted in more than one way (appendix A.2) */
bool is_ascii(const char *string);

/** case_make_files() - make the directories, files and links of a case */
void case_make_files(Case *c);

/** case_check_wire() - the whole request handler, with an agent that says what the case says */
void case_check_wire(Case *c, struct json_object *inventories);

/** case_remove_files() - and everything that was made beside them */
void case_remove_files(const Case *c);

/** case_inventory() - of a case: `inventory` is the name of one of @inventories, or one itself. Return: NULL: there is none */
struct json_object *case_inventory(struct json_object *object, struct json_object *inventories);

/** case_make_facts() - the domains of a case. Return: can there be such domains? */
bool case_make_facts(Case *c, struct json_object *inventories);

/** fact_information() - an inventory, patched, as system information; the caller puts it */
struct json_object *fact_information(struct json_object *inventory, struct json_object *patches);

/** case_write_information() - that of the case, in a file of its directory; @path is where */
void case_write_information(const Case *c, struct json_object *inventories, char path[static PATH_MAX + 16]);

/** case_load() - load the policy. Return: 0 or POLICY_E_… */
int case_load(Case *c, Diagnostics *reterr);

/** case_request() - what is asked */
PolicyRequest case_request(struct json_object *object);

/** case_assume_yes() - take the requested target for the answer (5.11); NULL: there is no question */
void case_assume_yes(PolicyQuestion *question, PolicyResolution *resolution);
