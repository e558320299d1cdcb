/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/requests.h"

#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

void requests_deinit(Requests *requests) {
        while (requests->first)
                requests_remove(requests, requests->first);
}

Request *requests_add(Requests *requests, const Ident *ident) {
        Request *request;

        if (requests->n >= REQUESTS_MAX)
                return NULL;
        request = calloc(1, sizeof(*request));
        if (!request)
                return NULL;
        request->ident = *ident;
        request->pidfd = -1;
        request->previous = requests->last;
        if (requests->last)
                requests->last->next = request;
        else
                requests->first = request;
        requests->last = request;
        ++requests->n;
        return request;
}

Request *requests_find(const Requests *requests, const char *ident) {
        for (Request *request = requests->first; request; request = request->next)
                if (request->state == REQUEST_STATE_UNDECIDED && strcmp(request->ident.text, ident) == 0)
                        return request;
        return NULL;
}

void requests_forget(Requests *requests) {
        for (Request *request = requests->first; request; request = request->next)
                request->state = REQUEST_STATE_FORGOTTEN;
        requests->n = 0;
}

void requests_remove(Requests *requests, Request *request) {
        if (request->previous)
                request->previous->next = request->next;
        else
                requests->first = request->next;
        if (request->next)
                request->next->previous = request->previous;
        else
                requests->last = request->previous;
        requests->n -= request->state != REQUEST_STATE_FORGOTTEN;
        fd_close(request->pidfd);
        free(request);
}
