/* SPDX-License-Identifier: Apache-2.0 */
/* Tapes: see tape.h. All numbers little-endian.
 *
 *   record = "TAPE" u32:form=1 u64:n (bytes that follow) u64:at_us u64:version u32:inputs
 * u32:outputs tensor... u32:crc (CRC-32C of the n - 4 bytes before it) tensor = u32:n name  u32:n
 * type ("f32")  u32:rank i64:dim...  u64:n data (strings: u32:n bytes, each; else the elements,
 * row-major)
 *
 * Reading: every length is checked against what is left before it is used; a record that claims
 * more than the file has is a torn one, which ends the tape. */
#include "host/tape.h"

#include "base/hash.h"

#include <string.h>

enum { FORM = 1, HEAD = 16, TENSORS = 1024, NAME = 4096, CRC = 4 };

/* --- writing --- */

static void put_text(struct buf *b, struct str text) {
    uint32_t n = (uint32_t)text.n;
    buf_put(b, &n, sizeof n);
    buf_put(b, text.p, text.n);
}

static size_t string_bytes(const struct tensor *t) {
    const struct str *s = t->data;
    size_t n = 0;
    for (size_t i = 0; i < tensor_count(t); i++)
        n += sizeof(uint32_t) + s[i].n;
    return n;
}

static void put_tensor(struct buf *b, const struct ask_tensor *a) {
    const struct tensor *t = &a->tensor;
    uint32_t rank = (uint32_t)t->shape.rank;
    uint64_t n = t->dtype == DT_STRING ? string_bytes(t) : tensor_bytes(t);
    put_text(b, a->name);
    put_text(b, str_of(dtype_name(t->dtype)));
    buf_put(b, &rank, sizeof rank);
    buf_put(b, t->shape.dims, rank * sizeof *t->shape.dims);
    buf_put(b, &n, sizeof n);
    if (t->dtype != DT_STRING) {
        buf_put(b, t->data, n);
        return;
    }
    for (size_t i = 0; i < tensor_count(t); i++)
        put_text(b, ((const struct str *)t->data)[i]);
}

void tape_put(struct buf *b, const struct tape *t) {
    uint32_t form = FORM, counts[2] = {(uint32_t)t->n_inputs, (uint32_t)t->n_outputs};
    uint64_t n = 0;
    size_t begin = b->n;
    buf_put_text(b, "TAPE");
    buf_put(b, &form, sizeof form);
    buf_put(b, &n, sizeof n);
    buf_put(b, &t->at_us, sizeof t->at_us);
    buf_put(b, &t->version, sizeof t->version);
    buf_put(b, counts, sizeof counts);
    for (size_t i = 0; i < t->n_inputs; i++)
        put_tensor(b, &t->inputs[i]);
    for (size_t i = 0; i < t->n_outputs; i++)
        put_tensor(b, &t->outputs[i]);
    if (b->code != OK)
        return;
    uint32_t crc = crc32c(0, b->p + begin + HEAD, b->n - begin - HEAD);
    buf_put(b, &crc, sizeof crc);
    if (b->code != OK)
        return;
    n = b->n - begin - HEAD;
    memcpy(b->p + begin + 8, &n, sizeof n);
}

/* --- reading --- */

static bool take(struct span *s, void *out, size_t n) {
    if (s->n < n)
        return false;
    if (n)
        memcpy(out, s->p, n);
    *s = (struct span){s->p + n, s->n - n};
    return true;
}

static enum code broken(struct err *e, const char *what) {
    return fail(e, CORRUPT, "tape: %s", what);
}

static enum code take_text(struct span *s, size_t most, struct arena *a, struct str *out,
                           struct err *e) {
    uint32_t n;
    if (!take(s, &n, sizeof n) || n > s->n || n > most)
        return broken(e, "a text that is too long");
    *out = arena_str(a, (struct str){(const char *)s->p, n});
    if (n && !out->p)
        return arena_fail(a, n, "tape", e);
    *s = (struct span){s->p + n, s->n - n};
    return OK;
}

