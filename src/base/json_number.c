/* SPDX-License-Identifier: Apache-2.0 */
/* JSON numbers, one at a time and by the million: see json.h.
 *
 * A tensor is read in runs: `take_row` walks the brackets, and at the innermost level one loop per
 * element type takes "number, number, number" without leaving the registers. RFC 8259 §6; decimal.h
 * does the arithmetic.
 *
 * 1. All leaves stand at one depth (the rank), and arrays at one depth have one length: else the
 * nesting is ragged.
 * 2. On failure *out is as long as before, and r->p is at the byte to complain about. */
#include "base/decimal.h"
#include "base/json_in.h"

#include <math.h>

/* --- one number --- */

/* r->p is at a number, or the complaint. Moves nothing; *after is behind it. */
static enum code scan(struct json *r, struct decimal *d, const char **after, struct err *e) {
    if (decimal_scan(r->p, r->end, d, after))
        return OK;
    if (*after == r->p)
        return json_expected(r, "a number", e);
    r->p = *after;
    return json_fail(r, e,
                     decimal_digit(r->p, r->end) ? "a number may not begin with 0 and another digit"
                                                 : "a digit is missing in a number");
}

/* The bare words of json.h, invariant 1. */
static bool take_nan(struct json *r, double *out) {
    if (!r->allow_nan)
        return false;
    if (json_take_word(r, "NaN"))
        *out = (double)NAN;
    else if (json_take_word(r, "Infinity"))
        *out = (double)INFINITY;
    else if (json_take_word(r, "-Infinity"))
        *out = -(double)INFINITY;
    else
        return false;
    return true;
}

enum code json_skip_number(struct json *r, struct err *e) {
    struct decimal d;
    double ignored;
    if (take_nan(r, &ignored))
        return OK;
    const char *after;
    TRY(scan(r, &d, &after, e));
    r->p = after;
    return OK;
}

static enum code out_of_range(const struct json *r, const char *after, const char *type,
                              struct err *e) {
    size_t n = (size_t)(after - r->p);
    return json_fail(r, e, "%.*s%s is out of range of %s", n < 40 ? (int)n : 40, r->p,
                     n < 40 ? "" : "...", type);
}

enum code json_f64(struct json *r, double *out, struct err *e) {
    struct decimal d;
    const char *after;
    r->p = json_space(r->p, r->end);
    if (take_nan(r, out))
        return OK;
    TRY(scan(r, &d, &after, e));
    double v = decimal_f64(&d);
    if (isinf(v))
        return out_of_range(r, after, "f64", e);
    r->p = after;
    *out = v;
    return OK;
}

struct range { /* of an integer type */
    const char *name;
    uint64_t below, above; /* largest magnitude of a negative and of a positive value */
};

/* The two's complement bits of a whole number within range. */
static enum code take_integer(struct json *r, const struct range *range, uint64_t *out,
                              struct err *e) {
    struct decimal d;
    const char *after;
    uint64_t v;
    TRY(scan(r, &d, &after, e));
    enum decimal_whole whole = decimal_u64(&d, &v);
    if (whole == DECIMAL_FRACTION)
        return json_fail(r, e, "%.*s is no whole number, expected %s",
                         after - r->p < 40 ? (int)(after - r->p) : 40, r->p, range->name);
    if (whole == DECIMAL_TOO_LARGE || v > (d.minus ? range->below : range->above))
        return out_of_range(r, after, range->name, e);
    r->p = after;
    *out = d.minus ? 0 - v : v;
    return OK;
}

enum code json_i64(struct json *r, int64_t *out, struct err *e) {
    static const struct range i64 = {"i64", (uint64_t)1 << 63, INT64_MAX};
    uint64_t v;
    r->p = json_space(r->p, r->end);
    TRY(take_integer(r, &i64, &v, e));
    *out = (int64_t)v;
    return OK;
}

/* --- element types --- */

/* true and false stand for 1 and 0 in every element type. */
static bool take_truth(struct json *r, uint64_t *out) {
    if (json_take_word(r, "true"))
        *out = 1;
    else if (json_take_word(r, "false"))
        *out = 0;
    else
        return false;
    return true;
}

/* What the fast loop did not take: words, long numbers, mistakes. */
static enum code slow_float(struct json *r, bool wide, double *out, struct err *e) {
    struct decimal d;
    const char *after;
    uint64_t truth;
    if (take_nan(r, out))
        return OK;
    if (take_truth(r, &truth)) {
        *out = (double)truth;
        return OK;
    }
    TRY(scan(r, &d, &after, e));
    double v = wide ? decimal_f64(&d) : (double)decimal_f32(&d);
    if (isinf(v))
        return out_of_range(r, after, wide ? "f64" : "f32", e);
    r->p = after;
    *out = v;
    return OK;
}

