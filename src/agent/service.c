/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/environment.h"
#include "base/cleanup.h"
#include "base/escape.h"

/* What a broker says that does not know who lives there, and who then does (protocol specification, 7.5). */
#define SERVICE_ANY_USER     "DEFAULT"
#define SERVICE_DEFAULT_USER "user"

static void service_log_diagnostics(const Service *service, const Diagnostics *diagnostics) {
        for (size_t i = 0; i < diagnostics->n_entries; ++i) {
                _cleanup_free_ char *text = diagnostic_format(&diagnostics->entries[i]);

                SERVICE_LOG(service, "%s", text ?: diagnostics->entries[i].text);
        }
}

static int service_load_config(Service *service) {
        _cleanup_(diagnostics_deinit) Diagnostics errors = DIAGNOSTICS_INIT, notices = DIAGNOSTICS_INIT;
        int r;

        r = config_load(service->settings->config_path, &service->command, &errors, &notices, &service->config);
        service_log_diagnostics(service, &errors);
        service_log_diagnostics(service, &notices);
        return r ? SERVICE_E_FAILED : 0;
}

static int service_check_user(const Service *service) {
        const char *account = service->settings->account;
        const CommandPart *user = &service->command.user;
        CommandPart forced = {};

        if (!account)
                return 0;
        if (service->config.force_user) {
                forced = (CommandPart){ .text = service->config.force_user, .n = strlen(service->config.force_user) };
                user = &forced;
        }
        if (service->settings->session_program) {
                if (user->n > 0)
                        return 0;
                SERVICE_LOG(service, "refused: it names no user");
                return SERVICE_E_FAILED;
        }
        if (user->n == strlen(account) && memcmp(user->text, account, user->n) == 0)
                return 0;
        /* The broker of a domain that has no account of the host's: whoever we are, we are it. */
        if (user->n == strlen(SERVICE_ANY_USER) && memcmp(user->text, SERVICE_ANY_USER, user->n) == 0)
                return 0;
        SERVICE_LOG(service, "refused: it asks for user \"%s\", but this domain is the account \"%s\" and no other",
                    ESCAPED(user->text, user->n), account);
        return SERVICE_E_FAILED;
}

static int service_find(Service *service) {
        _cleanup_(diagnostics_deinit) Diagnostics errors = DIAGNOSTICS_INIT;
        int r;

        r = lookup_service(service->settings->service_path, &service->command, &errors, &service->lookup);
        service_log_diagnostics(service, &errors);
        if (r == LOOKUP_E_NOT_FOUND) {
                SERVICE_LOG(service, "there is no service \"%s\" here",
                            ESCAPED(service->command.descriptor.text, service->command.descriptor.n));
                return SERVICE_E_NOT_FOUND;
        }
        return r ? SERVICE_E_FAILED : 0;
}

static int service_check_program(const Service *service) {
        const Config *config = &service->config;
        const char *path = service->lookup.path;

        if (service->command.n_tokens != 2 && service->command.n_tokens != 4) {
                SERVICE_LOG(service, "a program is called with 2 or 4 words, not with %u", service->command.n_tokens);
                return SERVICE_E_FAILED;
        }
        if (config->skip_service_descriptor || config->exit_on_client_eof || config->exit_on_service_eof)
                SERVICE_LOG(service,
                            "%s is a program: skip-service-descriptor, exit-on-service-eof and "
                            "exit-on-client-eof are ignored",
                            ESCAPED(path, strlen(path)));
        return 0;
}

