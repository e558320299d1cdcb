/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service that a call asks for, found and ready to be started.
 *
 * What a call may do is decided here, with the rights of the domain's account and no others:
 *   - a service: only a name found in the service directories, never a path from the wire (agent/lookup.h);
 *   - its argument: one word of argv and variables of the environment, never text that a shell reads;
 *   - a user: only the account that the agent runs as; there is no way to another one but for an agent that is root, where a
 *     program of its own opens that account's session;
 *   - a shell command: only if the administrator said so (ServiceSettings.shell).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "agent/config.h"
#include "agent/dial.h"
#include "agent/guest.h"
#include "agent/lookup.h"
#include "agent/spawn.h"
#include "base/log.h"
#include "wire/call.h"
#include "vchan/place.h"
#include "wire/command.h"

enum {
        _SERVICE_E_SUCCESS,
        SERVICE_E_NOT_FOUND, /* no such service: 127 */
        SERVICE_E_FAILED,    /* anything else, logged: 125 */
        /* there was a process, but no program in it: one who does not wait for the end is not told (5.9) */
        SERVICE_E_EXEC_NOT_FOUND,
        SERVICE_E_EXEC_FAILED,
};

/** How this agent was started: the same for all its calls. Nothing of it is owned. */
typedef struct ServiceSettings {
        const char *account; /* whom USER of a command must name; NULL: it names nobody (fork server, host) */
        const char *home;    /* working directory of programs; NULL: the agent's */
        const char *service_path, *config_path; /* colon lists, agent/lookup.h */
        const char *journal, *syslog;           /* agent/servicelog.h */
        char *const *environment;               /* agent/environment.h */
        const struct rlimit *files;             /* limit of open files for programs; NULL: ours */
        const sigset_t *signals;                /* agent/spawn.h; NULL: nobody has looked */
        const char *fork_server;                /* agent/handover.h: the socket's path; NULL: none */
        const char *session_program; /* runs them in sessions of the accounts that the commands name; NULL: as ours */
        const VchanPlace *place;     /* where callers are dialled; NULL: nowhere */
        const Guest *guest;          /* agent/guest.h: services are not here; NULL: they are */
        const char *shell_program;   /* what runs shell commands */
        bool shell;                  /* shell commands are allowed */
} ServiceSettings;

typedef struct Service {
        const ServiceSettings *settings;
        uint32_t call_id;
        const char *text;
        bool is_own;     /* the agent's own: it runs as the agent does */
        Command command; /* points into the order's text */
        Config config;
        Lookup lookup; /* valid if command.is_service */
} Service;

/** A call's line in the log; callers escape what is foreign. */
#define SERVICE_LOG(_service, _format, ...) log_notice("call %u: " _format, (_service)->call_id, ##__VA_ARGS__)

/**
 * service_resolve() - find what @text asks for; it may be started
 * @text:        the command, NUL-terminated; borrowed as long as the service is used
 * @ret_service: initialised in every case: the caller calls service_deinit()
 *
 * Reads files, and blocks on nothing else. Return: 0, SERVICE_E_NOT_FOUND or SERVICE_E_FAILED (logged).
 */
int service_resolve(const ServiceSettings *settings, uint32_t call_id, const char *text, Service *ret_service);

/** service_deinit() - harmless when repeated */
void service_deinit(Service *service);

/** service_is_program() - a program is started, else a socket is connected to */
bool service_is_program(const Service *service);

/**
 * service_address() - where a service is that is no program
 * @ret_address: the caller calls dial_address_deinit()
 *
 * Looks no name up. Return: 0 or SERVICE_E_FAILED (logged).
 */
int service_address(const Service *service, DialAddress *ret_address);

/** service_address_text() - the same for people, escaped. Return: the caller's to free(), or NULL (no memory) */
char *service_address_text(const Service *service);

/**
 * service_descriptor() - what a socket is told first: the command's own words and one NUL (6.7); nothing where the
 * configuration says so
 * @ret_data: points into the order's text
 */
void service_descriptor(const Service *service, const void **ret_data, size_t *ret_n);

/** What service_spawn() starts a program with, and what it returns. */
typedef struct ServiceProgram {
        int stdin_fd, stdout_fd, stderr_fd; /* not owned */
        pid_t agent_pid;                    /* agent/environment.h */
        const SpawnSlots *slots;            /* agent/spawn.h */
        pid_t pid;                          /* receives: the process and its group */
        int pidfd;                          /* receives: the caller's */
} ServiceProgram;

/** service_spawn() - start the program or shell command. Return: 0 or SERVICE_E_… (logged) */
int service_spawn(const Service *service, ServiceProgram *program);

/**
 * service_become() - run the program or shell command in the place of this process, with its descriptors 0 to 2
 *
 * Return: only if that failed: SERVICE_E_… (logged).
 */
int service_become(const Service *service);

/** service_failure() - what a caller, and the broker, are told of SERVICE_E_…: 127 or 125 */
void service_failure(int r, int *ret_status, CallHow *ret_how);
