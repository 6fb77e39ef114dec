/* SPDX-License-Identifier: Apache-2.0 */
/* /predict: what people send when nobody told them a protocol: docs/protocols/predict.md.
 *
 *   GET  /predict, /predict/M        what is served, its inputs and outputs
 *   POST /predict/M[@VERSION|@ALIAS] JSON in any of the usual forms, .npy, JPEG, PNG, or a form
 * with such files POST /predict                    the same when exactly one model is served
 *
 * How bodies are read: body.h. The JSON answered is strict: NaN and infinities are null. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "serve/body.h"
#include "serve/media.h"
#include "serve/selector.h"
#include "serve/typed.h"
#include "tensor/npy.h"

struct notes {
    struct str output; /* ?output=NAME */
};

/* --- which model --- */

static enum code find_live(struct request *r, struct err *e) {
    if (r->model.n == 0)
        TRY(selector_sole(r, "POST /predict/MODEL", e));
    TRY(selector_split(r, e));
    return request_route(r, e);
}

static enum code decode(struct request *r, struct err *e) {
    struct notes *notes = ARENA_NEW(r->arena, struct notes);
    if (!notes)
        return arena_fail(r->arena, sizeof *notes, "request", e);
    r->notes = notes;
    TRY(find_live(r, e));
    TRY(media_read(r, e));
    if (http_query_get(&r->x->request, "output", r->arena, &notes->output)) {
        r->ask.want = &notes->output;
        r->ask.n_want = 1;
    }
    return body_take(r, e);
}

/* --- the answer --- */

static bool wants_npy(const struct request *r) {
    struct str accept = http_header_get(&r->x->request, "accept");
    return str_starts(accept, "application/x-npy") ||
           str_starts(accept, "application/octet-stream");
}

static enum code encode_npy(struct request *r, struct err *e) {
    struct ask *a = &r->ask;
    if (a->n_outputs != 1)
        return fail(e, INVALID,
                    "the model has %zu outputs and .npy holds one: choose with ?output=NAME",
                    a->n_outputs);
    struct npy_head *head = ARENA_NEW(r->arena, struct npy_head);
    if (!head)
        return arena_fail(r->arena, sizeof *head, "answer", e);
    TRY(npy_head(&a->outputs[0].tensor, head, e));
    answer_type(r, 200, LIT("application/x-npy"));
    answer_span(r, (struct span){(const uint8_t *)head->bytes, head->n});
    answer_span(r, (struct span){a->outputs[0].tensor.data, tensor_bytes(&a->outputs[0].tensor)});
    return OK;
}

static void put_score(struct json_out *w, const char *key, double score) {
    json_put_key(w, key);
    typed_put(w, &(struct tensor){.dtype = DT_F32, .data = &(float){(float)score}}, TYPED_NULL);
}

/* The output of shape [1, K] of floats, K >= 2, that the recipe reads, else the first. */
static const struct tensor *classes_of(const struct request *r) {
    for (size_t i = 0; i < r->ask.n_outputs; i++) {
        const struct ask_tensor *o = &r->ask.outputs[i];
        struct str wanted = r->media->recipe.output;
        if (o->tensor.dtype == DT_F32 && o->tensor.shape.rank == 2 &&
            o->tensor.shape.dims[0] == 1 && o->tensor.shape.dims[1] >= 2 &&
            (wanted.n == 0 || str_eq(wanted, o->name)))
            return &o->tensor;
    }
    return NULL;
}

static enum code put_top(struct request *r, struct json_out *w, const struct recipe *recipe,
                         struct err *e) {
    const struct tensor *t = classes_of(r);
    if (!t)
        return OK;
    size_t n = (size_t)t->shape.dims[1], k = outcome_top(recipe, n);
    struct ranked *best = ARENA_ARRAY(r->arena, k, struct ranked);
    if (!best)
        return arena_fail(r->arena, k * sizeof *best, "answer", e);
    outcome_rank(recipe, t, 0, n, best, k);
    json_put_key(w, "top");
    json_put_array(w);
    for (size_t i = 0; i < k; i++) {
        json_put_object(w);
        json_put_member_i64(w, "class", (int64_t)best[i].index);
        if (best[i].index < recipe->n_labels)
            json_put_member_str(w, "label", recipe->labels[best[i].index]);
        put_score(w, "score", best[i].score);
        json_put_object_end(w);
    }
    json_put_array_end(w);
    return OK;
}

