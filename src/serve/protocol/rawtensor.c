/* SPDX-License-Identifier: Apache-2.0 */
/* Raw tensors of the Open Inference Protocol: see rawtensor.h. */
#include "serve/protocol/rawtensor.h"

#include "serve/answer.h"
#include "serve/in.h"
#include "serve/media.h"
#include "serve/protocol/datatype.h"
#include "serve/rank.h"
#include "serve/records.h"

enum { NAME_ROOM = 240 };

enum code rawtensor_check(const struct request *r, struct str name, enum dtype dtype,
                          struct err *e) {
    const struct live_io *io;
    char names[NAME_ROOM];
    size_t n = live_inputs(r->ask.live, &io), at = 0;
    while (at < n && !str_eq(io[at].name, name))
        at++;
    if (at == n)
        return fail(e, INVALID, "unexpected inference input '%.*s' for model '%.*s'; it takes %s",
                    STR(name), STR(r->model), records_names(io, n, names, sizeof names));
    bool image = dtype == DT_STRING && media_takes(&io[at]); /* its bytes: media.h */
    if (io[at].dtype != dtype && !image)
        return fail(e, INVALID,
                    "inference input '%.*s' data-type is '%s', but model '%.*s' expects '%s'",
                    STR(name), datatype_name(dtype), STR(r->model), datatype_name(io[at].dtype));
    return OK;
}

static enum code read_bytes(struct arena *a, struct span raw, size_t count, struct str name,
                            struct tensor *out, struct err *e) {
    struct str *text = ARENA_ARRAY(a, count + 1, struct str);
    size_t at = 0;
    if (!text)
        return arena_fail(a, count * sizeof *text, "BYTES input", e);
    for (size_t i = 0; i < count; i++) {
        uint32_t n;
        if (raw.n - at < sizeof n)
            return fail(e, INVALID, "input '%.*s': the binary data ends inside element %zu of %zu",
                        STR(name), i, count);
        memcpy(&n, raw.p + at, sizeof n);
        at += sizeof n;
        if (n > raw.n - at)
            return fail(e, INVALID, "input '%.*s': element %zu says %u bytes, %zu are left",
                        STR(name), i, n, raw.n - at);
        text[i] = (struct str){(const char *)raw.p + at, n};
        at += n;
    }
    if (at != raw.n)
        return fail(e, INVALID, "input '%.*s': %zu bytes follow its %zu elements", STR(name),
                    raw.n - at, count);
    out->data = text;
    return OK;
}

static void make_truths(uint8_t *p, size_t n) { /* a bool is 0 or 1 for every kernel */
    for (size_t i = 0; i < n; i++)
        p[i] = p[i] != 0;
}

enum code rawtensor_read(struct arena *a, struct span raw, struct str name, struct tensor *out,
                         struct err *e) {
    size_t count, size = dtype_size(out->dtype);
    if (!shape_count(&out->shape, &count))
        return fail(e, INVALID, "input '%.*s': its shape is too large", STR(name));
    if (out->dtype == DT_STRING) {
        if (count > raw.n / sizeof(uint32_t))
            return fail(e, INVALID, "input '%.*s': %zu elements do not fit in %zu bytes", STR(name),
                        count, raw.n);
        return read_bytes(a, raw, count, name, out, e);
    }
    if (count != raw.n / size || raw.n % size)
        return fail(e, INVALID, "input '%.*s': got %zu bytes, expected %zu for %zu elements of %s",
                    STR(name), raw.n, count * size, count, datatype_name(out->dtype));
    out->data = (void *)(uintptr_t)raw.p;
    if (out->dtype == DT_BOOL)
        make_truths(out->data, count);
    if ((uintptr_t)raw.p % size == 0)
        return OK;
    TRY(tensor_new(a, out->dtype, &out->shape, out, e));
    memcpy(out->data, raw.p, raw.n);
    return OK;
}

enum code rawtensor_strings(struct request *r, const struct tensor *t, struct span *out,
                            struct err *e) {
    const struct str *text = t->data;
    size_t n = tensor_count(t);
    struct buf *b = answer_buf(r, n * 16, e);
    if (!b)
        return e->code;
    for (size_t i = 0; i < n; i++) {
        uint32_t length = (uint32_t)text[i].n;
        buf_put(b, &length, sizeof length);
        buf_put(b, text[i].p, length);
    }
    *out = (struct span){(const uint8_t *)b->p, b->n};
    return buf_check(b, "answer", e);
}

enum code rawtensor_fetch(struct request *r, const struct rawtensor_place *p, struct str name,
                          struct tensor *out, struct err *e) {
    size_t n = (size_t)p->bytes;
    void *bytes = n <= r->options->http.body_bytes ? arena_push_aligned(r->arena, n + 1, 64) : NULL;
    if (!bytes)
        return fail(e, TOO_LARGE, "input '%.*s': %zu bytes of shared memory are too many",
                    STR(name), n);
    TRY(region_read(r->server->regions, p->region, (uint64_t)p->offset, bytes, n, e));
    return rawtensor_read(r->arena, (struct span){bytes, n}, name, out, e);
}

enum code rawtensor_store(struct request *r, const struct rawtensor_place *p, struct str name,
                          const struct tensor *t, size_t *n, struct err *e) {
    struct span bytes = {t->data, tensor_bytes(t)};
    if (t->dtype == DT_STRING)
        TRY(rawtensor_strings(r, t, &bytes, e));
    if (bytes.n > (size_t)p->bytes)
        return fail(e, INVALID,
                    "shared memory size specified with the request for output '%.*s' (%lld bytes) "
                    "should be at least %zu bytes to hold the results",
                    STR(name), (long long)p->bytes, bytes.n);
    TRY(region_write(r->server->regions, p->region, (uint64_t)p->offset, bytes, e));
    *n = bytes.n;
    return OK;
}

enum code rawtensor_classify(struct arena *a, struct tensor *t, int64_t most, struct err *e) {
    if (t->dtype == DT_STRING || t->shape.rank == 0)
        return fail(e, INVALID, "classification needs a numeric output with at least one dim");
    struct shape shape = t->shape;
    size_t classes = (size_t)shape.dims[shape.rank - 1],
           k = (size_t)most < classes ? (size_t)most : classes;
    struct tensor out;
    shape.dims[shape.rank - 1] = (int64_t)k;
    TRY(tensor_new(a, DT_STRING, &shape, &out, e));
    struct ranked *best = ARENA_ARRAY(a, k + 1, struct ranked);
    struct str *text = out.data;
    size_t rows = classes ? tensor_count(t) / classes : 0;
    if (!best)
        return arena_fail(a, k * sizeof *best, "classification", e);
    for (size_t row = 0; row < rows; row++) {
        rank_top(t, row * classes, classes, best, k);
        for (size_t i = 0; i < k; i++) {
            char *p = arena_printf(a, "%f:%zu", best[i].score, best[i].index);
            if (!p)
                return arena_fail(a, 32, "classification", e);
            *text++ = str_of(p);
        }
    }
    *t = out;
    return OK;
}
