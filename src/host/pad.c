/* SPDX-License-Identifier: Apache-2.0 */
/* Padding: see pad.h.
 *
 * 1. Lengths of one power of two (16 at least) join, so that no run is more than twice as wide as
 *    what it was asked; it is as wide as the longest, and where that saves plans, a little more.
 * 2. The try: two requests, short and long in every axis, by themselves, then both in one padded
 *    run, by the code that requests take. Output dims that were an axis' two lengths follow it and
 *    are cut back to it; a dim that changed otherwise, or a value beyond rounding, and the version
 *    is tried again with one length for all axes, as names differ that mean the same; then it runs
 *    unpadded.
 */
#include "host/in.h"

#include "base/cores.h"
#include "base/log.h"
#include "base/mem.h"
#include "llm/tokenizer.h"
#include "tensor/cast.h"
#include "tensor/compare.h"

enum { LEAST = 16, STEP = 8, TRY_FREE = 32, TRY_BYTES = 1 << 30 };
#define TRY_RELATIVE 1e-4 /* of the largest value: another order of sums */

/* Of the try; no two axes have the same pair. */
static const struct pad_lengths try_short = {{5, 6, 7, 9}}, try_long = {{11, 10, 13, 12}};

/* --- what is declared --- */

static bool can_pad(const struct live_io *io) {
    for (int d = 1; d < io->shape.rank; d++)
        if (io->shape.dims[d] < 0)
            return io->dtype != DT_STRING;
    return false;
}

struct axis {
    struct str name; /* .n == 0: the `nth` dim of its input that has none */
    int nth;
};

static size_t find_axis(struct axis *all, size_t *n, const struct axis *wanted) {
    size_t i = 0;
    while (i < *n && !(str_eq(all[i].name, wanted->name) && all[i].nth == wanted->nth))
        i++;
    if (i == *n && i < PAD_AXES)
        all[(*n)++] = *wanted;
    return i;
}

/* Which dims of the inputs that are on have which axis. */
static enum code name_axes(const struct live_io *io, size_t n, struct pad_input *out,
                           size_t *n_axes, struct err *e) {
    struct axis all[PAD_AXES];
    *n_axes = 0;
    for (size_t i = 0; i < n; i++) {
        int unnamed = 0;
        for (int d = 1; out[i].on && d < io[i].shape.rank; d++) {
            if (io[i].shape.dims[d] >= 0)
                continue;
            struct axis wanted = {.name = io[i].dim_names[d]};
            wanted.nth = wanted.name.n ? 0 : unnamed++;
            size_t axis = find_axis(all, n_axes, &wanted);
            if (axis == PAD_AXES)
                return fail(e, INVALID, "padding: input '%.*s': more than %d lengths in all",
                            STR(io[i].name), PAD_AXES);
            out[i].axes[d] = (uint8_t)(axis + 1);
        }
    }
    return OK;
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
    out[i].on = can_pad(&io[i]);
    if (!out[i].on)
        return fail(e, INVALID,
                    "padding: input '%.*s' needs numbers, and a free dim beside the batch",
                    STR(io[i].name));
    out[i].value = 0;
    if (value.n && !str_to_f64(value, &out[i].value))
        return fail(e, INVALID, "padding: '%.*s' is not a number", STR(str_sub(value, 0, 40)));
    return OK;
}

