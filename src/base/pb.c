/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol Buffers wire format: see pb.h.
 *
 * Our own and not a library's because model files of many GB are read in place from a map, field by
 * field, without a copy and without generated code; the whole format is four wire types.
 *
 * 1. r->p <= r->end always; a length is compared with what is left before anything is added to p.
 * 2. A varint is at most ten bytes, the tenth at most 1 (encoding guide, "Base 128 Varints").
 * 3. Field number 0, wire types 6 and 7, an end-group without its start: FORMAT with the byte
 * offset. */
#include "base/pb.h"

enum { GROUP_START = 3, GROUP_END = 4, GROUP_DEPTH = 32, MAX_FIELD = (1 << 29) - 1 };

void pb_init(struct pb *r, struct span bytes) {
    *r = (struct pb){.p = bytes.p, .end = bytes.n ? bytes.p + bytes.n : bytes.p, .begin = bytes.p};
}

static size_t offset(const struct pb *r) { return (size_t)(r->p - r->begin); }
static size_t left(const struct pb *r) { return (size_t)(r->end - r->p); }

static enum code take_varint(struct pb *r, uint64_t *out, struct err *e) {
    if (r->p < r->end && *r->p < 0x80) {
        *out = *r->p++;
        return OK;
    }
    uint64_t v = 0;
    const uint8_t *p = r->p;
    for (unsigned shift = 0; shift < 70; shift += 7, p++) {
        if (p == r->end)
            return fail(e, FORMAT, "protobuf: ends inside a number at byte %zu", offset(r));
        if (shift == 63 && *p > 1)
            break;
        v |= (uint64_t)(*p & 0x7f) << shift;
        if (*p < 0x80) {
            r->p = p + 1;
            *out = v;
            return OK;
        }
    }
    return fail(e, FORMAT, "protobuf: number at byte %zu is longer than 64 bits", offset(r));
}

static enum code take_fixed(struct pb *r, size_t n, uint64_t *out, struct err *e) {
    if (left(r) < n)
        return fail(e, FORMAT, "protobuf: ends inside a fixed number at byte %zu", offset(r));
    uint64_t v = 0;
    memcpy(&v, r->p, n); /* little-endian on the wire and on every machine we build for */
    r->p += n;
    *out = v;
    return OK;
}

static enum code take_bytes(struct pb *r, struct span *out, struct err *e) {
    uint64_t n;
    size_t at = offset(r);
    TRY(take_varint(r, &n, e));
    if (n > left(r))
        return fail(e, FORMAT, "protobuf: field of %llu bytes at byte %zu, %zu are left",
                    (unsigned long long)n, at, left(r));
    *out = (struct span){r->p, (size_t)n};
    r->p += n;
    return OK;
}

static enum code take_key(struct pb *r, uint32_t *number, unsigned *wire, struct err *e) {
    size_t at = offset(r);
    uint64_t key;
    TRY(take_varint(r, &key, e));
    if (key >> 3 == 0 || key >> 3 > MAX_FIELD)
        return fail(e, FORMAT, "protobuf: field number %llu at byte %zu",
                    (unsigned long long)(key >> 3), at);
    *number = (uint32_t)(key >> 3);
    *wire = key & 7;
    return OK;
}

static enum code take_value(struct pb *r, struct pb_field *f, unsigned wire, struct err *e) {
    f->wire = wire;
    switch (wire) {
    case PB_VARINT: return take_varint(r, &f->value, e);
    case PB_I64: return take_fixed(r, 8, &f->value, e);
    case PB_I32: return take_fixed(r, 4, &f->value, e);
    case PB_LEN: return take_bytes(r, &f->bytes, e);
    default:
        return fail(e, FORMAT, "protobuf: field %u has wire type %u at byte %zu", f->number, wire,
                    offset(r));
    }
}

/* After a start-group key: skips to its matching end-group. */
static enum code skip_group(struct pb *r, uint32_t number, struct err *e) {
    uint32_t open[GROUP_DEPTH] = {number};
    for (unsigned depth = 1; depth;) {
        struct pb_field f = {0};
        unsigned wire;
        if (r->p == r->end)
            return fail(e, FORMAT, "protobuf: group %u is not closed", open[depth - 1]);
        TRY(take_key(r, &f.number, &wire, e));
        if (wire == GROUP_END) {
            if (f.number != open[--depth])
                return fail(e, FORMAT, "protobuf: group %u closed as %u at byte %zu", open[depth],
                            f.number, offset(r));
        } else if (wire != GROUP_START)
            TRY(take_value(r, &f, wire, e));
        else if (depth == GROUP_DEPTH)
            return fail(e, LIMIT, "protobuf: groups nested deeper than %d at byte %zu", GROUP_DEPTH,
                        offset(r));
        else
            open[depth++] = f.number;
    }
    return OK;
}

enum code pb_next(struct pb *r, struct pb_field *out, bool *more, struct err *e) {
    while (r->p < r->end) {
        struct pb_field f = {0};
        unsigned wire;
        TRY(take_key(r, &f.number, &wire, e));
        if (wire == GROUP_START) {
            TRY(skip_group(r, f.number, e));
            continue;
        }
        TRY(take_value(r, &f, wire, e));
        *out = f;
        *more = true;
        return OK;
    }
    *more = false;
    return OK;
}

/* --- views of one field --- */

static enum code want(const struct pb_field *f, enum pb_wire wire, struct err *e) {
    static const char *const names[] = {"varint", "64-bit", "bytes", "group", "group", "32-bit"};
    if (f->wire == wire)
        return OK;
    return fail(e, FORMAT, "protobuf: field %u is %s, expected %s", f->number, names[f->wire],
                names[wire]);
}

