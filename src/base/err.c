/* SPDX-License-Identifier: Apache-2.0 */
/* Errors as values: see err.h. */
#include "base/err.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *name, *text;
    int http, grpc, exit;
};

static const struct row rows[ERR_N] = {
    [OK] = {"OK", "ok", 200, 0, 0},
#define CODE(name, http, grpc, exit, text) [ERR_##name] = {#name, text, http, grpc, exit},
#include "base/err.def"
#undef CODE
};

static const struct row *row_of(enum code code) {
    return (unsigned)code < ERR_N ? &rows[code] : &rows[ERR_INTERNAL];
}

const char *err_name(enum code code) { return row_of(code)->name; }
const char *err_text(enum code code) { return row_of(code)->text; }
int err_http(enum code code) { return row_of(code)->http; }
int err_grpc(enum code code) { return row_of(code)->grpc; }
int err_exit(enum code code) { return row_of(code)->exit; }

/* Names out of foreign files may hold anything; an error is one line of UTF-8 that a terminal takes
 * for text. What was cut in the middle of a character counts as broken too. */
static void make_printable(char *text) {
    for (size_t n, left = strlen(text); left; text += n, left -= n) {
        unsigned char c = (unsigned char)*text;
        n = utf8_length(text, left);
        bool control = c < ' ' || c == 0x7f || (c == 0xc2 && (unsigned char)text[1] < 0xa0);
        if (n == 0 || control) {
            *text = '?';
            n = 1;
        }
    }
}

static void put(struct err *e, enum code code, const char *file, int line) {
    make_printable(e->text);
    e->code = code;
    e->file = file;
    e->line = line;
}

enum code err_set(struct err *e, enum code code, const char *file, int line, const char *format,
                  ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    put(e, code, file, line);
    return code;
}

static enum code code_of_errno(int number) {
    switch (number) {
    case ENOENT:
    case ENOTDIR: return ERR_NOT_FOUND;
    case ENOMEM: return ERR_NOMEM;
    case EACCES:
    case EPERM:
    case EROFS: return ERR_DENIED;
    default: return ERR_IO;
    }
}

enum code err_set_errno(struct err *e, int number, const char *file, int line, const char *format,
                        ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof e->text ? (size_t)n : sizeof e->text - 1;
    char reason[128];
    const char *text = strerror_r(number, reason, sizeof reason);
    snprintf(e->text + used, sizeof e->text - used, ": %s", text);
    put(e, code_of_errno(number), file, line);
    return e->code;
}

/* As much as fits. */
static size_t append(struct err *e, size_t used, const char *text) {
    const size_t n = strnlen(text, sizeof e->text - 1 - used);
    memcpy(e->text + used, text, n);
    e->text[used + n] = 0;
    return used + n;
}

enum code err_prefix(struct err *e, const char *format, ...) {
    char old[sizeof e->text];
    memcpy(old, e->text, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof e->text ? (size_t)n : sizeof e->text - 1;
    append(e, append(e, used, ": "), old);
    make_printable(e->text);
    return e->code;
}

#ifndef NDEBUG
void err_broken(const char *what, const char *file, int line) {
    fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, what);
    abort();
}
#endif
