/* SPDX-License-Identifier: Apache-2.0 */
/* Warm-up requests: see warmup.h.
 *
 *   TFRecord = u64:n u32:masked CRC-32C of n  n bytes  u32:masked CRC-32C of them   (little-endian)
 *   masked   = rotated right by 15, plus a constant        (tensorflow/core/lib/hash/crc32c.h)
 *
 * Field numbers: prediction_log.proto, predict.proto, classification.proto, inference.proto of
 * tensorflow_serving/apis. Answers in a log are not looked at, nor is whose model it was. */
#include "job/warmup.h"

#include "base/hash.h"
#include "job/tfproto.h"

enum {
    RECORD_HEAD = 12, /* length, its sum */
    RECORD_TAIL = 4,
    INPUTS = 1024, /* of one request */
};

/* --- TFRecord --- */

static bool sum_fits(const uint8_t *p, size_t n, const uint8_t *sum) {
    uint32_t crc = crc32c(0, p, n), stored;
    memcpy(&stored, sum, sizeof stored);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u == stored;
}

static enum code next_record(struct span *rest, struct span *out, struct err *e) {
    uint64_t n;
    if (rest->n < RECORD_HEAD)
        return fail(e, CORRUPT, "the file ends within it");
    if (!sum_fits(rest->p, sizeof n, rest->p + sizeof n))
        return fail(e, CORRUPT, "the sum of its length does not fit: a TFRecord file is expected");
    memcpy(&n, rest->p, sizeof n);
    if (rest->n - RECORD_HEAD < RECORD_TAIL || n > rest->n - RECORD_HEAD - RECORD_TAIL)
        return fail(e, CORRUPT, "the file ends within it");
    *out = (struct span){rest->p + RECORD_HEAD, (size_t)n};
    if (!sum_fits(out->p, out->n, out->p + out->n))
        return fail(e, CORRUPT, "its sum does not fit: its bytes changed");
    size_t whole = RECORD_HEAD + (size_t)n + RECORD_TAIL;
    *rest = (struct span){rest->p + whole, rest->n - whole};
    return OK;
}

/* --- PredictionLog --- */

struct signature {
    const struct live_io *io;
    size_t n;
};

/* The bytes of field `number`, the last one where there are several; .p NULL: none. */
static enum code find_bytes(struct span message, uint32_t number, struct span *out, struct err *e) {
    struct pb_field f;
    struct pb p;
    bool more;
    *out = (struct span){0};
    pb_init(&p, message);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == number)
            TRY(pb_bytes(&f, out, e));
    }
}

/* ModelSpec {1 name, 2 version, 3 signature_name, 4 version_label} as field 1. */
static enum code check_spec(struct span request, struct err *e) {
    struct span spec, name;
    TRY(find_bytes(request, 1, &spec, e));
    TRY(find_bytes(spec, 3, &name, e));
    return tfproto_signature((struct str){(const char *)name.p, name.n}, e);
}

/* An entry of PredictRequest.inputs {1 key, 2 TensorProto}. */
static enum code take_input(struct span entry, struct arena *a, struct ask_tensor *out,
                            struct err *e) {
    struct span key, value;
    TRY(find_bytes(entry, 1, &key, e));
    TRY(find_bytes(entry, 2, &value, e));
    out->name = (struct str){(const char *)key.p, key.n};
    return tfproto_take(a, value, out->name, &out->tensor, e);
}

static enum code take_predict(struct span request, struct arena *a, struct tape *t, struct err *e) {
    struct pb_field f;
    struct pb p;
    struct span entry;
    bool more;
    TRY(check_spec(request, e));
    pb_init(&p, request);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number != 2)
            continue;
        if (t->n_inputs == INPUTS)
            return fail(e, INVALID, "more than %d inputs", INPUTS);
        TRY(pb_bytes(&f, &entry, e));
        TRY(take_input(entry, a, &t->inputs[t->n_inputs++], e));
    }
}

