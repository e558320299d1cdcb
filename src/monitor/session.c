/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/session.h"

#include <errno.h>
#include <grp.h>
#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/log.h"

#define SESSION_SERVICE "qrexec"

struct Session {
        const char *domain, *account;
        pam_handle_t *pam;
        bool has_credentials, is_open;
};

static int session_converse(int n, const struct pam_message **messages, struct pam_response **ret_responses,
                            void *userdata) {
        struct pam_response *responses = calloc((size_t)n, sizeof(*responses));

        if (!responses)
                return PAM_BUF_ERR;
        for (int i = 0; i < n; ++i) {
                const char *text = messages[i]->msg ?: "";

                switch (messages[i]->msg_style) {
                case PAM_PROMPT_ECHO_OFF:
                case PAM_PROMPT_ECHO_ON:
                        /* Nobody is here to be asked (protocol specification, 6.9). */
                        responses[i].resp = strdup("");
                        break;
                case PAM_ERROR_MSG:
                        log_warning("PAM: %s", ESCAPED(text, strlen(text)));
                        break;
                default:
                        log_debug("PAM: %s", ESCAPED(text, strlen(text)));
                }
        }
        *ret_responses = responses;
        return PAM_SUCCESS;
}

static int session_complain(const Session *session, const char *what, int code) {
        log_error("domain %s: %s failed for account %s: %s (PAM service \"" SESSION_SERVICE
                  "\": is /etc/pam.d/" SESSION_SERVICE " there?)",
                  session->domain, what, session->account, pam_strerror(session->pam, code));
        return -EACCES;
}

int session_begin(const char *domain, const char *account, gid_t gid, Session **ret_session) {
        static const struct pam_conv conversation = { .conv = session_converse };
        _cleanup_(session_closep) Session *session = NULL;
        int r;

        session = malloc(sizeof(*session));
        if (!session)
                return error_origin(-ENOMEM);
        *session = (Session){ .domain = domain, .account = account };
        r = pam_start(SESSION_SERVICE, account, &conversation, &session->pam);
        if (r != PAM_SUCCESS) {
                log_error("domain %s: PAM does not start: code %d", domain, r);
                return -EACCES;
        }
        r = pam_set_item(session->pam, PAM_RUSER, "root");
        if (r == PAM_SUCCESS)
                r = pam_authenticate(session->pam, PAM_SILENT);
        if (r != PAM_SUCCESS)
                return session_complain(session, "authentication", r);
        r = pam_acct_mgmt(session->pam, PAM_SILENT);
        if (r != PAM_SUCCESS)
                return session_complain(session, "the account check", r);
        if (initgroups(account, gid) < 0) {
                log_error("domain %s: cannot set its groups: %m", domain);
                return -errno;
        }
        *ret_session = steal_ptr(&session);
        return 0;
}

int session_open(Session *session) {
        int r;

        r = pam_setcred(session->pam, PAM_ESTABLISH_CRED | PAM_SILENT);
        if (r != PAM_SUCCESS)
                return session_complain(session, "establishing credentials", r);
        session->has_credentials = true;
        r = pam_open_session(session->pam, PAM_SILENT);
        if (r != PAM_SUCCESS)
                return session_complain(session, "opening a session", r);
        session->is_open = true;
        return 0;
}

int session_environment(Session *session, char ***ret_environment) {
        char **environment = pam_getenvlist(session->pam);

        if (!environment)
                return error_origin(-ENOMEM);
        *ret_environment = environment;
        return 0;
}

Session *session_close(Session *session) {
        int r = PAM_SUCCESS;

        if (!session)
                return NULL;
        if (session->is_open)
                r = pam_close_session(session->pam, PAM_SILENT);
        if (session->has_credentials)
                (void)pam_setcred(session->pam, PAM_DELETE_CRED | PAM_SILENT);
        if (session->pam)
                (void)pam_end(session->pam, r);
        free(session);
        return NULL;
}
