/* SPDX-License-Identifier: Apache-2.0 */
/* Padding: see pad.h.
 *
 * 1. Lengths of one power of two (16 at least) join, so that no run is more than twice as wide as
 *    what it was asked; it is as wide as the longest, and where that saves plans, a little more.
 * 2. The try: two requests of lengths A and B by themselves, then both in one padded run, by the
 *    code that requests take. Output dims that were A and B follow the length and are cut back to
 *    it; a dim that changed otherwise, or a value beyond rounding, and the version runs unpadded.
 */
#include "host/in.h"

#include "base/cores.h"
#include "base/log.h"
#include "base/mem.h"
#include "llm/tokenizer.h"
#include "tensor/cast.h"
#include "tensor/compare.h"

enum { LEAST = 16, STEP = 8, TRY_A = 5, TRY_B = 11, TRY_FREE = 32, TRY_BYTES = 1 << 30 };
#define TRY_RELATIVE 1e-4 /* of the largest value: another order of sums */

/* --- what is declared --- */

/* The only free dim beside the batch; 0: there is none, or several. */
static int free_dim(const struct live_io *io) {
    int found = 0;
    for (int d = 1; d < io->shape.rank; d++)
        if (io->shape.dims[d] < 0) {
            if (found)
                return 0;
            found = d;
        }
    return io->dtype == DT_STRING ? 0 : found;
}

static enum code parse_one(struct str text, const struct live_io *io, size_t n,
                           struct pad_input *out, struct err *e) {
    struct str name = text, value = {0};
    size_t at = text.n, i = 0;
    while (at > 0 && text.p[at - 1] != '=')
        at--;
    if (at > 0) {
        name = str_sub(text, 0, at - 1);
        value = str_sub(text, at, text.n);
    }
    while (i < n && !str_eq(io[i].name, name))
        i++;
    if (i == n)
        return fail(e, INVALID, "padding: the model has no input '%.*s'",
                    STR(str_sub(name, 0, 80)));
    out[i].dim = free_dim(&io[i]);
    if (!out[i].dim)
        return fail(e, INVALID,
                    "padding: input '%.*s' needs numbers, and one free dim beside the batch",
                    STR(io[i].name));
    out[i].value = 0;
    if (value.n && !str_to_f64(value, &out[i].value))
        return fail(e, INVALID, "padding: '%.*s' is not a number", STR(str_sub(value, 0, 40)));
    return OK;
}

enum code pad_parse(struct str text, const struct live_io *io, size_t n, struct pad_input *out,
                    struct err *e) {
    for (size_t i = 0; i < n; i++)
        out[i] = (struct pad_input){0};
    while (text.n) {
        size_t end = text.n;
        str_find(text, ',', &end);
        TRY(parse_one(str_sub(text, 0, end), io, n, out, e));
        text = str_sub(text, end + 1, text.n);
    }
    return OK;
}

/* A text encoder's inputs are padded as its tokenizer would; `all`: whatever can be, by zeros. */
static void suppose(const struct live *l, bool all, struct pad_input *out) {
    bool text = false;
    for (size_t i = 0; i < l->n_inputs; i++)
        text = text || l->inputs[i].text;
    for (size_t i = 0; i < l->n_inputs; i++) {
        const struct live_io *io = &l->inputs[i];
        bool padded = text ? io->text || io->filled : all;
        out[i] = (struct pad_input){.dim = padded ? free_dim(io) : 0};
        if (io->text && tokenizer_pad(l->loaded.tokenizer) > 0)
            out[i].value = tokenizer_pad(l->loaded.tokenizer);
    }
}

static enum code declare(struct live *l, bool all, struct err *e) {
    struct span part = live_part(l, PAD_PART);
    l->padding.inputs = ARENA_ARRAY(&l->loaded.arena, l->n_inputs + 1, struct pad_input);
    l->padding.follow = ARENA_ARRAY(&l->loaded.arena, l->n_outputs + 1, uint32_t);
    if (!l->padding.inputs || !l->padding.follow)
        return arena_fail(&l->loaded.arena, l->n_inputs * sizeof *l->padding.inputs, "padding", e);
    if (part.n)
        return pad_parse((struct str){(const char *)part.p, part.n}, l->inputs, l->n_inputs,
                         l->padding.inputs, e);
    suppose(l, all, l->padding.inputs);
    return OK;
}

static bool pads_any(const struct live *l) {
    bool any = false;
    for (size_t i = 0; i < l->n_inputs; i++)
        any = any || l->padding.inputs[i].dim;
    return any;
}

/* --- lengths --- */

