/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifications (policy specification, 5.8): a call of policy.Notify in the GUI domain of the source, whose outcome
 * matters to nobody but the log.
 *
 * The first about a source goes out at once. What follows within NOTIFY_USEC is counted, and told together: a domain
 * that is refused a thousand times a second shows a person two notifications, not a thousand. A GUI domain that does
 * not run is not started for this; one where nothing could be shown is left alone for NOTIFY_RETRY_USEC.
 */
#pragma once

#include <stdint.h>

#include "base/name.h"

typedef struct Broker Broker;
typedef struct Notify Notify;

/** Between two notifications about one source. */
#define NOTIFY_USEC (UINT64_C(5) * 1000000)
/** How long a GUI domain is left alone where a notification failed. */
#define NOTIFY_RETRY_USEC (UINT64_C(60) * 1000000)
/** How long one may take. */
#define NOTIFY_CALL_USEC (UINT64_C(10) * 1000000)
/** Longest service with its argument that is told; the rest is cut. */
#define NOTIFY_SERVICE_MAX 320

typedef struct NotifyEvent {
        const char *resolution; /* "allow", "deny", "fail" */
        const char *service;    /* NAME or NAME+ARGUMENT */
        const DomainName *source;
        const char *target;
        const DomainName *guivm; /* "": there is none, and nothing is done */
} NotifyEvent;

/** notify_person() - tell the person there. Return: 0 or a negative error */
int notify_person(Broker *broker, const NotifyEvent *event);

/** notify_free_all() - at the end of the broker; nobody is told what was only counted */
void notify_free_all(Broker *broker);
