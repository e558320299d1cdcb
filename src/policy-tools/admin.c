/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "policy/lexer.h"
#include "policy/path.h"
#include "policy/quote.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/** Characters of a policy file's name that loading refuses (1.2). */
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

#define TOKEN_PREFIX "sha256:"
#define SUFFIX       ".policy"
#define INCLUDE      "include"

static const char class_protocol[] = "PolicyAdminProtocolException";
static const char class_token[] = "PolicyAdminTokenException";
static const char class_not_found[] = "PolicyAdminFileNotFoundException";
static const char class_syntax[] = "PolicyAdminSyntaxException";
static const char class_file_name[] = "PolicyAdminInvalidFileNameException";
static const char class_file_path[] = "PolicyAdminInvalidFilePathException";

static const char *const classes[] = { "PolicyAdminException", class_protocol,  class_token,    class_not_found,
                                       class_syntax,           class_file_name, class_file_path };

const char *policy_admin_class(PolicySlice name) {
        for (size_t i = 0; i < ARRAY_SIZE(classes); ++i)
                if (policy_slice_equal(name, policy_slice(classes[i])))
                        return classes[i];
        return NULL;
}

typedef struct Admin {
        const PolicyAdminRequest *request;
        PolicyAdminReply reply;
        FILE *output;
        char *directory; /* real path of DIR */
        char *folder;    /* DIR or DIR/include, which the service is about */
        bool is_include;
        int lock_fd;
        char *path; /* of the file, links resolved */
        char *data; /* its content; NULL: there is no such file */
        size_t n_data;
} Admin;

void policy_admin_reply_deinit(PolicyAdminReply *reply) {
        free(reply->output);
        free(reply->message);
        *reply = (PolicyAdminReply){};
}

static void admin_deinit(Admin *admin) {
        if (admin->output)
                fclose(admin->output);
        policy_admin_reply_deinit(&admin->reply);
        free(admin->directory);
        free(admin->folder);
        free(admin->path);
        free(admin->data);
        fd_close(admin->lock_fd);
}

/* Return: POLICY_ADMIN_E_REFUSED, or POLICY_ADMIN_E_INTERNAL without a class; or a negative error */
static int admin_fail(Admin *admin, const char *error_class, const char *format, ...) _printf_(3, 4);
static int admin_fail(Admin *admin, const char *error_class, const char *format, ...) {
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&admin->reply.message, format, arguments);
        va_end(arguments);
        if (r < 0) {
                admin->reply.message = NULL;
                return error_origin(-ENOMEM);
        }
        admin->reply.error_class = error_class;
        return error_class ? POLICY_ADMIN_E_REFUSED : POLICY_ADMIN_E_INTERNAL;
}

static bool slice_consists_of(PolicySlice slice, const char *characters) {
        for (size_t i = 0; i < slice.n; ++i)
                if (slice.text[i] == '\0' || !strchr(characters, slice.text[i]))
                        return false;
        return true;
}

/*
 * Files and tokens
 */

static int admin_join(const char *directory, const char *name, const char *suffix, char **ret_path) {
        char *path = NULL;

        if (asprintf(&path, "%s/%s%s", directory, name, suffix) < 0)
                return error_origin(-ENOMEM);
        *ret_path = path;
        return 0;
}

static int admin_read(Admin *admin) {
        int r;

        if (!policy_path_is_file(admin->path))
                return 0;
        r = file_read(AT_FDCWD, admin->path, POLICY_FILE_SIZE_MAX, &admin->data, &admin->n_data);
        if (r > 0)
                return admin_fail(admin, NULL, "%s: %s", admin->path, file_error_text(r));
        return error_trace(r);
}

/* Name to path, and the file's content if there is one (8.2). */
static int admin_open(Admin *admin) {
        PolicySlice name = admin->request->argument;
        _cleanup_free_ char *text = strndup(name.text, name.n), *path = NULL;
        const char *slash;
        int r;

        if (!text)
                return error_origin(-ENOMEM);
        if (name.n == 0 || !slice_consists_of(name, LETTERS "_-"))
                return admin_fail(admin, class_file_name,
                                  "Invalid policy file name: %s\nNames must contain only alphanumeric characters, "
                                  "underscore and hyphen.",
                                  text);
        r = admin_join(admin->folder, text, admin->is_include ? "" : SUFFIX, &path);
        if (r < 0)
                return r;
        r = policy_path_resolve(NULL, policy_slice(path), &admin->path);
        if (r < 0)
                return error_trace(r);
        slash = r == 0 ? strrchr(admin->path, '/') : NULL;
        if (!slash || strncmp(admin->path, admin->folder, (size_t)(slash - admin->path)) != 0 ||
            admin->folder[slash - admin->path] != '\0')
                return admin_fail(admin, class_file_path, "Expecting a path inside %s", admin->folder);
        return admin_read(admin);
}