int64_t pad_length(const struct live *l, const struct ask *a) {
    int64_t length = 0;
    for (size_t i = 0; i < l->n_inputs; i++) {
        int dim = l->padding.inputs[i].dim;
        if (!dim)
            continue;
        const struct tensor *t = &a->bound[i];
        if (t->dtype == DT_NONE || (length && t->shape.dims[dim] != length))
            return 0;
        length = t->shape.dims[dim];
    }
    return length;
}

static int64_t bucket(int64_t length) {
    int64_t b = LEAST;
    while (b < length)
        b *= 2;
    return b;
}

bool pad_joins(const struct live *l, const struct ask *a, const struct ask *b) {
    int64_t m = pad_length(l, a), n = pad_length(l, b);
    return m > 0 && n > 0 && bucket(m) == bucket(n);
}

int64_t pad_width(const struct live *l, const struct batch *b) {
    int64_t longest = 0, shortest = INT64_MAX;
    if (!l->padding.on)
        return 0;
    for (const struct ask *a = b->first; a; a = a->next) {
        int64_t n = pad_length(l, a);
        longest = n > longest ? n : longest;
        shortest = n < shortest ? n : shortest;
    }
    return longest == shortest ? 0 : (longest + STEP - 1) / STEP * STEP;
}

/* --- copying --- */

/* One element of the filling. */
static void filling(const struct pad_input *p, enum dtype dtype, uint8_t out[16]) {
    struct err ignored;
    memset(out, 0, 16);
    if (p->value != 0)
        (void)!cast_elements(dtype, out, DT_F64, &p->value, 1, true, NULL, &ignored);
}

char *pad_copy(const struct pad_input *p, const struct tensor *t, int64_t width, char *to) {
    uint8_t element[16];
    size_t size = dtype_size(t->dtype), outer = 1, inner = 1;
    for (int d = 0; d < p->dim; d++)
        outer *= (size_t)t->shape.dims[d];
    for (int d = p->dim + 1; d < t->shape.rank; d++)
        inner *= (size_t)t->shape.dims[d];
    size_t length = (size_t)t->shape.dims[p->dim], rest = ((size_t)width - length) * inner;
    const char *from = t->data;
    filling(p, t->dtype, element);
    for (size_t i = 0; i < outer; i++, from += length * inner * size) {
        memcpy(to, from, length * inner * size);
        to += length * inner * size;
        for (size_t k = 0; k < rest; k++, to += size)
            memcpy(to, element, size);
    }
    return to;
}

struct shape pad_cut(const struct live *l, size_t output, const struct ask *a, struct shape whole) {
    for (int d = 1; d < whole.rank; d++)
        if (l->padding.follow[output] >> d & 1)
            whole.dims[d] = pad_length(l, a);
    return whole;
}

/* --- the try --- */

struct attempt {
    struct live *live;
    struct arena arena;
    struct ask a, b; /* of one row each */
    int threads;
};

static bool says(struct str name, const char *word) {
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= name.n; i++)
        if (memcmp(name.p + i, word, n) == 0)
            return true;
    return false;
}

/* Something a model may be asked: masks of ones, kinds of zeros, small numbers else. */
static double sample(const struct live_io *io, size_t k) {
    if (says(io->name, "mask"))
        return 1;
    if (says(io->name, "type"))
        return 0;
    double step = (double)(k * 7 % 11);
    return dtype_is_float(io->dtype) ? step / 5.5 - 0.9 : 1 + (double)(k % 3);
}

static enum code make_input(struct attempt *t, size_t i, int64_t length, struct tensor *out,
                            struct err *e) {
    const struct live_io *io = &t->live->inputs[i];
    struct shape shape = io->shape;
    if (io->optional && !t->live->padding.inputs[i].dim)
        return OK;
    for (int d = 0; d < shape.rank; d++)
        if (shape.dims[d] < 0)
            shape.dims[d] = d == 0 ? 1 : d == t->live->padding.inputs[i].dim ? length : TRY_FREE;
    TRY(tensor_new(&t->arena, io->dtype, &shape, out, e));
    size_t n = tensor_count(out), size = dtype_size(io->dtype);
    for (size_t k = 0; k < n && io->dtype != DT_STRING; k++) {
        double v = sample(io, k);
        TRY(cast_elements(io->dtype, (char *)out->data + k * size, DT_F64, &v, 1, true, NULL, e));
    }
    return OK;
}

static enum code make_ask(struct attempt *t, int64_t length, struct ask *a, struct err *e) {
    *a = (struct ask){.arena = &t->arena, .rows = 1};
    a->bound = ARENA_ARRAY(&t->arena, t->live->n_inputs + 1, struct tensor);
    if (!a->bound)
        return arena_fail(&t->arena, t->live->n_inputs * sizeof *a->bound, "padding", e);
    for (size_t i = 0; i < t->live->n_inputs; i++)
        TRY(make_input(t, i, length, &a->bound[i], e));
    return OK;
}