static enum code take_shape(struct span *s, struct shape *out, struct err *e) {
    uint32_t rank;
    int64_t count = 1;
    if (!take(s, &rank, sizeof rank) || rank > SHAPE_MAX)
        return broken(e, "a rank that is too high");
    out->rank = (int)rank;
    for (uint32_t d = 0; d < rank; d++) {
        if (!take(s, &out->dims[d], sizeof out->dims[d]) || out->dims[d] < 0 ||
            __builtin_mul_overflow(count, out->dims[d], &count))
            return broken(e, "a shape that cannot be");
    }
    return count <= INT32_MAX ? OK : broken(e, "a shape that is too large");
}

static enum code take_strings(struct span data, struct arena *a, struct tensor *t, struct err *e) {
    struct str *s = t->data;
    for (size_t i = 0; i < tensor_count(t); i++)
        TRY(take_text(&data, data.n, a, &s[i], e));
    return data.n ? broken(e, "bytes behind the last string") : OK;
}

static enum code take_tensor(struct span *s, struct arena *a, struct ask_tensor *out,
                             struct err *e) {
    struct str type;
    struct shape shape = {0};
    enum dtype dtype;
    uint64_t n;
    TRY(take_text(s, NAME, a, &out->name, e));
    TRY(take_text(s, 32, a, &type, e));
    TRY(take_shape(s, &shape, e));
    if (!dtype_from_name(type, &dtype) || (dtype != DT_STRING && dtype_size(dtype) == 0))
        return broken(e, "an unknown type");
    if (!take(s, &n, sizeof n) || n > s->n)
        return broken(e, "data that is too long");
    struct span data = {s->p, (size_t)n};
    *s = (struct span){s->p + n, s->n - (size_t)n};
    size_t count;
    if (dtype == DT_STRING && (!shape_count(&shape, &count) || count > n / sizeof(uint32_t)))
        return broken(e, "fewer strings than its shape says");
    TRY(tensor_new(a, dtype, &shape, &out->tensor, e));
    if (dtype == DT_STRING)
        return take_strings(data, a, &out->tensor, e);
    if (tensor_bytes(&out->tensor) != n)
        return broken(e, "data that does not fit its shape");
    if (n)
        memcpy(out->tensor.data, data.p, (size_t)n);
    return OK;
}

static enum code take_tensors(struct span *s, size_t n, struct arena *a, struct ask_tensor **out,
                              struct err *e) {
    struct ask_tensor *all = ARENA_ARRAY(a, n + 1, struct ask_tensor);
    if (!all)
        return arena_fail(a, n * sizeof *all, "tape", e);
    for (size_t i = 0; i < n; i++)
        TRY(take_tensor(s, a, &all[i], e));
    *out = all;
    return OK;
}

static enum code take_body(struct span body, struct arena *a, struct tape *t, struct err *e) {
    uint32_t counts[2];
    if (!take(&body, &t->at_us, sizeof t->at_us) || !take(&body, &t->version, sizeof t->version) ||
        !take(&body, counts, sizeof counts) || counts[0] > TENSORS || counts[1] > TENSORS)
        return broken(e, "a record without its beginning");
    t->n_inputs = counts[0];
    t->n_outputs = counts[1];
    TRY(take_tensors(&body, t->n_inputs, a, &t->inputs, e));
    TRY(take_tensors(&body, t->n_outputs, a, &t->outputs, e));
    return body.n ? broken(e, "bytes behind the last tensor") : OK;
}

enum code tape_next(struct span *rest, struct arena *a, struct tape *out, bool *found,
                    struct err *e) {
    struct span s = *rest;
    struct tape t = {0};
    uint32_t form, crc;
    char magic[4];
    uint64_t n;
    *found = false;
    if (!take(&s, magic, sizeof magic) || !take(&s, &form, sizeof form) || !take(&s, &n, sizeof n))
        return OK;
    if (memcmp(magic, "TAPE", 4) != 0 || form != FORM)
        return broken(e, "not a record of form 1");
    if (n > s.n)
        return OK; /* torn */
    if (n < CRC)
        return broken(e, "a record without its sum");
    struct span body = {s.p, (size_t)n - CRC};
    memcpy(&crc, s.p + body.n, sizeof crc);
    if (crc != crc32c(0, body.p, body.n))
        return broken(e, "a record whose bytes changed");
    TRY(take_body(body, a, &t, e));
    *rest = (struct span){s.p + n, s.n - (size_t)n};
    *out = t;
    *found = true;
    return OK;
}
