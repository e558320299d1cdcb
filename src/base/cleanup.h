/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership made visible: a variable that owns something carries its destructor, a hand-over is a steal.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define _cleanup_(_function)      __attribute__((__cleanup__(_function)))
#define _public_                  __attribute__((__visibility__("default")))
#define _printf_(_format, _first) __attribute__((__format__(__printf__, _format, _first)))

#define ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))
#define BIT(_index)        (UINT32_C(1) << (_index))

/** steal_ptr() - take the pointer out of *@_ptr, leaving NULL */
#define steal_ptr(_ptr)                               \
        ({                                            \
                __typeof__(_ptr) _steal = (_ptr);     \
                __typeof__(*_steal) _value = *_steal; \
                *_steal = NULL;                       \
                _value;                               \
        })

/** container_of() - the object that embeds *@_ptr as @_member */
#define container_of(_ptr, _type, _member) ((_type *)((char *)(_ptr)-offsetof(_type, _member)))

/** DEFINE_CLEANUP() - define `_function##p(_type *)` for use with _cleanup_() on a pointer variable */
#define DEFINE_CLEANUP(_type, _function)                  \
        static inline void _function##p(_type *_object) { \
                if (*_object)                             \
                        _function(*_object);              \
        }

/* free() for a variable of any pointer type: the attribute hands over the variable's address. */
static inline void cleanup_free(void *variable) {
        free(*(void **)variable);
}
#define _cleanup_free_ _cleanup_(cleanup_free)