static int admin_check_token(Admin *admin, PolicySlice token) {
        char text[SHA256_TEXT_SIZE];

        if (policy_slice_equal(token, POLICY_SLICE("any")))
                return 0;
        if (policy_slice_equal(token, POLICY_SLICE("new")))
                return admin->data ? admin_fail(admin, class_token, "File exists but token is 'new'") : 0;
        if (!policy_slice_begins(token, POLICY_SLICE(TOKEN_PREFIX)))
                return admin_fail(admin, class_protocol, "Unrecognized token");
        if (!admin->data)
                return admin_fail(admin, class_token, "File doesn't exist, but token isn't 'new'");
        sha256_text(admin->data, admin->n_data, text);
        if (!policy_slice_equal(policy_slice_skip(token, strlen(TOKEN_PREFIX)), policy_slice(text)))
                return admin_fail(admin, class_token, "Token mismatch");
        return 0;
}

/* Would the policy load after the change? (8.5) */
static int admin_validate(Admin *admin, PolicySlice text, bool removes) {
        const PolicyChange change = { .path = admin->path, .text = text, .removes = removes };
        const char *directory = admin->directory;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        _cleanup_free_ char *first = NULL;
        int r;

        r = policy_load(&(PolicySources){ .directories = &directory,
                                          .n_directories = 1,
                                          .legacy = admin->request->legacy,
                                          .change = &change },
                        &diagnostics, &policy);
        if (r <= 0)
                return error_trace(r);
        first = diagnostic_format(&diagnostics.entries[0]);
        if (!first)
                return error_origin(-ENOMEM);
        if (r == POLICY_E_SYNTAX)
                return admin_fail(admin, class_syntax, "Policy change validation failed: %s", first);
        return admin_fail(admin, NULL, "%s", first);
}

/* The folder is not ours to write unless an administrator has given it to our group. */
static int admin_fail_folder(Admin *admin, const char *path, const char *error) {
        return admin_fail(admin, NULL, "%s: %s: see qubes-policy-admin(8) for how to permit changes", path, error);
}

