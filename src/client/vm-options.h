/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of qrexec-client-vm (protocol specification, 7.3).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
        _VM_OPTIONS_E_SUCCESS,
        VM_OPTIONS_E_HELP,    /* --help: usage on stdout, exit 0 */
        VM_OPTIONS_E_USAGE,   /* usage on stderr, exit 2 */
        VM_OPTIONS_E_INVALID, /* a bad value; it has been logged; exit 1 */
};

typedef enum FilterChoice {
        FILTER_CHOICE_DEFAULT, /* as 5.12 has it for the program and its terminal */
        FILTER_CHOICE_ON,
        FILTER_CHOICE_OFF,
} FilterChoice;

typedef struct VmOptions {
        const char *socket_path; /* NULL: the default */
        const char *source;      /* "" unless given */
        char *target;            /* every `$` has become `@` */
        const char *service;
        char **program; /* NULL-terminated; NULL: none */
        const char *prefix;
        size_t buffer_size; /* bytes; 0: the default */
        bool use_stdin_socket;
        FilterChoice filter_stdout, filter_stderr;
} VmOptions;

/**
 * vm_options_parse() - read the command line; the strings stay those of @argv
 *
 * Return: 0, or VM_OPTIONS_E_….
 */
int vm_options_parse(int argc, char **argv, VmOptions *ret_options);

/** vm_options_usage() - the text of --help */
const char *vm_options_usage(void);
