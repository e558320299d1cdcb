/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: negative is ours, positive is theirs.
 *
 *   0            done
 *   X_E_… (> 0)  an expected outcome, one enum per object; the caller handles it or maps it to one of its own
 *   -errno (< 0) not foreseen; passed up untouched to main(), which ends the process
 *
 * The three wrappers cost nothing on success and leave a trace of a negative error on its way up.
 */
#pragma once

/** error_origin() - raise -errno here; passes other values through */
#define error_origin(_r) error_note((_r), __FILE__, __LINE__, __func__, "raised")
/** error_trace() - forward a negative error; passes other values through */
#define error_trace(_r) error_note((_r), __FILE__, __LINE__, __func__, "passed on")
/** error_fold() - forward a negative error; a positive code nobody handled becomes -ENOTRECOVERABLE */
#define error_fold(_r) error_note_fold((_r), __FILE__, __LINE__, __func__)

/** error_note(), error_note_slow(), error_note_fold() - what the wrappers above are made of: not to be called */
int error_note_slow(int r, const char *file, int line, const char *function, const char *what);

static inline int error_note(int r, const char *file, int line, const char *function, const char *what) {
        return __builtin_expect(r < 0, 0) ? error_note_slow(r, file, line, function, what) : r;
}

int error_note_fold(int r, const char *file, int line, const char *function);