/* What the recipe reads, among the outputs that were asked for; NULL: it was not. */
static const struct tensor *source(const struct request *r) {
    const struct live_io *io;
    struct err ignored;
    size_t at;
    (void)live_outputs(r->ask.live, &io);
    if (outcome_source(&r->media->recipe, r->ask.live, &at, &ignored) != OK)
        return NULL;
    for (size_t i = 0; i < r->ask.n_outputs; i++)
        if (str_eq(r->ask.outputs[i].name, io[at].name))
            return &r->ask.outputs[i].tensor;
    return NULL;
}

/* Of the first image. */
static enum code put_boxes(struct request *r, struct json_out *w, const struct recipe *recipe,
                           struct err *e) {
    const struct tensor *t = source(r);
    struct box *boxes;
    struct str label;
    size_t n;
    if (!t)
        return OK;
    TRY(outcome_boxes(recipe, t, 0, r->media->views, r->arena, &boxes, &n, e));
    json_put_key(w, "boxes");
    json_put_array(w);
    for (size_t i = 0; i < n; i++) {
        const float corners[4] = {boxes[i].x0, boxes[i].y0, boxes[i].x1, boxes[i].y1};
        const int64_t four = 4;
        TRY(outcome_label(recipe, boxes[i].class, r->arena, &label, e));
        json_put_object(w);
        json_put_member_str(w, "label", label);
        put_score(w, "score", (double)boxes[i].score);
        json_put_key(w, "box");
        json_put_tensor(w, JN_F32, corners, 1, &four);
        json_put_object_end(w);
    }
    json_put_array_end(w);
    return OK;
}

static enum code put_text(struct request *r, struct json_out *w, const struct recipe *recipe,
                          struct err *e) {
    const struct tensor *t = source(r);
    struct str text;
    double confidence;
    if (!t)
        return OK;
    TRY(recipe_text(recipe, t, r->arena, &text, &confidence, e));
    json_put_member_str(w, "text", text);
    put_score(w, "confidence", confidence);
    return OK;
}

/* What the outputs mean. */
static enum code put_meaning(struct request *r, struct json_out *w, struct err *e) {
    const struct recipe *recipe = &r->media->recipe;
    if (recipe->ctc)
        return put_text(r, w, recipe, e);
    return recipe->boxed ? put_boxes(r, w, recipe, e) : put_top(r, w, recipe, e);
}

static enum code put_outputs(struct request *r, struct json_out *w, struct err *e) {
    struct ask *a = &r->ask;
    json_put_key(w, "outputs");
    json_put_object(w);
    for (size_t i = 0; i < a->n_outputs; i++) {
        TRY(typed_writable(r->arena, &a->outputs[i].tensor, e));
        json_put_key_str(w, a->outputs[i].name);
        typed_put_output(w, &a->outputs[i], TYPED_NULL);
    }
    json_put_object_end(w);
    json_put_key(w, "shapes");
    json_put_object(w);
    for (size_t i = 0; i < a->n_outputs; i++) {
        const struct shape *s = &a->outputs[i].tensor.shape;
        json_put_key_str(w, a->outputs[i].name);
        json_put_array(w);
        for (int d = 0; d < s->rank; d++)
            json_put_i64(w, s->dims[d]);
        json_put_array_end(w);
    }
    json_put_object_end(w);
    return OK;
}

/* ?outputs=all|none; tensors that were read as text are left out unless asked for. */
static bool with_outputs(struct request *r, bool text) {
    struct str asked;
    if (http_query_get(&r->x->request, "outputs", r->arena, &asked))
        return !str_is(asked, "none");
    return !text;
}