/* ClassificationRequest, RegressionRequest {1 spec, 2 Input}; MultiInferenceRequest {1 tasks, 2
 * Input}: what runs is the same. */
static enum code take_examples(struct span request, const struct signature *s, struct arena *a,
                               struct tape *t, struct err *e) {
    struct span input;
    TRY(find_bytes(request, 2, &input, e));
    if (s->n > INPUTS)
        return fail(e, UNSUPPORTED, "examples for a model of %zu inputs", s->n);
    return tfproto_examples(a, input, s->io, s->n, t->inputs, &t->n_inputs, e);
}

static enum code take_log(struct span log, const struct signature *s, struct arena *a,
                          struct tape *t, struct err *e) {
    enum { CLASSIFY = 2, REGRESS = 3, MULTI = 4, SESSION_RUN = 5, PREDICT = 6, STREAMED = 7 };
    struct pb_field f;
    struct pb p;
    struct span bytes, request = {0};
    uint32_t kind = 0;
    bool more;
    pb_init(&p, log);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        if (f.number < CLASSIFY || f.number > STREAMED)
            continue;
        TRY(pb_bytes(&f, &bytes, e));
        TRY(find_bytes(bytes, 1, &request, e));
        kind = f.number;
    }
    switch (kind) {
    case PREDICT: return take_predict(request, a, t, e);
    case CLASSIFY:
    case REGRESS: TRY(check_spec(request, e)); return take_examples(request, s, a, t, e);
    case MULTI: return take_examples(request, s, a, t, e);
    case SESSION_RUN: return fail(e, UNSUPPORTED, "session_run_log is not supported");
    case STREAMED: return fail(e, UNSUPPORTED, "predict_streamed_log is not supported");
    default: return fail(e, INVALID, "a PredictionLog without a log");
    }
}

/* --- files --- */

static enum code put_log(struct span record, const struct signature *s, struct arena *a,
                         struct buf *out, struct err *e) {
    struct tape t = {.inputs = ARENA_ARRAY(a, INPUTS, struct ask_tensor)};
    if (!t.inputs)
        return arena_fail(a, INPUTS * sizeof *t.inputs, "inputs", e);
    TRY(take_log(record, s, a, &t, e));
    tape_put(out, &t);
    return buf_check(out, "warm-up requests", e);
}

static enum code put_own(struct span *rest, struct arena *a, struct buf *out, bool *more,
                         struct err *e) {
    struct tape t;
    TRY(tape_next(rest, a, &t, more, e));
    t.outputs = NULL;
    t.n_outputs = 0;
    if (*more)
        tape_put(out, &t);
    return buf_check(out, "warm-up requests", e);
}

static enum code put_next(struct span *rest, const struct signature *s, struct arena *a,
                          struct buf *out, bool *more, struct err *e) {
    struct span record;
    if (rest->n >= 4 && memcmp(rest->p, "TAPE", 4) == 0)
        return put_own(rest, a, out, more, e);
    *more = true;
    TRY(next_record(rest, &record, e));
    return put_log(record, s, a, out, e);
}

enum code warmup_read(struct span file, const struct live_io *io, size_t n_io, struct buf *out,
                      struct err *e) {
    struct signature s = {io, n_io};
    struct arena a;
    enum code code = OK;
    bool more = true;
    arena_init(&a, 2 * (size_t)WARMUP_BYTES);
    for (size_t n = 1; code == OK && more && file.n; n++) {
        struct arena_mark mark = arena_mark(&a);
        if (n > WARMUP_RECORDS)
            code = fail(e, LIMIT, "more than %d records", WARMUP_RECORDS);
        else if ((code = put_next(&file, &s, &a, out, &more, e)) != OK)
            code = err_prefix(e, "record %zu", n);
        arena_reset(&a, mark);
    }
    arena_deinit(&a);
    return code;
}
