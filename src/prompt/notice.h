/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifications (policy specification, 7.4): the JSON of policy.Notify, what a person reads of it, and the desktop's
 * notification service (org.freedesktop.Notifications) on the session bus, which may be there or not.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"

typedef enum NoticeResolution {
        NOTICE_RESOLUTION_ALLOW,
        NOTICE_RESOLUTION_DENY,
        NOTICE_RESOLUTION_FAIL,
        _NOTICE_RESOLUTION_N,
} NoticeResolution;

typedef struct Notice {
        NoticeResolution resolution;
        char *service, *argument; /* with its `+` */
        char *source, *target;
        uint32_t count; /* how many such there were (ours) */
} Notice;

enum {
        _NOTICE_E_SUCCESS,
        NOTICE_E_MALFORMED,
};

/** notice_decode() - @ret_notice is the caller's. Return: 0, NOTICE_E_MALFORMED, or a negative error */
int notice_decode(const char *untrusted_text, size_t n, Notice **ret_notice);

/** notice_free() - accepts NULL. Return: NULL */
Notice *notice_free(Notice *notice);
DEFINE_CLEANUP(Notice *, notice_free)

/**
 * notice_format() - the words
 * @ret_summary: plain text
 * @ret_body:    markup, in which the texts are escaped
 * @ret_icon:    a name, "" for none; never freed
 *
 * The caller frees both texts. Return: 0 or a negative error.
 */
int notice_format(const Notice *notice, char **ret_summary, char **ret_body, const char **ret_icon);

typedef struct Notifier Notifier;

/** notifier_new() - connects when it is needed first. Return: 0 or a negative error */
int notifier_new(sd_event *event, Notifier **ret_notifier);
/** notifier_free() - accepts NULL. Return: NULL */
Notifier *notifier_free(Notifier *notifier);

/** notifier_show() - without waiting; where it cannot be shown, the log says so. Return: 0 or a negative error */
int notifier_show(Notifier *notifier, const Notice *notice);