int service_resolve(const ServiceSettings *settings, uint32_t call_id, const char *text, Service *ret_service) {
        Service *service = ret_service;
        int r;

        *service = (Service){ .settings = settings, .call_id = call_id, .text = text, .config = CONFIG_INIT };
        if (command_parse(text, settings->account != NULL, &service->command)) {
                SERVICE_LOG(service, "this is no command: \"%s\"", ESCAPED(text, strlen(text)));
                return SERVICE_E_FAILED;
        }
        if (!service->command.is_service) {
                if (settings->shell)
                        return settings->guest ? 0 : service_check_user(service);
                SERVICE_LOG(service, "a shell command was refused: the inventory does not say shell=yes");
                return SERVICE_E_FAILED;
        }
        if (settings->guest)
                return 0;
        r = service_load_config(service);
        if (!r)
                r = service_find(service);
        if (!r)
                r = service_check_user(service);
        if (!r && service_is_program(service))
                r = service_check_program(service);
        return r;
}

void service_deinit(Service *service) {
        config_deinit(&service->config);
}

bool service_is_program(const Service *service) {
        return !service->command.is_service || service->lookup.kind == LOOKUP_KIND_EXECUTABLE;
}

/* Return: 0 or SERVICE_E_FAILED (logged) */
static int service_tcp_address(const Service *service, TcpAddress *ret_address) {
        const char *link = service->lookup.tcp;

        if (!tcp_address_parse(link, &service->command, ret_address))
                return 0;
        SERVICE_LOG(service, "link \"%s\" and argument make no numeric address and port (qubes-rpc(5))",
                    ESCAPED(link, strlen(link)));
        return SERVICE_E_FAILED;
}

char *service_address_text(const Service *service) {
        const char *path = service->lookup.path;
        char text[TCP_ADDRESS_TEXT_MAX];
        TcpAddress address;

        if (service->lookup.kind == LOOKUP_KIND_SOCKET ||
            tcp_address_parse(service->lookup.tcp, &service->command, &address))
                return strdup(ESCAPED(path, strlen(path)));
        return strdup(tcp_address_format(&address, text));
}

int service_address(const Service *service, DialAddress *ret_address) {
        TcpAddress address;
        int error, r;

        if (service->lookup.kind == LOOKUP_KIND_SOCKET) {
                r = dial_address_unix(service->lookup.path, &error, ret_address);
        } else {
                if (service_tcp_address(service, &address))
                        return SERVICE_E_FAILED;
                r = dial_address_tcp(&address, &error, ret_address);
        }
        if (r > 0) {
                _cleanup_free_ char *text = service_address_text(service);

                SERVICE_LOG(service, "cannot connect to %s: %s", text ?: "it", strerror(error));
        }
        return r ? SERVICE_E_FAILED : 0;
}

void service_descriptor(const Service *service, const void **ret_data, size_t *ret_n) {
        const CommandPart *metadata = &service->command.metadata;
        bool skip = service->config.skip_service_descriptor;

        /* The text has its NUL already. */
        *ret_data = skip ? NULL : metadata->text;
        *ret_n = skip ? 0 : metadata->n + 1;
}

/* What is executed for a service. */
typedef struct ServiceImage {
        const char *path;
        const char *argv[8];
        char *account; /* owned */
        GuestCommand guest;
        char *argument; /* owned */
        char **environment;
} ServiceImage;

static void service_image_deinit(ServiceImage *image) {
        free(image->argument);
        free(image->account);
        guest_command_deinit(&image->guest);
        environment_free(image->environment);
}

static char *const *service_image_argv(const ServiceImage *image) {
        return (char *const *)(image->guest.directory ? image->guest.argv : image->argv);
}

/* Whom the command, or its configuration, names (6.9). Return: the caller's to free(), or NULL */
static char *service_account(const Service *service) {
        const CommandPart *user = &service->command.user;

        if (service->config.force_user)
                return strdup(service->config.force_user);
        if (user->n == strlen(SERVICE_ANY_USER) && memcmp(user->text, SERVICE_ANY_USER, user->n) == 0)
                return strdup(SERVICE_DEFAULT_USER);
        return strndup(user->text, user->n);
}

