/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the policy engine over the cases of policy-cases.json, each of which was checked against the reference: the
 * files of a case are written to a directory of its own, loaded, and one request is evaluated with all that follows
 * from it (the three ways to ask without asking, every answer to a question, the answer on the policy socket).
 *
 * The checker is run on a text; the graph tool, the Admin API and the daemon's sockets as the programs that are
 * installed; cases about the whole request handler with an agent that says what they say. Not looked at: the levels of
 * what is logged.
 *
 * Usage: qair-policy-cases FILE [ID…]
 *        qair-policy-cases [--lines [FILE]]
 *
 * The second form compares nothing: it reads cases from standard input, a JSON object a line (A.1), and prints for each
 * what the engine says (A.2). `inventory` is one, or the name of one in FILE, by default policy-cases.json.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "case.h"
#include "parts.h"

static bool case_is_wanted(struct json_object *object, char **ids) {
        if (!*ids)
                return true;
        for (; *ids; ++ids)
                if (strcmp(text(object, "id"), *ids) == 0)
                        return true;
        return false;
}

typedef struct Part {
        const char *member;
        const char *name;
        bool (*run)(struct json_object *object, struct json_object *inventories);
} Part;

static const Part parts[] = {
        { "cases", "evaluation", case_run },       { "lint", "lint", case_run_lint },
        { "graph", "graph", case_run_graph },      { "admin", "admin", case_run_admin },
        { "sockets", "sockets", case_run_socket },
};

/* Return: have all that were wanted passed? */
static bool part_run(const Part *part, struct json_object *table, char **ids, size_t *n_run) {
        struct json_object *cases = member(table, part->member);
        size_t n = 0, n_passed = 0;

        for (size_t i = 0; cases && i < json_object_array_length(cases); ++i) {
                struct json_object *object = json_object_array_get_idx(cases, i);

                if (!case_is_wanted(object, ids))
                        continue;
                ++n;
                if (part->run(object, member(table, "inventories")))
                        ++n_passed;
        }
        printf("%s: %zu of %zu passed\n", part->name, n_passed, n);
        *n_run += n;
        return n_passed == n;
}

static int run_lines(const char *path) {
        struct json_object *table = json_object_from_file(path);
        int status;

        if (!table) {
                fprintf(stderr, "%s: %s\n", path, json_util_get_last_err());
                return 2;
        }
        status = lines_run(member(table, "inventories"));
        json_object_put(table);
        return status;
}

int main(int argc, char **argv) {
        struct json_object *table = argc > 1 && argv[1][0] != '-' ? json_object_from_file(argv[1]) : NULL;
        bool passed = true;
        size_t n = 0;

        if (argc == 1 || strcmp(argv[1], "--lines") == 0)
                return run_lines(argc > 2 ? argv[2] : QAIR_CASES);
        if (!member(table, "cases")) {
                fprintf(stderr, "usage: qair-policy-cases FILE [ID…]: %s\n", json_util_get_last_err() ?: "no cases");
                return 2;
        }
        for (size_t i = 0; i < ARRAY_SIZE(parts); ++i)
                passed = part_run(&parts[i], table, argv + 2, &n) && passed;
        json_object_put(table);
        return passed && n > 0 ? 0 : 1;
}
