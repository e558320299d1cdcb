/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong in a policy file, shown to the person who has to mend it: the message, the line with the word that is
 * meant, and what could stand there. The messages themselves are the specification's, to the letter; programs read those.
 *
 *   /etc/qubes/policy.d/30-user.policy:7:30: invalid action: permit
 *       qubes.GetDate  *  work vault permit
 *                                    ^~~~~~
 *       it is allow, ask or deny; parameters follow after a blank, not a comma
 */
#pragma once

#include <stdio.h>

#include "base/diagnostic.h"

/** policy_problem_hint() - what could stand there, or NULL: the message says it all */
const char *policy_problem_hint(const char *message);

/** policy_problem_write() - all of it; a file that cannot be read (any more) is not shown. Return: 0 or a negative error */
int policy_problem_write(FILE *stream, const Diagnostic *problem);

/** policy_problems_write() - all problems, and how many more there are. Return: as above */
int policy_problems_write(FILE *stream, const Diagnostics *problems);
