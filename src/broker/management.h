/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The management services of dom0, which the broker answers itself. Each prints one JSON object and a newline:
 *
 *   qair.Status[+NAME]  the broker, and the domains after NAME
 *   qair.Calls[+ID]     the calls that are open, in the order of their ids, after ID
 *   qair.Kill+ID        end a call; the answer waits for its end
 *   qair.Grants[+ID]    what people said for longer than once, after ID
 *   qair.Revoke+ID      end one; +all: end all
 *   qair.DomainStart+NAME, qair.DomainStop+NAME
 *                       start or stop a domain; the answer waits for the outcome
 *   qair.Reload         read inventory and policy again; the answer comes when what was saved before is in force
 *   qair.Timing         where the time of calls goes, by service
 *
 * An answer that has "more": true is continued by the same question with the last NAME or ID. Who may ask is the
 * policy's to say, but for root on dom0's own socket, who always may.
 */
#pragma once

#include <stdbool.h>

typedef struct Broker Broker;
typedef struct Domain Domain;
typedef struct Served Served;

/** management_is_service() - NAME or NAME+ARGUMENT: is it one of the broker's own names, known or not? */
bool management_is_service(const char *service);

/** management_serve() - answer, or wait for what must be waited for. Return: 0 or a negative error */
int management_serve(Broker *broker, const char *service, Served *served);

/** management_on_call_ended() - the call that @served wanted to end has ended. Return: 0 or a negative error */
int management_on_call_ended(Served *served, unsigned call, const char *how, int status);

/** management_on_domain() - the domain that @served waits for runs, or has halted; @problem: not as it wished. Return: 0 or a negative error */
int management_on_domain(Served *served, const Domain *domain, const char *problem);
/** management_on_reread() - what @served wanted to be in force is. Return: 0 or a negative error */
int management_on_reread(Broker *broker, Served *served);
/** management_on_reread_late() - … or not, and it has waited for long enough. Return: 0 or a negative error */
int management_on_reread_late(Served *served);

/** management_on_domain_late() - … or neither, and it has waited for long enough. Return: 0 or a negative error */
int management_on_domain_late(Served *served);
