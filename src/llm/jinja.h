/* SPDX-License-Identifier: Apache-2.0 */
/* Chat templates: the subset of Jinja 3 that they are written in, rendered as Hugging Face renders
 * it (trim_blocks, lstrip_blocks, loop controls, tojson as plain json.dumps). docs/formats/jinja.md
 * lists what is in; anything else is refused by name when the template is parsed.
 *
 * 1. Text remembers where it came from: every byte that came from a request is marked foreign, and
 * stays so through filters, slices and concatenation. Whoever tokenises the result can tell what
 * the template wrote from what a user wrote.
 * 2. A template is foreign code: steps, depth, memory and output have limits.
 * 3. Parsed once, immutable, rendered from any thread. */
#pragma once

#include "base/arena.h"

struct jinja; /* opaque; lives in the arena it was parsed into */

struct text {
    const char *p;
    const uint8_t *foreign; /* (n) 1 per foreign byte, or NULL: none */
    size_t n;
};

enum datum_kind {
    DATUM_UNDEFINED,
    DATUM_NULL,
    DATUM_BOOL,
    DATUM_INT,
    DATUM_FLOAT,
    DATUM_TEXT,
    DATUM_LIST,
    DATUM_DICT,
    DATUM_LOOP, /* `loop` */
    DATUM_MACRO,
    DATUM_GLOBAL /* a function: index into the table of jinja_call.c */
};

struct datum {
    enum datum_kind kind;
    union {
        bool b;
        int64_t i;
        double f;
        struct text s;
        struct list *list;
        struct dict *dict;
        const struct loop *loop;
        const struct macro *macro;
        int function;
    };
};

struct list {
    struct datum *v;
    size_t n, room;
    bool tuple;
};

struct dict { /* in order of insertion */
    struct datum *keys, *values;
    size_t n, room;
    bool space; /* namespace(): its attributes may be set */
};

/* UNSUPPORTED names the filter, test, statement or method; INVALID says what is wrong and in which
 * line. */
MUST_USE enum code jinja_parse(struct str source, struct arena *a, struct jinja **out,
                               struct err *e);

/* globals: what templates see beside the built-in functions. The result lives in the arena. INVALID
 * when the template calls raise_exception, or asks something impossible of the values; LIMIT. */
MUST_USE enum code jinja_render(const struct jinja *j, const struct dict *globals, struct arena *a,
                                struct text *out, struct err *e);

/* --- making values --- false: the arena is full */
struct datum datum_text(struct str s); /* ours, not foreign */
bool list_add(struct list *l, struct datum v, struct arena *a);
bool dict_put(struct dict *d, struct datum key, struct datum v, struct arena *a); /* replaces */
const struct datum *dict_get(const struct dict *d, struct str key);
/* JSON as values; its strings, keys too, are foreign. */
MUST_USE enum code datum_from_json(struct str json, struct arena *a, struct datum *out,
                                   struct err *e);
