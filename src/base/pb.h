/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol Buffers wire format (protobuf.dev/programming-guides/encoding): reader in place, writer
 * to a buf.
 *
 * The reader borrows the bytes; it never reads outside them. A message is walked field by field:
 *     struct pb r; pb_init(&r, bytes); struct pb_field f;
 *     for (;;) { TRY(pb_next(&r, &f, &more, e)); if (!more) break; switch (f.number) { ... } }
 * Groups (wire types 3, 4) are skipped with a depth limit. Unknown fields cost nothing. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

enum pb_wire { PB_VARINT = 0, PB_I64 = 1, PB_LEN = 2, PB_I32 = 5 };

struct pb {
    const uint8_t *p, *end, *begin; /* borrowed */
};

struct pb_field {
    uint32_t number; /* 1 .. 2^29-1 */
    enum pb_wire wire;
    uint64_t value;    /* VARINT, I64, I32 as raw bits */
    struct span bytes; /* LEN; borrowed */
};

void pb_init(struct pb *r, struct span bytes);
MUST_USE enum code pb_next(struct pb *r, struct pb_field *out, bool *more, struct err *e);

/* Checked views of one field: FORMAT naming the field number when the wire type does not fit. */
/* int64, int32, enum, bool */
MUST_USE enum code pb_i64(const struct pb_field *f, int64_t *out, struct err *e);
MUST_USE enum code pb_u64(const struct pb_field *f, uint64_t *out, struct err *e);
MUST_USE enum code pb_f32(const struct pb_field *f, float *out, struct err *e);
MUST_USE enum code pb_f64(const struct pb_field *f, double *out, struct err *e);
MUST_USE enum code pb_str(const struct pb_field *f, struct str *out, struct err *e);
MUST_USE enum code pb_bytes(const struct pb_field *f, struct span *out, struct err *e);
/* a nested message */
MUST_USE enum code pb_sub(const struct pb_field *f, struct pb *out, struct err *e);

/* Repeated scalars, packed (LEN) or not (one element): appended to *out as int64_t / float / double
 * / uint64_t. */
MUST_USE enum code pb_i64s(const struct pb_field *f, struct buf *out, struct err *e);
MUST_USE enum code pb_u64s(const struct pb_field *f, struct buf *out, struct err *e);
MUST_USE enum code pb_f32s(const struct pb_field *f, struct buf *out, struct err *e);
MUST_USE enum code pb_f64s(const struct pb_field *f, struct buf *out, struct err *e);

int64_t pb_zigzag(uint64_t v); /* sint32/sint64 */

/* Writer. A nested message: pb_put_begin, its fields, pb_put_end (the length is moved in
 * afterwards). */
void pb_put_u64(struct buf *b, uint32_t number, uint64_t v);
void pb_put_i64(struct buf *b, uint32_t number, int64_t v);
void pb_put_f32(struct buf *b, uint32_t number, float v);
void pb_put_f64(struct buf *b, uint32_t number, double v);
void pb_put_bytes(struct buf *b, uint32_t number, const void *bytes, size_t n);
/* Key and length of bytes that the caller sends after b's; one element of a packed field. */
void pb_put_head(struct buf *b, uint32_t number, size_t n);
void pb_put_varint(struct buf *b, uint64_t v);
void pb_put_str(struct buf *b, uint32_t number, struct str text);
size_t pb_put_begin(struct buf *b, uint32_t number); /* returns a mark for pb_put_end */
void pb_put_end(struct buf *b, size_t mark);
