/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/consent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/test-folder.h"

/* A run directory of our own, and a dialog that answers as it is told and counts how often it was asked. */
static char folder[] = "/tmp/test-consent.XXXXXX";

static void answer_with(int status) {
        char text[256];

        snprintf(text, sizeof(text), "#!/bin/sh\necho \"$*\" >>%s/asked\nexit %d\n", folder, status);
        folder_write(folder, "zenity", text, 0700);
}

static int count_asked(void) {
        char path[128], line[1024];
        FILE *stream;
        int n = 0;

        snprintf(path, sizeof(path), "%s/asked", folder);
        stream = fopen(path, "re");
        while (stream && fgets(line, sizeof(line), stream))
                ++n;
        if (stream)
                fclose(stream);
        return n;
}

static int obtain(int dir_fd, const char *source, uint32_t for_sec) {
        PersonQuestion question = {
                .source = source, .service = "qubes.Gpg", .title = "T", .text = "May it?", .for_sec = for_sec
        };

        return consent_obtain(dir_fd, source, &question);
}

static void test_obtain(void **state) {
        _cleanup_fd_ int dir_fd = -1;
        struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

        assert_int_equal(consent_open(&dir_fd), 0);
        answer_with(0);
        assert_int_equal(obtain(dir_fd, "yes", 300), 0);
        assert_int_equal(count_asked(), 1);
        assert_int_equal(faccessat(dir_fd, "stat.yes", F_OK, 0), 0);
        /* Remembered. */
        assert_int_equal(obtain(dir_fd, "yes", 300), 0);
        assert_int_equal(count_asked(), 1);
        /* Not for somebody else. */
        answer_with(1);
        assert_int_equal(obtain(dir_fd, "no", 300), CONSENT_E_REFUSED);
        assert_int_equal(count_asked(), 2);
        assert_int_equal(faccessat(dir_fd, "stat.no", F_OK, 0), -1);
        /* A no answers for those who follow at once; it does not end a yes. */
        answer_with(0);
        assert_int_equal(obtain(dir_fd, "no", 300), CONSENT_E_REFUSED);
        assert_int_equal(count_asked(), 2);
        assert_int_equal(obtain(dir_fd, "yes", 300), 0);
        /* It does not for long. */
        assert_int_equal(utimensat(dir_fd, "no.no", old, 0), 0);
        assert_int_equal(obtain(dir_fd, "no", 300), 0);
        assert_int_equal(count_asked(), 3);
        /* A yes of long ago is none; nor is a link to a younger file. */
        assert_int_equal(utimensat(dir_fd, "stat.no", old, 0), 0);
        assert_int_equal(obtain(dir_fd, "no", 300), 0);
        assert_int_equal(count_asked(), 4);
        assert_int_equal(symlinkat("stat.no", dir_fd, "stat.link"), 0);
        answer_with(1);
        assert_int_equal(obtain(dir_fd, "link", 300), CONSENT_E_REFUSED);
        assert_int_equal(count_asked(), 5);
}

static void test_nobody(void **state) {
        _cleanup_fd_ int dir_fd = -1;
        char path[128];

        assert_int_equal(consent_open(&dir_fd), 0);
        snprintf(path, sizeof(path), "%s/zenity", folder);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(obtain(dir_fd, "nobody", 300), CONSENT_E_NOBODY);
        /* Nobody has said no. */
        assert_int_equal(faccessat(dir_fd, "no.nobody", F_OK, 0), -1);
        /* A dialog that dies has not said yes. */
        folder_write(folder, "zenity", "#!/bin/sh\nkill -9 $$\n", 0700);
        assert_int_equal(obtain(dir_fd, "nobody", 300), CONSENT_E_REFUSED);
}

static void test_slots(void **state) {
        int fds[CONSENT_SLOTS_MAX], more;
        _cleanup_fd_ int dir_fd = -1;

        assert_int_equal(consent_open(&dir_fd), 0);
        for (int i = 0; i < CONSENT_SLOTS_MAX; ++i)
                assert_int_equal(consent_take_slot(dir_fd, "work", &fds[i]), 0);
        assert_int_equal(consent_take_slot(dir_fd, "work", &more), CONSENT_E_BUSY);
        /* Of one source alone, and free again with the descriptor. */
        assert_int_equal(consent_take_slot(dir_fd, "other", &more), 0);
        fd_close(more);
        fd_close(fds[3]);
        assert_int_equal(consent_take_slot(dir_fd, "work", &fds[3]), 0);
        assert_int_equal(consent_take_slot(dir_fd, "work", &more), CONSENT_E_BUSY);
        for (int i = 0; i < CONSENT_SLOTS_MAX; ++i)
                fd_close(fds[i]);
}

static void test_notice(void **state) {
        _cleanup_fd_ int dir_fd = -1;
        unsigned n_more, n_shown = 0;

        assert_int_equal(consent_open(&dir_fd), 0);
        for (int i = 0; i < 30; ++i)
                n_shown += consent_notice(dir_fd, "work", &n_more);
        /* The machine may be slow, but not by twenty seconds. */
        assert_in_range(n_shown, 10, 29);
        assert_true(consent_notice(dir_fd, "other", &n_more));
        assert_int_equal(n_more, 0);
}

static void test_no_directory(void **state) {
        int dir_fd;

        assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
        assert_int_equal(consent_open(&dir_fd), CONSENT_E_DIRECTORY);
        assert_int_equal(setenv("XDG_RUNTIME_DIR", "/nonexistent", 1), 0);
        assert_int_equal(consent_open(&dir_fd), CONSENT_E_DIRECTORY);
        assert_int_equal(setenv("XDG_RUNTIME_DIR", folder, 1), 0);
}

static int set_up(void **state) {
        if (!mkdtemp(folder))
                return -1;
        folder_write(folder, "qubes.WaitForSession", "#!/bin/sh\n", 0700);
        return setenv("PATH", folder, 1) || setenv("XDG_RUNTIME_DIR", folder, 1) || setenv("HOME", folder, 1) ||
               setenv("DISPLAY", ":7", 1);
}

static int tear_down(void **state) {
        return folder_remove(folder);
}

int main(void) {
        /* A domain of its own, as on Qubes: its real grants are not ours to play with. */
        if (access("/run/qubes-gpg-split", W_OK) == 0)
                return 77;
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_obtain), cmocka_unit_test(test_nobody),       cmocka_unit_test(test_slots),
                cmocka_unit_test(test_notice), cmocka_unit_test(test_no_directory),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