/* Put the program that opens the session before what it is to run. */
static int service_image_wrap(ServiceImage *image, const Service *service) {
        const char *inner[] = { image->argv[0], image->argv[1] };
        size_t n = 0;

        image->account = service_account(service);
        if (!image->account)
                return SERVICE_E_FAILED;
        image->path = service->settings->session_program;
        image->argv[n++] = "qrexec-session";
        if (!service->command.is_service) {
                image->argv[n++] = "--shell";
                inner[0] = service->command.shell.text;
                inner[1] = NULL;
        }
        image->argv[n++] = image->account;
        image->argv[n++] = "--";
        image->argv[n++] = inner[0];
        image->argv[n++] = inner[1];
        return 0;
}

static int service_image_init(ServiceImage *image, const Service *service, pid_t agent_pid) {
        const Command *command = &service->command;
        const char *slash;

        *image = (ServiceImage){ .path = service->lookup.path, .argv = { service->lookup.path } };
        if (service->settings->guest) {
                image->path = service->settings->guest->client;
                if (guest_command_init(service->settings->guest, service->text, &image->guest))
                        return SERVICE_E_FAILED;
        } else if (!command->is_service) {
                image->path = service->settings->shell_program;
                /* Some shells have a different mind by another name. */
                slash = strrchr(image->path, '/');
                image->argv[0] = slash ? slash + 1 : image->path;
                image->argv[1] = "-c";
                image->argv[2] = command->shell.text;
        } else if (command->has_argument && command->argument.n > 0) {
                image->argument = strndup(command->argument.text, command->argument.n);
                if (!image->argument)
                        return SERVICE_E_FAILED;
                image->argv[1] = image->argument;
        }
        if (service->settings->session_program && !service->is_own && service_image_wrap(image, service))
                return SERVICE_E_FAILED;
        return environment_new(service->settings->environment, command, agent_pid, &image->environment)
                       ? SERVICE_E_FAILED
                       : 0;
}

static int service_exec(const Service *service, const ServiceImage *image, ServiceProgram *program) {
        const ServiceSettings *settings = service->settings;
        int error, r;

        r = spawn_process(&(Spawn){ .program = image->path,
                                    .argv = service_image_argv(image),
                                    .environment = image->environment,
                                    .directory = settings->home,
                                    .stdin_fd = program->stdin_fd,
                                    .stdout_fd = program->stdout_fd,
                                    .stderr_fd = program->stderr_fd,
                                    .slots = program->slots,
                                    .files = settings->files,
                                    .signals = settings->signals },
                          &error, &program->pid, &program->pidfd);
        if (r > 0)
                SERVICE_LOG(service, "cannot run %s: %s", ESCAPED(image->path, strlen(image->path)), strerror(error));
        switch (r) {
        case 0:
                return 0;
        case SPAWN_E_NOT_FOUND:
                return SERVICE_E_EXEC_NOT_FOUND;
        case SPAWN_E_FAILED:
                return SERVICE_E_EXEC_FAILED;
        default:
                return SERVICE_E_FAILED;
        }
}

int service_spawn(const Service *service, ServiceProgram *program) {
        _cleanup_(service_image_deinit) ServiceImage image = {};
        int r;

        r = service_image_init(&image, service, program->agent_pid);
        return r ? r : service_exec(service, &image, program);
}

int service_become(const Service *service) {
        _cleanup_(service_image_deinit) ServiceImage image = {};
        int error, r;

        r = service_image_init(&image, service, 0);
        if (r)
                return r;
        (void)execve(image.path, service_image_argv(&image), image.environment);
        error = errno;
        SERVICE_LOG(service, "cannot run %s: %s", ESCAPED(image.path, strlen(image.path)), strerror(error));
        return error == ENOENT ? SERVICE_E_EXEC_NOT_FOUND : SERVICE_E_EXEC_FAILED;
}

void service_failure(int r, int *ret_status, CallHow *ret_how) {
        bool not_found = r == SERVICE_E_NOT_FOUND || r == SERVICE_E_EXEC_NOT_FOUND;

        *ret_status = not_found ? 127 : 125;
        *ret_how = not_found ? CALL_HOW_NOT_FOUND : CALL_HOW_NOT_STARTED;
}