static int admin_folder(Admin *admin, int *ret_fd, struct stat *ret_st) {
        _cleanup_fd_ int fd = open(admin->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return admin_fail(admin, NULL, "%s: %s", admin->folder, strerror(errno));
        if (fstat(fd, ret_st) < 0)
                return error_origin(-errno);
        *ret_fd = fd_steal(&fd);
        return 0;
}

static int admin_write(Admin *admin, PolicySlice text) {
        const char *name = strrchr(admin->path, '/') + 1;
        _cleanup_fd_ int fd = -1;
        struct stat st;
        bool is_given;
        int r;

        r = admin_folder(admin, &fd, &st);
        if (r)
                return r;
        is_given = st.st_mode & S_IWGRP;
        r = file_replace(fd, name, text.text, text.n, is_given ? POLICY_ADMIN_MODE_GROUP : POLICY_ADMIN_MODE, false);
        if (r == FILE_E_ACCESS)
                return admin_fail_folder(admin, admin->folder, file_error_text(r));
        if (r > 0)
                return admin_fail(admin, NULL, "%s: %s", admin->path, file_error_text(r));
        if (r < 0)
                return error_trace(r);
        /* Without the right to it the file stays the caller's. */
        if (is_given && fchownat(fd, name, 0, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EPERM)
                return error_origin(-errno);
        return 0;
}

/*
 * Services
 */

static int admin_list(Admin *admin) {
        const size_t n_suffix = admin->is_include ? 0 : strlen(SUFFIX);
        _cleanup_(policy_names_deinit) PolicyNames names = {};
        int r;

        r = policy_names_list_all(admin->folder, &names);
        if (r < 0)
                return admin_fail(admin, NULL, "%s: %s", admin->folder, strerror(-r));
        for (size_t i = 0; i < names.n; ++i) {
                size_t n = strlen(names.names[i]);

                if (n >= n_suffix && strcmp(names.names[i] + n - n_suffix, admin->is_include ? "" : SUFFIX) == 0)
                        fprintf(admin->output, "%.*s\n", (int)(n - n_suffix), names.names[i]);
        }
        return 0;
}

static int admin_get(Admin *admin) {
        char token[SHA256_TEXT_SIZE];
        int r;

        r = admin_open(admin);
        if (r)
                return r;
        if (!admin->data)
                return admin_fail(admin, class_not_found, "Not found: %s", admin->path);
        sha256_text(admin->data, admin->n_data, token);
        fprintf(admin->output, TOKEN_PREFIX "%s\n", token);
        fwrite(admin->data, 1, admin->n_data, admin->output);
        return 0;
}

static int admin_replace(Admin *admin) {
        PolicySlice payload = admin->request->payload, token = payload, text;
        const char *newline;
        int r;

        r = admin_open(admin);
        if (r)
                return r;
        newline = payload.n > 0 ? memchr(payload.text, '\n', payload.n) : NULL;
        if (!newline)
                return admin_fail(admin, class_protocol, "Payload needs to include first line with token");
        token.n = (size_t)(newline - payload.text);
        text = policy_slice_skip(payload, token.n + 1);
        r = admin_check_token(admin, token);
        if (r)
                return r;
        /* Such a file would make the whole policy unusable (1.2). */
        if (!admin->is_include && strpbrk(strrchr(admin->path, '/'), CAPITALS))
                return admin_fail(admin, class_file_name,
                                  "Invalid policy file name: %.*s\nCapital letters are not "
                                  "allowed in names of policy files.",
                                  (int)admin->request->argument.n, admin->request->argument.text);
        if (policy_utf8_check(text) > 0)
                return admin_fail(admin, NULL, "the content is not valid UTF-8");
        r = admin_validate(admin, text, false);
        return r ?: admin_write(admin, text);
}

static int admin_remove(Admin *admin) {
        int r;

        r = admin_open(admin);
        r = r ?: admin_check_token(admin, admin->request->payload);
        if (r)
                return r;
        if (!admin->data)
                return admin_fail(admin, class_not_found, "Not found: %s", admin->path);
        r = admin_validate(admin, (PolicySlice){}, true);
        if (r)
                return r;
        if (unlink(admin->path) == 0)
                return 0;
        if (errno == EACCES || errno == EPERM)
                return admin_fail_folder(admin, admin->folder, strerror(errno));
        return admin_fail(admin, NULL, "%s: %s", admin->path, strerror(errno));
}

/* The name that Get takes for a file, or its whole path if it is elsewhere. */
static void admin_write_file_name(Admin *admin, const char *path) {
        size_t n = strlen(admin->directory);
        const char *name = strrchr(path, '/'), *dot;

        if (strncmp(path, admin->directory, n) != 0 || path[n] != '/' || !name) {
                fprintf(admin->output, "%s\n", path);
                return;
        }
        ++name;
        dot = strrchr(name, '.');
        fprintf(admin->output, "%.*s\n", (int)(dot && dot > name ? (size_t)(dot - name) : strlen(name)), name);
}

/* Was the rule's file already named for an earlier rule? Files are visited in runs, but may be included twice. */
static bool admin_is_repeated(const Policy *policy, const PolicyRule *rule, PolicySlice service) {
        for (const PolicyRule *before = policy->rules; before < rule; ++before)
                if (before->path == rule->path &&
                    (!before->service || policy_slice_equal(policy_atom_slice(before->service), service)))
                        return true;
        return false;
}

/* The characters of @text that no service has, as 2.7 lists them. */
static int admin_check_service(Admin *admin, PolicySlice service) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_atoms_deinit) PolicyAtoms atoms = POLICY_ATOMS_INIT;
        PolicyContext context = { .atoms = &atoms, .reterr = &diagnostics };
        PolicySubject subject;
        int r;

        if (service.n == 0)
                return admin_fail(admin, class_protocol, "Service cannot be empty.");
        r = policy_atoms_intern(&atoms, (PolicySlice){}, &context.path);
        r = r ?: policy_subject_parse(&context, service, POLICY_SLICE("*"), &subject);
        if (r == POLICY_RULE_E_SYNTAX) {
                diagnostics.entries[0].text[0] = 'S'; /* "service …": here it begins a sentence */
                return admin_fail(admin, class_protocol, "%s", diagnostics.entries[0].text);
        }
        return error_trace(r);
}

