/* SPDX-License-Identifier: Apache-2.0 */
/* Errors as values.
 *
 * A function that can fail returns `enum code`, is marked MUST_USE and takes `struct err *e` last.
 * On failure it has written *e exactly once and left its out-parameters untouched. `e` lives on the
 * caller's stack and is never NULL, so reporting an error allocates nothing: out of memory can be
 * reported too. HTTP, gRPC and exit statuses belong to the code (err.def) and are looked up only at
 * the rims (serve, cli). */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

enum code {
    OK = 0,
#define CODE(name, http, grpc, exit, text) ERR_##name,
#include "base/err.def"
#undef CODE
    ERR_N
};

struct err {
    enum code code;
    char text[480];   /* one line: what is wrong, where, what to do; UTF-8, printable */
    const char *file; /* where in our source, for logs */
    int line;
};

/* Tells the optimiser what it cannot see: after a failure the caller's "if OK" path is not taken,
 * so the out-parameters that were left untouched are not read. */
static inline enum code err_never_ok(enum code code) {
    if (code == OK)
        __builtin_unreachable();
    return code;
}

/* return fail(e, FORMAT, "tensor '%.*s': %u dims, limit %d", STR(name), n, SHAPE_MAX); */
#define fail(e, NAME, ...) err_never_ok(err_set((e), ERR_##NAME, __FILE__, __LINE__, __VA_ARGS__))
enum code err_set(struct err *e, enum code code, const char *file, int line, const char *format,
                  ...) PRINTF_LIKE(5, 6);

/* Puts "context: " before the text already in *e; returns e->code, so `return err_prefix(e, "node
 * '%s'", name)`. */
enum code err_prefix(struct err *e, const char *format, ...) PRINTF_LIKE(2, 3);

/* Like fail(e, IO, ...) with ": strerror(number)" appended; ENOENT becomes NOT_FOUND, ENOMEM NOMEM,
 * EACCES/EPERM DENIED. */
#define fail_errno(e, number, ...)                                                                 \
    err_never_ok(err_set_errno((e), (number), __FILE__, __LINE__, __VA_ARGS__))
enum code err_set_errno(struct err *e, int number, const char *file, int line, const char *format,
                        ...) PRINTF_LIKE(5, 6);

const char *err_name(enum code code); /* "NOT_FOUND" */
const char *err_text(enum code code); /* "not found" */
int err_http(enum code code);
int err_grpc(enum code code);
int err_exit(enum code code);

/* The only macro that returns. Only where nothing but arenas is held; otherwise `goto done`. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum code try_code_ = (call);                                                              \
        if (try_code_ != OK)                                                                       \
            return try_code_;                                                                      \
    } while (0)

/* ALWAYS(x)/NEVER(x): our own invariants. Abort in debug builds, keep the defensive branch in
 * release builds. No byte from outside may reach a failing one. */
#ifdef NDEBUG
#define ALWAYS(x) (x)
#define NEVER(x) (x)
#else
void err_broken(const char *what, const char *file, int line) __attribute__((noreturn));
#define ALWAYS(x) ((x) ? 1 : (err_broken(#x, __FILE__, __LINE__), 0))
#define NEVER(x) ((x) ? (err_broken(#x, __FILE__, __LINE__), 1) : 0)
#endif
