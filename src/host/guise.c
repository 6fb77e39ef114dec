/* SPDX-License-Identifier: Apache-2.0 */
/* Guises: see guise.h. */
#include "host/guise.h"

#include "base/json.h"

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

enum code guise_check(const struct guise_tensor *t, struct err *e) {
    char wire[SHAPE_TEXT], model[SHAPE_TEXT];
    return same_elements(&t->wire, &t->model)
               ? OK
               : fail(e, INVALID, "'%.*s': %s cannot be reshaped to %s",
                      STR(str_sub(t->name, 0, 80)), shape_print(&t->wire, wire),
                      shape_print(&t->model, model));
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

static enum code take_shape(struct json *j, struct shape *out, struct err *e) {
    bool more;
    out->rank = 0;
    TRY(json_enter_array(j, e));
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            return OK;
        if (out->rank == SHAPE_MAX)
            return json_fail(j, e, "more than %d dims", SHAPE_MAX);
        TRY(json_i64(j, &out->dims[out->rank], e));
        if (out->dims[out->rank++] < -1)
            return json_fail(j, e, "a dim is -1 or more");
    }
}

static enum code take_tensor(struct json *j, struct guise_tensor *out, struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return guise_check(out, e);
        if (str_is(key, "name"))
            TRY(json_string(j, &out->name, e));
        else if (str_is(key, "output"))
            TRY(json_bool(j, &out->output, e));
        else if (str_is(key, "wire"))
            TRY(take_shape(j, &out->wire, e));
        else if (str_is(key, "model"))
            TRY(take_shape(j, &out->model, e));
        else
            return json_fail(j, e, "unexpected member \"%.*s\"", STR(str_sub(key, 0, 80)));
    }
}

static enum code take_tensors(struct json *j, struct guise *g, struct err *e) {
    bool more;
    TRY(json_enter_array(j, e));
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            return OK;
        if (g->n_tensors == GUISE_TENSORS)
            return json_fail(j, e, "more than %d tensors", GUISE_TENSORS);
        TRY(take_tensor(j, &g->tensors[g->n_tensors++], e));
    }
}

static enum code take_sizes(struct json *j, struct guise *g, struct err *e) {
    bool more;
    TRY(json_enter_array(j, e));
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            return OK;
        if (g->n_preferred == GUISE_SIZES)
            return json_fail(j, e, "more than %d sizes", GUISE_SIZES);
        TRY(json_i64(j, &g->preferred[g->n_preferred++], e));
    }
}

static enum code take_pairs(struct json *j, struct guise *g, struct err *e) {
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        struct guise_pair pair;
        TRY(json_next_key(j, &pair.name, &more, e));
        if (!more)
            return OK;
        TRY(json_string(j, &pair.value, e));
        if (g->n_pairs == GUISE_PAIRS)
            return json_fail(j, e, "more than %d parameters", GUISE_PAIRS);
        g->pairs[g->n_pairs++] = pair;
    }
}

static enum code take_member(struct json *j, struct guise *g, struct str key, struct err *e) {
    if (str_is(key, "tensors"))
        return take_tensors(j, g, e);
    if (str_is(key, "preferred"))
        return take_sizes(j, g, e);
    if (str_is(key, "parameters"))
        return take_pairs(j, g, e);
    if (str_is(key, "batch"))
        return json_i64(j, &g->batch, e);
    if (str_is(key, "levels"))
        return json_i64(j, &g->levels, e);
    if (str_is(key, "level"))
        return json_i64(j, &g->level, e);
    return json_fail(j, e, "unexpected member \"%.*s\"", STR(str_sub(key, 0, 80)));
}

static enum code parse(struct json *j, struct guise *g, struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return json_end(j, e);
        TRY(take_member(j, g, key, e));
    }
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