static enum code slow_integer(struct json *r, const struct range *range, uint64_t *out,
                              struct err *e) {
    return take_truth(r, out) ? OK : take_integer(r, range, out, e);
}

/* The fast ways: *p moves only when the number was taken. */
static inline bool fast_f32(const char **p, const char *end, float *out) {
    struct decimal d;
    const char *after;
    if (!decimal_scan(*p, end, &d, &after))
        return false;
    *out = decimal_f32(&d);
    if (isinf(*out))
        return false;
    *p = after;
    return true;
}

static inline bool fast_f64(const char **p, const char *end, double *out) {
    struct decimal d;
    const char *after;
    if (!decimal_scan(*p, end, &d, &after))
        return false;
    *out = decimal_f64(&d);
    if (isinf(*out))
        return false;
    *p = after;
    return true;
}

static inline bool fast_integer(const char **p, const char *end, const struct range *range,
                                uint64_t *out) {
    const char *at = *p;
    bool minus = at < end && *at == '-';
    at += minus;
    const char *from = at;
    uint64_t v = 0;
    at = decimal_digits(at, end, &v);
    ptrdiff_t n = at - from;
    if (n < 1 || n > 18 || (*from == '0' && n > 1) || v > (minus ? range->below : range->above))
        return false;
    if (at < end && (*at == '.' || (*at | 0x20) == 'e'))
        return false;
    *p = at;
    *out = minus ? 0 - v : v;
    return true;
}

/* --- runs: value, value, value --- */

/* Takes values until no comma follows (or one, if `once`), appends them to *out and adds their
 * number to *n. r->p is at a value before, behind the last one and its white space after. */
typedef enum code run_fn(struct json *r, const struct range *range, bool once, struct buf *out,
                         int64_t *n, struct err *e);

static inline bool comma(const char **p, const char *end) {
    const char *at = *p;
    if (__builtin_expect(at < end && *at != ',', 0))
        at = json_space(at, end);
    bool yes = at < end && *at == ',';
    *p = yes ? json_space(at + 1, end) : at;
    return yes;
}

#define RUN(noun, type, fast, slow_type, slow)                                                     \
    static enum code run_##noun(struct json *r, const struct range *range, bool once,              \
                                struct buf *out, int64_t *n, struct err *e) {                      \
        const char *p = r->p;                                                                      \
        int64_t count = 0;                                                                         \
        (void)range;                                                                               \
        do {                                                                                       \
            if (out->room - out->n < sizeof(type) && !buf_reserve(out, sizeof(type)))              \
                return buf_check(out, "JSON numbers", e);                                          \
            type v;                                                                                \
            if (__builtin_expect(!(fast), 0)) {                                                    \
                slow_type w;                                                                       \
                r->p = p;                                                                          \
                TRY(slow);                                                                         \
                p = r->p;                                                                          \
                v = (type)w;                                                                       \
            }                                                                                      \
            memcpy(out->p + out->n, &v, sizeof v);                                                 \
            out->n += sizeof v;                                                                    \
            count++;                                                                               \
        } while (!once && comma(&p, r->end));                                                      \
        r->p = p;                                                                                  \
        *n += count;                                                                               \
        return OK;                                                                                 \
    }

