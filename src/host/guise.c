/* SPDX-License-Identifier: Apache-2.0 */
/* Guises: see guise.h. */
#include "host/guise.h"

#include "base/json.h"
#include "host/host.h"

void guise_init(struct guise *g) { *g = (struct guise){.batch = -1}; }

/* --- shapes --- */

/* Elements from dim *at up to the next free one, whose place becomes *at; false: too many. */
static bool take_run(const struct shape *s, int *at, int64_t *elements) {
    *elements = 1;
    for (; *at < s->rank && s->dims[*at] >= 0; ++*at)
        if (__builtin_mul_overflow(*elements, s->dims[*at], elements))
            return false;
    return true;
}

static bool same_elements(const struct shape *a, const struct shape *b) {
    int64_t n, m;
    for (int i = 0, k = 0;; i++, k++) {
        if (!take_run(a, &i, &n) || !take_run(b, &k, &m) || n != m)
            return false;
        if (i == a->rank || k == b->rank)
            return i == a->rank && k == b->rank;
    }
}

enum code guise_add(struct guise *g, const struct guise_tensor *t, struct err *e) {
    char wire[SHAPE_TEXT], model[SHAPE_TEXT];
    if (g->n_tensors == GUISE_TENSORS)
        return fail(e, LIMIT, "more than %d reshapes", GUISE_TENSORS);
    if (!same_elements(&t->wire, &t->model))
        return fail(e, INVALID, "reshape: '%.*s': %s cannot be reshaped to %s",
                    STR(str_sub(t->name, 0, 80)), shape_print(&t->wire, wire),
                    shape_print(&t->model, model));
    g->tensors[g->n_tensors++] = *t;
    return OK;
}

static void add_rows(struct shape *s) {
    memmove(&s->dims[1], &s->dims[0], (size_t)s->rank++ * sizeof s->dims[0]);
    s->dims[0] = -1;
}

void guise_batched(struct guise *g) {
    for (size_t i = 0; i < g->n_tensors; i++) {
        add_rows(&g->tensors[i].wire);
        add_rows(&g->tensors[i].model);
    }
}

static bool fits_session(const struct shape *model, const struct live_io *io) {
    if (model->rank != io->shape.rank)
        return false;
    for (int d = 0; d < model->rank; d++)
        if (io->shape.dims[d] >= 0 && io->shape.dims[d] != model->dims[d])
            return false;
    return true;
}

enum code guise_place(const struct guise_tensor *t, const struct live_io *io, size_t n, size_t *at,
                      struct err *e) {
    char want[SHAPE_TEXT], got[SHAPE_TEXT];
    size_t i = 0;
    while (i < n && !str_eq(io[i].name, t->name))
        i++;
    if (i == n)
        return fail(e, INVALID, "reshape: the model has no %s '%.*s'",
                    t->output ? "output" : "input", STR(str_sub(t->name, 0, 80)));
    if (!fits_session(&t->model, &io[i]))
        return fail(e, INVALID, "reshape of '%.*s' to %s: the model has %s", STR(io[i].name),
                    shape_print(&t->model, got), shape_print(&io[i].shape, want));
    *at = i;
    return OK;
}

bool guise_turn(const struct shape *from, const struct shape *to, const struct shape *given,
                struct shape *out) {
    struct shape turned = *to;
    int next = 0;
    if (from->rank != given->rank)
        return false;
    for (int d = 0; d < from->rank; d++) {
        if (from->dims[d] >= 0) {
            if (from->dims[d] != given->dims[d])
                return false;
            continue;
        }
        while (next < to->rank && to->dims[next] >= 0)
            next++;
        if (next == to->rank)
            return false;
        turned.dims[next++] = given->dims[d];
    }
    *out = turned;
    return true;
}

/* --- reading --- */

static enum code take_dim(void *context, struct json *j, struct err *e) {
    struct shape *out = context;
    if (out->rank == SHAPE_MAX)
        return json_fail(j, e, "more than %d dims", SHAPE_MAX);
    TRY(json_i64(j, &out->dims[out->rank], e));
    return out->dims[out->rank++] < -1 ? json_fail(j, e, "a dim is -1 or more") : OK;
}

static enum code take_shape(struct json *j, struct shape *out, struct err *e) {
    out->rank = 0;
    return json_each_item(j, take_dim, out, e);
}

static enum code unexpected(const struct json *j, struct str key, struct err *e) {
    return json_fail(j, e, "unexpected member \"%.*s\"", STR(str_sub(key, 0, 80)));
}

