/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries opened when their first function is wanted: a start does not pay for what it does not
 * use (docs/decisions/0012). The functions of one library, in the file that knows it:
 *
 *     #define FUNCTIONS(X) X(spng_ctx_new) X(spng_ctx_free)
 *     static struct { FUNCTIONS(LATE_FIELD) } lib;
 *     static struct late spng = LATE("libspng.so.0", FUNCTIONS);
 *
 * and after late_open(&spng), lib.spng_ctx_new(0). */
#pragma once

#include "base/err.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct late_name {
    const char *name;
    void **at; /* the field of lib */
};

struct late {
    const char *file;
    const struct late_name *names;
    size_t n_names;
    pthread_mutex_t lock;
    _Atomic bool there;
};

#define LATE_FIELD(function) __typeof__(function) *function;
#define LATE_NAME(function) {#function, (void **)&lib.function},
#define LATE(so, functions)                                                                        \
    {                                                                                              \
        .file = (so), .names = (const struct late_name[]){functions(LATE_NAME)},                   \
        .n_names =                                                                                 \
            sizeof((const struct late_name[]){functions(LATE_NAME)}) / sizeof(struct late_name),   \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                          \
    }

/* true: all of its functions are there. Asked again it only looks; false: the next ask tries again.
 * From any thread. */
bool late_open(struct late *l);
/* UNSUPPORTED, which names the file and what it is wanted for ("TLS"). */
MUST_USE enum code late_want(struct late *l, const char *what, struct err *e);