static enum code parse(struct str text, const struct live_io *io, size_t n, struct pad_input *out,
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

enum code pad_parse(struct str text, const struct live_io *io, size_t n, struct pad_input *out,
                    struct err *e) {
    size_t n_axes;
    TRY(parse(text, io, n, out, e));
    return name_axes(io, n, out, &n_axes, e);
}

/* A text encoder's inputs are padded as its tokenizer would; `all`: whatever can be, by zeros. */
static void suppose(const struct live *l, bool all, struct pad_input *out) {
    bool text = false;
    for (size_t i = 0; i < l->n_inputs; i++)
        text = text || l->inputs[i].text;
    for (size_t i = 0; i < l->n_inputs; i++) {
        const struct live_io *io = &l->inputs[i];
        bool padded = text ? io->text || io->filled : all;
        out[i] = (struct pad_input){.on = padded && can_pad(io)};
        if (io->text && tokenizer_pad(l->loaded.tokenizer) > 0)
            out[i].value = tokenizer_pad(l->loaded.tokenizer);
    }
}

static enum code declare(struct live *l, bool all, struct err *e) {
    struct span part = live_part(l, PAD_PART);
    l->padding.inputs = ARENA_ARRAY(&l->loaded.arena, l->n_inputs + 1, struct pad_input);
    l->padding.follow = ARENA_ARRAY(&l->loaded.arena, l->n_outputs + 1, struct pad_follow);
    if (!l->padding.inputs || !l->padding.follow)
        return arena_fail(&l->loaded.arena, l->n_inputs * sizeof *l->padding.inputs, "padding", e);
    if (part.n) {
        TRY(parse((struct str){(const char *)part.p, part.n}, l->inputs, l->n_inputs,
                  l->padding.inputs, e));
        return name_axes(l->inputs, l->n_inputs, l->padding.inputs, &l->padding.n_axes, e);
    }
    struct err ignored; /* nobody asked for what cannot be */
    suppose(l, all, l->padding.inputs);
    if (name_axes(l->inputs, l->n_inputs, l->padding.inputs, &l->padding.n_axes, &ignored) != OK)
        l->padding.n_axes = 0;
    return OK;
}

/* --- lengths --- */

/* false: dims of one axis differ, or something is not there to be filled. */
static bool lengths_of(const struct live *l, const struct ask *a, struct pad_lengths *out) {
    *out = (struct pad_lengths){{0}};
    for (size_t i = 0; i < l->n_inputs; i++) {
        const struct pad_input *p = &l->padding.inputs[i];
        const struct tensor *t = &a->bound[i];
        if (p->on && t->dtype == DT_NONE)
            return false;
        for (int d = 1; p->on && d < t->shape.rank; d++) {
            if (!p->axes[d])
                continue;
            int64_t *length = &out->n[p->axes[d] - 1], own = t->shape.dims[d];
            if (own == 0 || (*length && *length != own))
                return false;
            *length = own;
        }
    }
    return true;
}

static int64_t bucket(int64_t length) {
    int64_t b = LEAST;
    while (b < length)
        b *= 2;
    return b;
}

bool pad_joins(const struct live *l, const struct ask *a, const struct ask *b) {
    struct pad_lengths m, n;
    if (!lengths_of(l, a, &m) || !lengths_of(l, b, &n))
        return false;
    for (size_t k = 0; k < l->padding.n_axes; k++)
        if (bucket(m.n[k]) != bucket(n.n[k]))
            return false;
    return true;
}

bool pad_widths(const struct live *l, const struct batch *b, struct pad_lengths *out) {
    struct pad_lengths longest = {{0}}, shortest, own;
    bool differ = false;
    if (!l->padding.on || !lengths_of(l, b->first, &shortest))
        return false;
    for (const struct ask *a = b->first; a; a = a->next) {
        if (!lengths_of(l, a, &own))
            return false;
        for (size_t k = 0; k < l->padding.n_axes; k++) {
            longest.n[k] = own.n[k] > longest.n[k] ? own.n[k] : longest.n[k];
            shortest.n[k] = own.n[k] < shortest.n[k] ? own.n[k] : shortest.n[k];
        }
    }
    for (size_t k = 0; k < l->padding.n_axes; k++) {
        differ = differ || longest.n[k] != shortest.n[k];
        if (longest.n[k] != shortest.n[k])
            longest.n[k] = (longest.n[k] + STEP - 1) / STEP * STEP;
    }
    *out = longest;
    return differ;
}

/* --- copying --- */

/* One element of the filling. */
static void filling(const struct pad_input *p, enum dtype dtype, uint8_t out[16]) {
    struct err ignored;
    memset(out, 0, 16);
    if (p->value != 0)
        (void)!cast_elements(dtype, out, DT_F64, &p->value, 1, true, NULL, &ignored);
}

struct shape pad_shape(const struct pad_input *p, struct shape s,
                       const struct pad_lengths *widths) {
    for (int d = 1; d < s.rank; d++)
        if (p->axes[d])
            s.dims[d] = widths->n[p->axes[d] - 1];
    return s;
}

struct copying {
    struct shape part, whole;
    int last; /* the last dim that is filled up: below it both are the same */
    size_t size;
    uint8_t element[16];
    const char *from;
    char *to;
};

/* n times what one index of dim d holds in the whole. */
static void fill(struct copying *c, int64_t n, int d) {
    size_t elements = (size_t)n;
    for (int k = d + 1; k < c->whole.rank; k++)
        elements *= (size_t)c->whole.dims[k];
    for (size_t i = 0; i < elements; i++, c->to += c->size)
        memcpy(c->to, c->element, c->size);
}

static void copy_dims(struct copying *c, int d) {
    size_t below = c->size;
    for (int k = d + 1; k < c->part.rank; k++)
        below *= (size_t)c->part.dims[k];
    if (d == c->last) {
        memcpy(c->to, c->from, below * (size_t)c->part.dims[d]);
        c->to += below * (size_t)c->part.dims[d];
        c->from += below * (size_t)c->part.dims[d];
    }
    for (int64_t i = 0; d < c->last && i < c->part.dims[d]; i++)
        copy_dims(c, d + 1);
    fill(c, c->whole.dims[d] - c->part.dims[d], d);
}

char *pad_copy(const struct pad_input *p, const struct tensor *t, const struct pad_lengths *widths,
               char *to) {
    struct copying c = {.part = t->shape,
                        .whole = pad_shape(p, t->shape, widths),
                        .size = dtype_size(t->dtype),
                        .from = t->data,
                        .to = to};
    for (int d = 1; d < t->shape.rank; d++)
        if (p->axes[d])
            c.last = d;
    filling(p, t->dtype, c.element);
    copy_dims(&c, 0);
    return c.to;
}

struct shape pad_cut(const struct live *l, size_t output, const struct ask *a, struct shape whole) {
    const struct pad_follow *f = &l->padding.follow[output];
    struct pad_lengths own;
    if (!ALWAYS(lengths_of(l, a, &own))) /* it was joined */
        return whole;
    for (int d = 1; d < whole.rank; d++)
        if (f->axes[d])
            whole.dims[d] = own.n[f->axes[d] - 1];
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

static enum code make_input(struct attempt *t, size_t i, const struct pad_lengths *lengths,
                            struct tensor *out, struct err *e) {
    const struct live_io *io = &t->live->inputs[i];
    const struct pad_input *p = &t->live->padding.inputs[i];
    struct shape shape = pad_shape(p, io->shape, lengths);
    if (io->optional && !p->on)
        return OK;
    for (int d = 0; d < shape.rank; d++)
        if (shape.dims[d] < 0)
            shape.dims[d] = d == 0 ? 1 : TRY_FREE;
    TRY(tensor_new(&t->arena, io->dtype, &shape, out, e));
    size_t n = tensor_count(out), size = dtype_size(io->dtype);
    for (size_t k = 0; k < n && io->dtype != DT_STRING; k++) {
        double v = sample(io, k);
        TRY(cast_elements(io->dtype, (char *)out->data + k * size, DT_F64, &v, 1, true, NULL, e));
    }
    return OK;
}

static enum code make_ask(struct attempt *t, const struct pad_lengths *lengths, struct ask *a,
                          struct err *e) {
    *a = (struct ask){.arena = &t->arena, .rows = 1};
    a->bound = ARENA_ARRAY(&t->arena, t->live->n_inputs + 1, struct tensor);
    if (!a->bound)
        return arena_fail(&t->arena, t->live->n_inputs * sizeof *a->bound, "padding", e);
    for (size_t i = 0; i < t->live->n_inputs; i++)
        TRY(make_input(t, i, lengths, &a->bound[i], e));
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

/* The axis whose lengths in the try these two are, and 1; 0: none. */
static uint8_t followed(const struct live *l, int64_t a, int64_t b) {
    for (size_t k = 0; k < l->padding.n_axes; k++)
        if (a == try_short.n[k] && b == try_long.n[k])
            return (uint8_t)(k + 1);
    return 0;
}

/* Which dims follow which length, from both answers. */
static enum code find_follow(struct attempt *t, struct err *e) {
    struct live *l = t->live;
    for (size_t i = 0; i < l->n_outputs; i++) {
        const struct shape *a = &t->a.outputs[i].tensor.shape, *b = &t->b.outputs[i].tensor.shape;
        struct pad_follow *follow = &l->padding.follow[i];
        *follow = (struct pad_follow){{0}};
        if (a->rank != b->rank || a->rank == 0 || a->dims[0] != 1 || b->dims[0] != 1)
            return fail(e, INVALID, "output '%.*s' has no row for each of the input",
                        STR(l->outputs[i].name));
        for (int d = 1; d < a->rank; d++) {
            if (a->dims[d] == b->dims[d])
                continue;
            follow->axes[d] = followed(l, a->dims[d], b->dims[d]);
            if (!follow->axes[d])
                return fail(e, INVALID, "output '%.*s' is of another length than the input",
                            STR(l->outputs[i].name));
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

static enum code run_all(struct attempt *t, struct err *e) {
    TRY(make_ask(t, &try_short, &t->a, e));
    TRY(make_ask(t, &try_long, &t->b, e));
    TRY(run_alone(t, &t->a, e));
    TRY(run_alone(t, &t->b, e));
    TRY(find_follow(t, e));
    t->live->padding.on = true;
    return run_joined(t, e);
}

static enum code attempt(struct live *l, int threads, struct err *e) {
    struct attempt t = {.live = l, .threads = threads};
    arena_init(&t.arena, TRY_BYTES);
    enum code code = run_all(&t, e);
    arena_deinit(&t.arena);
    l->padding.on = code == OK;
    return code;
}

/* All lengths are one. */
static void join_axes(struct live *l) {
    for (size_t i = 0; i < l->n_inputs; i++)
        for (int d = 0; d < SHAPE_MAX; d++)
            if (l->padding.inputs[i].axes[d])
                l->padding.inputs[i].axes[d] = 1;
    l->padding.n_axes = 1;
}

enum code pad_open(struct live *l, bool all, int threads, struct err *e) {
    struct err why;
    if (!l->batches || l->n_inputs > PAD_INPUTS || (l->guise && l->guise->n_tensors))
        return OK;
    TRY(declare(l, all, e));
    if (!l->padding.n_axes)
        return OK;
    int taken = cores_take(threads);
    enum code code = attempt(l, taken, &why);
    if (code != OK && l->padding.n_axes > 1) {
        join_axes(l);
        code = attempt(l, taken, &why);
    }
    cores_give(taken);
    if (code == OK)
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
