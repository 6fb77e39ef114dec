/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf's text format (protobuf.dev/reference/protobuf/textformat-spec), as configuration files
 * are written: a pull reader over bytes in place. No schema: the caller knows its fields.
 *
 * 1. Fields come one by one; a message field is entered, and ends with *more false.
 * 2. `name: [a, b]` comes as the field twice.
 * 3. Any-messages and extensions ([type.url/...]) are refused; every error says line and column. */
#pragma once

#include "base/arena.h"

enum { TEXTPROTO_DEPTH = 32 };

struct textproto {
    const char *p, *end, *begin; /* borrowed */
    struct arena *arena;         /* for strings with escapes */
    int depth;
    struct str
        list[TEXTPROTO_DEPTH + 1];   /* per level: the field whose list is open; .n == 0: none */
    char close[TEXTPROTO_DEPTH + 1]; /* per level: '}' or '>' */
};

struct textproto_field {
    struct str name;
    bool message;     /* what follows is inside it */
    bool quoted;      /* value was a string */
    struct str value; /* text of a scalar; of a string unescaped, pieces joined */
};

void textproto_init(struct textproto *t, struct str text, struct arena *arena);
/* *more false: the message (or the text) has ended. */
MUST_USE enum code textproto_next(struct textproto *t, struct textproto_field *out, bool *more,
                                  struct err *e);
/* The rest of a message field just entered; nothing for a scalar. */
MUST_USE enum code textproto_skip(struct textproto *t, const struct textproto_field *f,
                                  struct err *e);
/* INVALID at the reader's place. */
enum code textproto_fail(const struct textproto *t, struct err *e, const char *format, ...)
    PRINTF_LIKE(3, 4);
MUST_USE enum code textproto_i64(const struct textproto *t, const struct textproto_field *f,
                                 int64_t *out, struct err *e);
MUST_USE enum code textproto_bool(const struct textproto *t, const struct textproto_field *f,
                                  bool *out, struct err *e);