static enum code encode(struct request *r, struct err *e) {
    const struct recipe *recipe = &r->media->recipe;
    struct json_out w;
    size_t bytes = 256;
    if (wants_npy(r))
        return encode_npy(r, e);
    bool outputs = with_outputs(r, recipe->ctc || recipe->boxed);
    for (size_t i = 0; i < r->ask.n_outputs && outputs; i++)
        bytes += typed_text_bytes(&r->ask.outputs[i].tensor);
    struct buf *b = answer_buf(r, bytes, e);
    if (!b)
        return e->code;
    json_out_init(&w, b, 0);
    json_put_object(&w);
    json_put_member_str(&w, "model", live_model(r->ask.live));
    json_put_member_i64(&w, "version", (int64_t)live_version(r->ask.live));
    TRY(put_meaning(r, &w, e));
    if (outputs)
        TRY(put_outputs(r, &w, e));
    json_put_object_end(&w);
    answer_type(r, 200, ANSWER_JSON);
    return answer_part(r, b, e);
}

/* --- what is served --- */

static void put_tensors(struct json_out *w, const char *key, const struct live_io *io, size_t n) {
    json_put_key(w, key);
    json_put_array(w);
    for (size_t i = 0; i < n; i++) {
        json_put_object(w);
        json_put_member_str(w, "name", io[i].name);
        json_put_member_text(w, "dtype", dtype_name(io[i].dtype));
        json_put_key(w, "shape");
        json_put_array(w);
        for (int d = 0; d < io[i].shape.rank; d++)
            json_put_i64(w, io[i].shape.dims[d]);
        json_put_array_end(w);
        if (!live_io_required(&io[i]))
            json_put_member_bool(w, "optional", true);
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

static enum code put_live(struct request *r, struct json_out *w, const struct live *l,
                          struct err *e) {
    const struct live_io *io;
    struct recipe recipe;
    size_t n = live_inputs(l, &io);
    bool image = false;
    TRY(recipe_read(live_part(l, "preprocess"), r->arena, &recipe, e));
    for (size_t i = 0; i < n; i++)
        image |= io[i].shape.rank == 4;
    put_tensors(w, "inputs", io, n);
    n = live_outputs(l, &io);
    put_tensors(w, "outputs", io, n);
    json_put_member_bool(w, "image", image);
    json_put_member_bool(w, "text", recipe.ctc);
    return OK;
}

static enum code put_model(struct request *r, struct json_out *w, const struct live_info *v,
                           struct err *e) {
    json_put_object(w);
    json_put_member_str(w, "model", v->model);
    json_put_member_i64(w, "version", (int64_t)v->version);
    json_put_member_text(w, "state", live_state_name(v->state));
    json_put_member_bool(w, "default", v->is_default);
    json_put_key(w, "aliases");
    json_put_array(w);
    for (size_t i = 0; i < v->n_aliases; i++)
        json_put_str(w, v->aliases[i]);
    json_put_array_end(w);
    if (v->error.n)
        json_put_member_str(w, "error", v->error);
    if (v->live)
        TRY(put_live(r, w, v->live, e));
    json_put_object_end(w);
    return OK;
}

static enum code list(struct request *r, struct err *e) {
    struct live_info *all;
    struct answer_json j;
    size_t n;
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_key(&j.w, "models");
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++)
        TRY(put_model(r, &j.w, &all[i], e));
    json_put_array_end(&j.w);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static enum code show(struct request *r, struct err *e) {
    struct live_info v;
    struct answer_json j;
    TRY(selector_split(r, e));
    TRY(host_find(r->host, r->ask.model, r->ask.version, r->ask.alias, r->arena, &v, e));
    TRY(answer_json(r, &j, e));
    TRY(put_model(r, &j.w, &v, e));
    return answer_json_end(r, &j, e);
}

static const struct route routes[] = {
    {ROUTE_POST, "/predict/{model}", ROUTE_IMAGE, NULL},
    {ROUTE_POST, "/predict", ROUTE_IMAGE, NULL},
    {ROUTE_GET, "/predict/{model}", 0, show},
    {ROUTE_GET, "/predict", 0, list},
};

const struct protocol protocol_predict = {
    .name = "predict",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .encode = encode,
    .raw = true,
};
