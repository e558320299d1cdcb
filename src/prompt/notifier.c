/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/log.h"
#include "prompt/notice.h"

#define NOTIFIER_NAME      "org.freedesktop.Notifications"
#define NOTIFIER_PATH      "/org/freedesktop/Notifications"
#define NOTIFIER_INTERFACE NOTIFIER_NAME
/* The server's own choice of how long. */
#define NOTIFIER_EXPIRES -1

struct Notifier {
        sd_event *event;
        sd_bus *bus; /* NULL: not connected (yet, or any more) */
};

int notifier_new(sd_event *event, Notifier **ret_notifier) {
        Notifier *notifier = malloc(sizeof(*notifier));

        if (!notifier)
                return error_origin(-ENOMEM);
        *notifier = (Notifier){ .event = sd_event_ref(event) };
        *ret_notifier = notifier;
        return 0;
}

static void notifier_disconnect(Notifier *notifier) {
        if (!notifier->bus)
                return;
        sd_bus_detach_event(notifier->bus);
        notifier->bus = sd_bus_close_unref(notifier->bus);
}

Notifier *notifier_free(Notifier *notifier) {
        if (!notifier)
                return NULL;
        if (notifier->bus)
                (void)sd_bus_flush(notifier->bus);
        notifier_disconnect(notifier);
        sd_event_unref(notifier->event);
        free(notifier);
        return NULL;
}

static int notifier_connect(Notifier *notifier) {
        int r;

        if (notifier->bus && sd_bus_is_open(notifier->bus) > 0)
                return 0;
        notifier_disconnect(notifier);
        r = sd_bus_open_user(&notifier->bus);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(notifier->bus, notifier->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                notifier_disconnect(notifier);
        return r;
}

static int notifier_on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *reterr_error) {
        const sd_bus_error *error = sd_bus_message_get_error(reply);

        if (error)
                log_warning("a notification could not be shown: %s",
                            ESCAPED(error->message ?: "", strlen(error->message ?: "")));
        return 0;
}

static int notifier_send(Notifier *notifier, const char *summary, const char *body, const char *icon) {
        sd_bus_message *message = NULL;
        int r;

        r = notifier_connect(notifier);
        if (r >= 0)
                r = sd_bus_message_new_method_call(notifier->bus, &message, NOTIFIER_NAME, NOTIFIER_PATH,
                                                   NOTIFIER_INTERFACE, "Notify");
        if (r >= 0)
                r = sd_bus_message_append(message, "susssasa{sv}i", "qrexec-policy-agent", 0, icon, summary, body, 0, 1,
                                          "urgency", "y", 1, NOTIFIER_EXPIRES);
        if (r >= 0)
                r = sd_bus_call_async(notifier->bus, NULL, message, notifier_on_reply, notifier, 0);
        sd_bus_message_unref(message);
        return r;
}

int notifier_show(Notifier *notifier, const Notice *notice) {
        _cleanup_free_ char *summary = NULL, *body = NULL;
        const char *icon;
        int r;

        r = notice_format(notice, &summary, &body, &icon);
        if (r)
                return error_trace(r);
        r = notifier_send(notifier, summary, body, icon);
        if (r < 0)
                log_warning("a notification could not be shown: no session bus: %s", strerror(-r));
        return 0;
}