static int admin_get_files(Admin *admin) {
        PolicySlice service = admin->request->argument;
        const char *directory = admin->directory;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        int r;

        r = admin_check_service(admin, service);
        if (r)
                return r;
        r = policy_load(
                &(PolicySources){ .directories = &directory, .n_directories = 1, .legacy = admin->request->legacy },
                &diagnostics, &policy);
        if (r > 0)
                return admin_fail(admin, NULL, "%s:%u: %s", diagnostics.entries[0].path, diagnostics.entries[0].line,
                                  diagnostics.entries[0].text);
        if (r < 0)
                return error_trace(r);
        for (size_t i = 0; i < policy->n_rules; ++i) {
                const PolicyRule *rule = &policy->rules[i];

                if ((!rule->service || policy_slice_equal(policy_atom_slice(rule->service), service)) &&
                    !admin_is_repeated(policy, rule, service))
                        admin_write_file_name(admin, rule->path->text);
        }
        return 0;
}

typedef struct AdminService {
        const char *name;
        int (*run)(Admin *admin);
        bool is_include, takes_argument, takes_payload;
} AdminService;

/* clang-format off */
static const AdminService services[] = {
        { "policy.List",            admin_list,      false, false, false },
        { "policy.include.List",    admin_list,      true,  false, false },
        { "policy.Get",             admin_get,       false, true,  false },
        { "policy.include.Get",     admin_get,       true,  true,  false },
        { "policy.Replace",         admin_replace,   false, true,  true  },
        { "policy.include.Replace", admin_replace,   true,  true,  true  },
        { "policy.Remove",          admin_remove,    false, true,  true  },
        { "policy.include.Remove",  admin_remove,    true,  true,  true  },
        { "policy.GetFiles",        admin_get_files, false, true,  false },
};
/* clang-format on */

static const AdminService *admin_find(PolicySlice name) {
        for (size_t i = 0; i < ARRAY_SIZE(services); ++i)
                if (policy_slice_equal(name, policy_slice(services[i].name)))
                        return &services[i];
        return NULL;
}

/* The directory's real path, and a lock on it until we are done. */
static int admin_lock(Admin *admin) {
        int r;

        r = policy_path_resolve(NULL, policy_slice(admin->request->directory), &admin->directory);
        if (r)
                return r < 0 ? error_trace(r) : admin_fail(admin, NULL, "%s: a bad path", admin->request->directory);
        admin->lock_fd = open(admin->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (admin->lock_fd < 0)
                return admin_fail(admin, NULL, "%s: %s", admin->directory, strerror(errno));
        while (flock(admin->lock_fd, LOCK_EX) < 0)
                if (errno != EINTR)
                        return admin_fail(admin, NULL, "%s: %s", admin->directory, strerror(errno));
        return 0;
}

static int admin_run(Admin *admin) {
        const PolicyAdminRequest *request = admin->request;
        const AdminService *service;
        int r;

        if (!slice_consists_of(request->argument, LETTERS "-._+"))
                return admin_fail(
                        admin, class_protocol,
                        "Invalid argument: \"%.*s\"\nValid characters are letters, numbers, dot, plus, hyphen "
                        "and underline",
                        (int)request->argument.n, request->argument.text);
        service = admin_find(request->service);
        if (!service)
                return admin_fail(admin, class_protocol, "unrecognized method: %.*s", (int)request->service.n,
                                  request->service.text);
        if (request->argument.n > 0 && !service->takes_argument)
                return admin_fail(admin, class_protocol, "Unexpected argument");
        if (request->payload.n > 0 && !service->takes_payload)
                return admin_fail(admin, class_protocol, "Unexpected payload");
        r = admin_lock(admin);
        if (r)
                return r;
        admin->is_include = service->is_include;
        if (service->is_include)
                r = admin_join(admin->directory, INCLUDE, "", &admin->folder);
        else if (!(admin->folder = strdup(admin->directory)))
                r = error_origin(-ENOMEM);
        return r ?: service->run(admin);
}

int policy_admin(const PolicyAdminRequest *request, PolicyAdminReply *ret_reply) {
        _cleanup_(admin_deinit) Admin admin = { .request = request, .lock_fd = -1 };
        int r, failed;

        admin.output = open_memstream(&admin.reply.output, &admin.reply.n_output);
        if (!admin.output)
                return error_origin(-ENOMEM);
        r = admin_run(&admin);
        failed = text_close(steal_ptr(&admin.output), &admin.reply.output);
        if (r < 0 || failed)
                return r < 0 ? r : failed;
        *ret_reply = admin.reply;
        admin.reply = (PolicyAdminReply){};
        return r;
}