#define RUN_FLOAT(noun, type, wide)                                                                \
    RUN(noun, type, fast_##noun(&p, r->end, &v), double, slow_float(r, wide, &w, e))
#define RUN_INTEGER(noun, type)                                                                    \
    static inline bool fast_##noun(const char **p, const char *end, const struct range *range,     \
                                   type *out) {                                                    \
        uint64_t v;                                                                                \
        if (!fast_integer(p, end, range, &v))                                                      \
            return false;                                                                          \
        *out = (type)v;                                                                            \
        return true;                                                                               \
    }                                                                                              \
    RUN(noun, type, fast_##noun(&p, r->end, range, &v), uint64_t, slow_integer(r, range, &w, e))

RUN_FLOAT(f32, float, false)
RUN_FLOAT(f64, double, true)
RUN_INTEGER(u8, uint8_t)
RUN_INTEGER(u16, uint16_t)
RUN_INTEGER(u32, uint32_t)
RUN_INTEGER(u64, uint64_t)

static enum code run_string(struct json *r, const struct range *range, bool once, struct buf *out,
                            int64_t *n, struct err *e) {
    (void)range;
    do {
        struct str v;
        TRY(json_string(r, &v, e));
        buf_put(out, &v, sizeof v);
        TRY(buf_check(out, "JSON strings", e));
        ++*n;
    } while (!once && comma(&r->p, r->end));
    return OK;
}

struct element {
    run_fn *run; /* signed integers share the run of their size: two's complement */
    size_t size; /* bytes */
    struct range range;
};

static const struct element elements[] = {
    [JN_F32] = {run_f32, 4, {"f32"}},
    [JN_F64] = {run_f64, 8, {"f64"}},
    [JN_I8] = {run_u8, 1, {"i8", 1u << 7, INT8_MAX}},
    [JN_I16] = {run_u16, 2, {"i16", 1u << 15, INT16_MAX}},
    [JN_I32] = {run_u32, 4, {"i32", 1u << 31, INT32_MAX}},
    [JN_I64] = {run_u64, 8, {"i64", (uint64_t)1 << 63, INT64_MAX}},
    [JN_U8] = {run_u8, 1, {"u8", 0, UINT8_MAX}},
    [JN_U16] = {run_u16, 2, {"u16", 0, UINT16_MAX}},
    [JN_U32] = {run_u32, 4, {"u32", 0, UINT32_MAX}},
    [JN_U64] = {run_u64, 8, {"u64", 0, UINT64_MAX}},
    [JN_BOOL] = {run_u8, 1, {"bool", 0, 1}},
};

static const struct element string_element = {run_string, sizeof(struct str), {"string", 0, 0}};

size_t json_number_size(enum json_number type) { return elements[type].size; }

/* --- nesting --- */

struct nest {
    struct json *r;
    int rank;  /* -1 until the first leaf or empty array */
    int level; /* open arrays */
    int64_t counts[JSON_RANK],
        dims[JSON_RANK]; /* per level; dims -1 until the first array there closed */
};

static enum code ragged(const struct nest *t, const char *what, struct err *e) {
    return json_fail(t->r, e, "ragged nesting: %s at depth %d, others at depth %d", what, t->level,
                     t->rank);
}

static enum code open_array(struct nest *t, struct err *e) {
    struct json *r = t->r;
    if (t->rank >= 0 && t->level >= t->rank)
        return ragged(t, "an array", e);
    if (t->level == JSON_RANK)
        return json_fail(r, e, "nested deeper than %d", JSON_RANK);
    r->p = json_space(r->p + 1, r->end);
    t->counts[t->level++] = 0;
    if (r->p == r->end || *r->p != ']')
        return OK;
    if (t->rank >= 0 && t->rank != t->level)
        return ragged(t, "an empty array", e);
    t->rank = t->level;
    return OK;
}

static enum code close_array(struct nest *t, struct err *e) {
    int64_t *dim = &t->dims[t->level - 1], count = t->counts[t->level - 1];
    if (*dim >= 0 && *dim != count)
        return json_fail(t->r, e, "ragged nesting: %lld items at depth %d, others have %lld",
                         (long long)count, t->level, (long long)*dim);
    *dim = count;
    t->r->p++;
    if (--t->level)
        t->counts[t->level - 1]++;
    return OK;
}

/* After a value: closes what closes here. *more: a comma was taken and a value must follow. */
static enum code climb(struct nest *t, bool *more, struct err *e) {
    struct json *r = t->r;
    while (t->level) {
        r->p = json_space(r->p, r->end);
        if (r->p < r->end && *r->p == ',') {
            r->p++;
            *more = true;
            return OK;
        }
        if (r->p == r->end || *r->p != ']')
            return json_expected(r, "',' or ']'", e);
        TRY(close_array(t, e));
    }
    *more = false;
    return OK;
}

static enum code take_nest(struct nest *t, const struct element *kind, struct buf *out,
                           struct err *e) {
    struct json *r = t->r;
    for (bool more = true; more;) {
        r->p = json_space(r->p, r->end);
        if (r->p < r->end && *r->p == '[') {
            TRY(open_array(t, e));
            if (r->p == r->end || *r->p != ']')
                continue;
        } else {
            int64_t alone = 0;
            if (t->rank >= 0 && t->rank != t->level)
                return ragged(t, "a value", e);
            t->rank = t->level;
            TRY(kind->run(r, &kind->range, t->level == 0, out,
                          t->level ? &t->counts[t->level - 1] : &alone, e));
        }
        TRY(climb(t, &more, e));
    }
    return OK;
}

static enum code take_tensor(struct json *r, const struct element *kind, struct buf *out,
                             struct json_tensor *shape, struct err *e) {
    struct nest t = {.r = r, .rank = -1};
    memset(t.dims, 0xff, sizeof t.dims);
    size_t start = out->n;
    enum code code = take_nest(&t, kind, out, e);
    if (code != OK) {
        out->n = start;
        return code;
    }
    *shape = (struct json_tensor){.rank = t.rank, .count = (out->n - start) / kind->size};
    for (int level = 0; level < t.rank; level++)
        shape->dims[level] = t.dims[level];
    return OK;
}

enum code json_tensor(struct json *r, enum json_number type, struct buf *out,
                      struct json_tensor *shape, struct err *e) {
    return take_tensor(r, &elements[type], out, shape, e);
}

enum code json_strings(struct json *r, struct buf *out, struct json_tensor *shape, struct err *e) {
    return take_tensor(r, &string_element, out, shape, e);
}