static enum code take_part(void *context, struct json *j, struct str key, struct err *e) {
    struct guise_tensor *out = context;
    if (str_is(key, "name"))
        return json_string(j, &out->name, e);
    if (str_is(key, "output"))
        return json_bool(j, &out->output, e);
    if (str_is(key, "wire"))
        return take_shape(j, &out->wire, e);
    if (str_is(key, "model"))
        return take_shape(j, &out->model, e);
    return unexpected(j, key, e);
}

static enum code take_tensor(void *context, struct json *j, struct err *e) {
    struct guise_tensor out = {0};
    TRY(json_each_member(j, take_part, &out, e));
    return guise_add(context, &out, e);
}

static enum code take_size(void *context, struct json *j, struct err *e) {
    struct guise *g = context;
    if (g->n_preferred == GUISE_SIZES)
        return json_fail(j, e, "more than %d sizes", GUISE_SIZES);
    return json_i64(j, &g->preferred[g->n_preferred++], e);
}

static enum code take_pair(void *context, struct json *j, struct str key, struct err *e) {
    struct guise *g = context;
    struct guise_pair pair = {.name = key};
    TRY(json_string(j, &pair.value, e));
    if (g->n_pairs == GUISE_PAIRS)
        return json_fail(j, e, "more than %d parameters", GUISE_PAIRS);
    g->pairs[g->n_pairs++] = pair;
    return OK;
}

static enum code take_member(void *context, struct json *j, struct str key, struct err *e) {
    struct guise *g = context;
    if (str_is(key, "tensors"))
        return json_each_item(j, take_tensor, g, e);
    if (str_is(key, "preferred"))
        return json_each_item(j, take_size, g, e);
    if (str_is(key, "parameters"))
        return json_each_member(j, take_pair, g, e);
    if (str_is(key, "batch"))
        return json_i64(j, &g->batch, e);
    if (str_is(key, "levels"))
        return json_i64(j, &g->levels, e);
    if (str_is(key, "level"))
        return json_i64(j, &g->level, e);
    return unexpected(j, key, e);
}

static enum code parse(struct json *j, struct guise *g, struct err *e) {
    TRY(json_each_member(j, take_member, g, e));
    return json_end(j, e);
}

enum code guise_parse(struct str text, struct arena *a, struct guise *out, struct err *e) {
    struct json j;
    guise_init(out);
    struct str kept = arena_str(a, text); /* strings may stay where they lie */
    if (kept.n != text.n)
        return arena_fail(a, text.n, "guise", e);
    json_init(&j, kept, a);
    return parse(&j, out, e) == OK ? OK : err_prefix(e, "guise");
}

/* --- writing --- */

static void put_shape(struct json_out *w, const char *key, const struct shape *s) {
    json_put_key(w, key);
    json_put_array(w);
    for (int d = 0; d < s->rank; d++)
        json_put_i64(w, s->dims[d]);
    json_put_array_end(w);
}

static void put_tensors(struct json_out *w, const struct guise *g) {
    json_put_key(w, "tensors");
    json_put_array(w);
    for (size_t i = 0; i < g->n_tensors; i++) {
        json_put_object(w);
        json_put_member_str(w, "name", g->tensors[i].name);
        if (g->tensors[i].output)
            json_put_member_bool(w, "output", true);
        put_shape(w, "wire", &g->tensors[i].wire);
        put_shape(w, "model", &g->tensors[i].model);
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

static void put_sizes(struct json_out *w, const struct guise *g) {
    json_put_key(w, "preferred");
    json_put_array(w);
    for (size_t i = 0; i < g->n_preferred; i++)
        json_put_i64(w, g->preferred[i]);
    json_put_array_end(w);
}

static void put_pairs(struct json_out *w, const struct guise *g) {
    json_put_key(w, "parameters");
    json_put_object(w);
    for (size_t i = 0; i < g->n_pairs; i++) {
        json_put_key_str(w, g->pairs[i].name);
        json_put_str(w, g->pairs[i].value);
    }
    json_put_object_end(w);
}

void guise_write(const struct guise *g, struct buf *b) {
    struct json_out w;
    if (!g->n_tensors && g->batch < 0 && !g->n_preferred && !g->levels && !g->n_pairs)
        return;
    json_out_init(&w, b, 0);
    json_put_object(&w);
    if (g->n_tensors)
        put_tensors(&w, g);
    if (g->batch >= 0)
        json_put_member_i64(&w, "batch", g->batch);
    if (g->n_preferred)
        put_sizes(&w, g);
    if (g->levels)
        json_put_member_i64(&w, "levels", g->levels);
    if (g->level)
        json_put_member_i64(&w, "level", g->level);
    if (g->n_pairs)
        put_pairs(&w, g);
    json_put_object_end(&w);
}