enum code pb_u64(const struct pb_field *f, uint64_t *out, struct err *e) {
    TRY(want(f, PB_VARINT, e));
    *out = f->value;
    return OK;
}

enum code pb_i64(const struct pb_field *f, int64_t *out, struct err *e) {
    TRY(want(f, PB_VARINT, e));
    *out = (int64_t)f->value;
    return OK;
}

enum code pb_f32(const struct pb_field *f, float *out, struct err *e) {
    TRY(want(f, PB_I32, e));
    memcpy(out, &f->value, sizeof *out);
    return OK;
}

enum code pb_f64(const struct pb_field *f, double *out, struct err *e) {
    TRY(want(f, PB_I64, e));
    memcpy(out, &f->value, sizeof *out);
    return OK;
}

enum code pb_bytes(const struct pb_field *f, struct span *out, struct err *e) {
    TRY(want(f, PB_LEN, e));
    *out = f->bytes;
    return OK;
}

enum code pb_str(const struct pb_field *f, struct str *out, struct err *e) {
    TRY(want(f, PB_LEN, e));
    *out = (struct str){(const char *)f->bytes.p, f->bytes.n};
    return OK;
}

enum code pb_sub(const struct pb_field *f, struct pb *out, struct err *e) {
    TRY(want(f, PB_LEN, e));
    pb_init(out, f->bytes);
    return OK;
}

int64_t pb_zigzag(uint64_t v) { return (int64_t)(v >> 1 ^ (0 - (v & 1))); }

/* --- repeated scalars --- */

/* Numbers end at bytes below 0x80: counting them first sizes the buffer once. */
static size_t count_varints(struct span bytes) {
    size_t n = 0;
    for (size_t at = 0; at < bytes.n; at++)
        n += bytes.p[at] < 0x80;
    return n;
}

static enum code packed_varints(const struct pb_field *f, struct buf *out, struct err *e) {
    size_t start = out->n;
    uint64_t *to = buf_extend(out, count_varints(f->bytes) * sizeof *to);
    if (!to)
        return buf_check(out, "protobuf: packed numbers", e);
    struct pb r;
    pb_init(&r, f->bytes);
    for (size_t element = 0; r.p < r.end; element++) {
        uint64_t v = 0;
        enum code code = take_varint(&r, &v, e);
        if (code != OK) {
            out->n = start;
            return code;
        }
        memcpy(to + element, &v, sizeof v);
    }
    return OK;
}

enum code pb_u64s(const struct pb_field *f, struct buf *out, struct err *e) {
    if (f->wire == PB_LEN)
        return packed_varints(f, out, e);
    TRY(want(f, PB_VARINT, e));
    buf_put(out, &f->value, sizeof f->value);
    return buf_check(out, "protobuf: numbers", e);
}

enum code pb_i64s(const struct pb_field *f, struct buf *out, struct err *e) {
    return pb_u64s(f, out, e); /* int64 travels as its two's complement bits */
}

static enum code fixed(const struct pb_field *f, enum pb_wire wire, size_t size, struct buf *out,
                       struct err *e) {
    if (f->wire != PB_LEN) {
        TRY(want(f, wire, e));
        buf_put(out, &f->value, size);
    } else if (f->bytes.n % size != 0)
        return fail(e, FORMAT, "protobuf: field %u has %zu bytes, no multiple of %zu", f->number,
                    f->bytes.n, size);
    else
        buf_put(out, f->bytes.p, f->bytes.n);
    return buf_check(out, "protobuf: numbers", e);
}

enum code pb_f32s(const struct pb_field *f, struct buf *out, struct err *e) {
    return fixed(f, PB_I32, 4, out, e);
}

enum code pb_f64s(const struct pb_field *f, struct buf *out, struct err *e) {
    return fixed(f, PB_I64, 8, out, e);
}

/* --- writer --- */

static size_t print_varint(uint64_t v, uint8_t out[10]) {
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

void pb_put_varint(struct buf *b, uint64_t v) {
    uint8_t text[10];
    buf_put(b, text, print_varint(v, text));
}

static void put_key(struct buf *b, uint32_t number, enum pb_wire wire) {
    pb_put_varint(b, (uint64_t)number << 3 | (uint64_t)wire);
}

void pb_put_u64(struct buf *b, uint32_t number, uint64_t v) {
    put_key(b, number, PB_VARINT);
    pb_put_varint(b, v);
}

void pb_put_i64(struct buf *b, uint32_t number, int64_t v) { pb_put_u64(b, number, (uint64_t)v); }

void pb_put_f32(struct buf *b, uint32_t number, float v) {
    put_key(b, number, PB_I32);
    buf_put(b, &v, sizeof v);
}

void pb_put_f64(struct buf *b, uint32_t number, double v) {
    put_key(b, number, PB_I64);
    buf_put(b, &v, sizeof v);
}

void pb_put_head(struct buf *b, uint32_t number, size_t n) {
    put_key(b, number, PB_LEN);
    pb_put_varint(b, n);
}

void pb_put_bytes(struct buf *b, uint32_t number, const void *bytes, size_t n) {
    pb_put_head(b, number, n);
    buf_put(b, bytes, n);
}

void pb_put_str(struct buf *b, uint32_t number, struct str text) {
    pb_put_bytes(b, number, text.p, text.n);
}

size_t pb_put_begin(struct buf *b, uint32_t number) {
    put_key(b, number, PB_LEN);
    return b->n;
}

void pb_put_end(struct buf *b, size_t mark) {
    uint8_t length[10];
    if (b->code != OK)
        return;
    size_t body = b->n - mark, n = print_varint(body, length);
    if (!buf_extend(b, n))
        return;
    memmove(b->p + mark + n, b->p + mark, body);
    memcpy(b->p + mark, length, n);
}
