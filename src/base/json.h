/* SPDX-License-Identifier: Apache-2.0 */
/* JSON (RFC 8259): a pull reader over bytes in place and a streaming writer. No tree.
 *
 * 1. The reader never reads outside its span, never recurses deeper than JSON_DEPTH, and accepts
 * strict JSON only, plus the bare words NaN, Infinity, -Infinity where a number may stand when
 * `allow_nan` is set (TF Serving and Python clients send them).
 * 2. Every error says line and column (1-based, columns in bytes) and what was expected.
 * 3. Nothing is allocated but strings that hold escapes (in the caller's arena) and what
 * json_tensor writes. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum { JSON_DEPTH = 64 };

enum json_kind {
    JSON_END,
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
    JSON_BAD
};

struct json {
    const char *p, *end, *begin; /* the text is borrowed and must outlive every borrowed string */
    struct arena *arena;         /* for unescaped strings */
    bool allow_nan;
    unsigned depth;
    unsigned char first[JSON_DEPTH + 1]; /* per level: no member seen yet */
};

void json_init(struct json *r, struct str text, struct arena *arena);

/* Kind of the next value without taking it; JSON_END at the end of the text, JSON_BAD on a byte no
 * value starts with. */
enum json_kind json_peek(struct json *r);

/* Containers: enter, then loop `while`-style. *more = false when the closing bracket was taken.
 *     TRY(json_enter_object(r, e));
 *     for (;;) {
 *         TRY(json_next_key(r, &key, &more, e));
 *         if (!more)
 *             break;
 *         ...take or skip one value...
 *     } */
MUST_USE enum code json_enter_object(struct json *r, struct err *e);
MUST_USE enum code json_next_key(struct json *r, struct str *key, bool *more, struct err *e);
MUST_USE enum code json_enter_array(struct json *r, struct err *e);
MUST_USE enum code json_next_item(struct json *r, bool *more, struct err *e);
/* The whole container, by a function that takes one value (of a member: `key`). */
typedef enum code json_member_fn(void *context, struct json *r, struct str key, struct err *e);
typedef enum code json_item_fn(void *context, struct json *r, struct err *e);
MUST_USE enum code json_each_member(struct json *r, json_member_fn *take, void *context,
                                    struct err *e);
MUST_USE enum code json_each_item(struct json *r, json_item_fn *take, void *context, struct err *e);

/* UTF-8; borrowed, or in the arena when it had escapes */
MUST_USE enum code json_string(struct json *r, struct str *out, struct err *e);
/* correctly rounded */
MUST_USE enum code json_f64(struct json *r, double *out, struct err *e);
/* 3.0 and 3e2 accepted, 3.5 refused */
MUST_USE enum code json_i64(struct json *r, int64_t *out, struct err *e);
MUST_USE enum code json_bool(struct json *r, bool *out, struct err *e);
MUST_USE enum code json_null(struct json *r, struct err *e);
/* any value; its text in *raw (may be NULL) */
MUST_USE enum code json_skip(struct json *r, struct str *raw, struct err *e);
/* only white space may follow */
MUST_USE enum code json_end(struct json *r, struct err *e);

/* fail(e, INVALID, "line 3 column 14: <text>") for a caller's own complaint at the reader's
 * position. */
enum code json_fail(const struct json *r, struct err *e, const char *format, ...) PRINTF_LIKE(3, 4);

/* Numbers straight into a typed buffer. */
enum json_number {
    JN_F32,
    JN_F64,
    JN_I8,
    JN_I16,
    JN_I32,
    JN_I64,
    JN_U8,
    JN_U16,
    JN_U32,
    JN_U64,
    JN_BOOL
};
enum { JSON_RANK = 8 };
size_t json_number_size(enum json_number type); /* bytes */

struct json_tensor {
    int rank;                /* 0: a bare number */
    int64_t dims[JSON_RANK]; /* as nested; a flat array has rank 1 */
    size_t count;            /* product of dims */
};

/* Parses a number, or nested arrays of numbers (bools for JN_BOOL; also true/false = 1/0 for
 * numbers), appending raw little-endian elements to *out. Ragged nesting, a non-number, an integer
 * out of range or with a fraction: INVALID that says where. out's cap bounds the memory. f32/f64
 * are correctly rounded. */
MUST_USE enum code json_tensor(struct json *r, enum json_number type, struct buf *out,
                               struct json_tensor *shape, struct err *e);

/* The same for nested arrays of strings; each becomes a struct str appended to *out. */
MUST_USE enum code json_strings(struct json *r, struct buf *out, struct json_tensor *shape,
                                struct err *e);

/* --- writer: appends to a buf; errors stick in the buf --- */
struct json_out {
    struct buf *b;
    unsigned depth;
    bool comma[JSON_DEPTH + 1];
    unsigned indent; /* 0: compact */
    bool after_key;
};
void json_out_init(struct json_out *w, struct buf *b, unsigned indent);
void json_put_object(struct json_out *w);
void json_put_object_end(struct json_out *w);
void json_put_array(struct json_out *w);
void json_put_array_end(struct json_out *w);
void json_put_key(struct json_out *w, const char *key);
void json_put_key_str(struct json_out *w, struct str key);
void json_put_str(struct json_out *w, struct str text); /* escapes; invalid UTF-8 becomes U+FFFD */
void json_put_text(struct json_out *w, const char *text);
void json_put_i64(struct json_out *w, int64_t v);
void json_put_u64(struct json_out *w, uint64_t v);
/* shortest text that reads back the same; NaN, Infinity, -Infinity as bare words */
void json_put_f32(struct json_out *w, float v);
void json_put_f64(struct json_out *w, double v);
void json_put_bool(struct json_out *w, bool v);
void json_put_null(struct json_out *w);
void json_put_raw(struct json_out *w, struct str json); /* an already written value */
/* key + value in one call */
void json_put_member_text(struct json_out *w, const char *key, const char *text);
void json_put_member_str(struct json_out *w, const char *key, struct str text);
void json_put_member_i64(struct json_out *w, const char *key, int64_t v);
void json_put_member_f64(struct json_out *w, const char *key, double v);
void json_put_member_bool(struct json_out *w, const char *key, bool v);
/* Nested arrays of `rank` dims over raw elements; rank 0 writes a bare number. One tight loop, no
 * call per number's comma. */
void json_put_tensor(struct json_out *w, enum json_number type, const void *data, int rank,
                     const int64_t *dims);