/* The ask by itself; its outputs are its answer. */
static enum code run_alone(struct attempt *t, struct ask *a, struct err *e) {
    struct session_run run;
    struct session_ask ask = {.inputs = a->bound, .threads = t->threads};
    TRY(session_begin(t->live->loaded.session, &ask, &run, e));
    enum code code = batch_give(t->live, &run, a, 0, NULL, e);
    session_end(t->live->loaded.session, &run);
    return code;
}

/* Which dims follow the length, from both answers. */
static enum code find_follow(struct attempt *t, struct err *e) {
    struct live *l = t->live;
    for (size_t i = 0; i < l->n_outputs; i++) {
        const struct shape *a = &t->a.outputs[i].tensor.shape, *b = &t->b.outputs[i].tensor.shape;
        l->padding.follow[i] = 0;
        if (a->rank != b->rank || a->rank == 0 || a->dims[0] != 1 || b->dims[0] != 1)
            return fail(e, INVALID, "output '%.*s' has no row for each of the input",
                        STR(l->outputs[i].name));
        for (int d = 1; d < a->rank; d++) {
            if (a->dims[d] == b->dims[d])
                continue;
            if (a->dims[d] != TRY_A || b->dims[d] != TRY_B)
                return fail(e, INVALID, "output '%.*s' is of another length than the input",
                            STR(l->outputs[i].name));
            l->padding.follow[i] |= 1u << d;
        }
    }
    return OK;
}

static enum code compare_answers(const struct live *l, const struct ask_tensor *alone,
                                 const struct ask_tensor *padded, struct err *e) {
    for (size_t i = 0; i < l->n_outputs; i++) {
        const struct tensor *want = &alone[i].tensor, *got = &padded[i].tensor;
        struct compare c;
        double largest = 0;
        if (want->dtype == DT_STRING)
            return fail(e, UNSUPPORTED, "output '%.*s' is text", STR(l->outputs[i].name));
        for (size_t k = 0; k < tensor_count(want); k++) {
            double v = tensor_f64(want, k);
            largest = v > largest ? v : -v > largest ? -v : largest;
        }
        TRY(compare_tensors(got, want, 0, largest * TRY_RELATIVE, &c, e));
        if (c.different)
            return fail(e, INVALID, "output '%.*s' changes by %g", STR(l->outputs[i].name),
                        c.max_abs);
    }
    return OK;
}

static enum code run_joined(struct attempt *t, struct err *e) {
    struct batch batch = {.first = &t->a, .n_asks = 2, .rows = 2};
    struct batch_memory memory = {0};
    struct session_run run;
    struct ask_tensor *a = t->a.outputs, *b = t->b.outputs;
    t->a.next = &t->b;
    enum code code = batch_compute(t->live, &batch, t->threads, &memory, &run, e);
    if (code == OK) {
        code = batch_give(t->live, &run, &t->a, 0, &batch, e);
        if (code == OK)
            code = batch_give(t->live, &run, &t->b, 1, &batch, e);
        session_end(t->live->loaded.session, &run);
    }
    mem_free(memory.bytes);
    TRY(code);
    TRY(compare_answers(t->live, a, t->a.outputs, e));
    return compare_answers(t->live, b, t->b.outputs, e);
}

static enum code attempt(struct attempt *t, struct err *e) {
    TRY(make_ask(t, TRY_A, &t->a, e));
    TRY(make_ask(t, TRY_B, &t->b, e));
    TRY(run_alone(t, &t->a, e));
    TRY(run_alone(t, &t->b, e));
    TRY(find_follow(t, e));
    t->live->padding.on = true;
    return run_joined(t, e);
}

enum code pad_open(struct live *l, bool all, int threads, struct err *e) {
    struct err why;
    if (!l->batches || l->n_inputs > PAD_INPUTS || (l->guise && l->guise->n_tensors))
        return OK;
    TRY(declare(l, all, e));
    if (!pads_any(l))
        return OK;
    struct attempt t = {.live = l, .threads = cores_take(threads)};
    arena_init(&t.arena, TRY_BYTES);
    l->padding.on = attempt(&t, &why) == OK;
    arena_deinit(&t.arena);
    cores_give(t.threads);
    if (l->padding.on)
        log_event(
            LOG_INFO, "requests of other lengths join", 2,
            (struct log_field[]){LOG_S("model", str_of(l->model)), LOG_I("version", l->version)});
    else
        log_event(LOG_WARN, "requests are not padded", 3,
                  (struct log_field[]){LOG_S("model", str_of(l->model)),
                                       LOG_I("version", l->version),
                                       LOG_S("error", str_of(why.text))});
    return OK;
}
