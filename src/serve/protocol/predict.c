/* SPDX-License-Identifier: Apache-2.0 */
/* /predict: what people send when nobody told them a protocol: docs/protocols/predict.md.
 *
 *   GET  /predict, /predict/M        what is served, its inputs and outputs
 *   POST /predict/M[@VERSION|@ALIAS] JSON in any of the usual forms, .npy, JPEG, PNG, or a form
 * with such files POST /predict                    the same when exactly one model is served
 *
 * 1. What is sent is told by its bytes; Content-Type decides only where bytes cannot.
 * 2. A missing batch dim is added when the rest of the shape fits; nothing else is guessed about
 * shapes.
 * 3. An .npy of another number type is converted where no value can be lost but precision (f64 to
 * f32, integers to floats, integers to integers that hold them).
 * 4. The JSON answered is strict: NaN and infinities are null. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "serve/multipart.h"
#include "serve/rank.h"
#include "serve/recipe.h"
#include "serve/records.h"
#include "serve/server.h"
#include "serve/typed.h"
#include "tensor/cast.h"
#include "tensor/npy.h"

enum { NAMES_ROOM = 240, TOP = 5 };

struct notes {
    struct recipe recipe;
    struct str output; /* ?output=NAME */
};

/* --- which model --- */

/* "ocr@3", "ocr@prod" */
static enum code split_selector(struct request *r, struct err *e) {
    size_t at;
    if (!str_find(r->ask.model, '@', &at))
        return OK;
    struct str selector = str_sub(r->ask.model, at + 1, r->ask.model.n);
    r->ask.model = str_sub(r->ask.model, 0, at);
    if (selector.n == 0)
        return fail(e, INVALID, "'%.*s@': a version or an alias must follow '@'",
                    STR(r->ask.model));
    if (selector.p[0] < '0' || selector.p[0] > '9')
        r->ask.alias = selector;
    else if (!str_to_u64(selector, &r->ask.version) || r->ask.version == 0)
        return fail(e, INVALID, "'%.*s' is not a version: versions are numbers from 1",
                    STR(selector));
    return OK;
}

static enum code sole_model(struct request *r, struct err *e) {
    struct live_info *all;
    size_t n, used = 0;
    char names[NAMES_ROOM] = "";
    TRY(host_list(r->host, r->arena, &all, &n, e));
    for (size_t i = 0; i < n; i++) {
        if (i && str_eq(all[i].model, all[i - 1].model))
            continue;
        r->ask.model = all[i].model;
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%.*s", used ? ", " : "",
                                     STR(all[i].model));
    }
    if (n == 0)
        return fail(e, NOT_FOUND, "no model is served: add one with `slipway add FILE NAME`");
    if (used != r->ask.model.n)
        return fail(e, INVALID,
                    "several models are served, say which: POST /predict/MODEL, one of %s", names);
    return OK;
}

static enum code find_live(struct request *r, struct err *e) {
    if (r->model.n == 0)
        TRY(sole_model(r, e));
    TRY(split_selector(r, e));
    return request_route(r, e);
}

/* --- inputs --- */

static const struct live_io *find_io(const struct live *l, struct str name) {
    const struct live_io *io;
    size_t n = live_inputs(l, &io);
    for (size_t i = 0; i < n; i++)
        if (str_eq(io[i].name, name))
            return &io[i];
    return NULL;
}

static enum code unexpected(struct request *r, struct str name, struct err *e) {
    const struct live_io *io;
    char names[NAMES_ROOM];
    size_t n = live_inputs(r->ask.live, &io);
    return fail(e, INVALID, "unexpected '%.*s'; the model takes %s", STR(name),
                records_names(io, n, names, sizeof names));
}

static enum code add_input(struct request *r, const struct live_io *io, const struct tensor *t,
                           struct err *e) {
    const struct live_io *all;
    size_t n = live_inputs(r->ask.live, &all);
    if (!r->ask.inputs)
        TRY(records_room(r, n, e));
    for (size_t i = 0; i < r->ask.n_inputs; i++)
        if (str_eq(r->ask.inputs[i].name, io->name))
            return fail(e, INVALID, "input '%.*s' is given twice", STR(io->name));
    r->ask.inputs[r->ask.n_inputs++] = (struct ask_tensor){io->name, *t};
    return OK;
}

static bool tail_fits(const struct live_io *io, const struct shape *s) {
    for (int d = 0; d < s->rank; d++)
        if (io->shape.dims[d + 1] >= 0 && io->shape.dims[d + 1] != s->dims[d])
            return false;
    return true;
}

/* [4] for [-1,4] becomes [1,4]; [784] for [-1,1,28,28] becomes [1,1,28,28]. */
static void add_batch(const struct live_io *io, struct tensor *t) {
    struct shape want = io->shape;
    size_t count;
    if (io->shape.rank == 0 || t->shape.rank >= io->shape.rank ||
        (want.dims[0] != -1 && want.dims[0] != 1))
        return;
    want.dims[0] = 1;
    if (t->shape.rank == io->shape.rank - 1 && tail_fits(io, &t->shape)) {
        memcpy(want.dims + 1, t->shape.dims, (size_t)t->shape.rank * sizeof *want.dims);
        t->shape = want;
    } else if (t->shape.rank == 1 && shape_count(&want, &count) && count == tensor_count(t)) {
        t->shape = want;
    }
}

/* --- .npy --- */

static bool integer_fits(enum dtype to, const struct tensor *t) {
    static const struct {
        enum dtype dtype;
        int64_t low, high;
    } ranges[] = {{DT_I8, INT8_MIN, INT8_MAX},
                  {DT_I16, INT16_MIN, INT16_MAX},
                  {DT_I32, INT32_MIN, INT32_MAX},
                  {DT_I64, INT64_MIN, INT64_MAX},
                  {DT_U8, 0, UINT8_MAX},
                  {DT_U16, 0, UINT16_MAX},
                  {DT_U32, 0, UINT32_MAX},
                  {DT_U64, 0, INT64_MAX},
                  {DT_BOOL, 0, 1}};
    size_t n = tensor_count(t);
    for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++)
        for (size_t i = 0; ranges[k].dtype == to && i < n; i++) {
            int64_t v = tensor_i64(t, i);
            if (v < ranges[k].low || v > ranges[k].high || (t->dtype == DT_U64 && v < 0))
                return false;
        }
    return true;
}

static enum code convert(struct request *r, const struct live_io *io, struct tensor *t,
                         struct err *e) {
    bool whole = dtype_is_integer(t->dtype) || t->dtype == DT_BOOL;
    struct tensor out;
    if (t->dtype == io->dtype)
        return OK;
    bool may = dtype_is_float(io->dtype) ? whole || dtype_is_float(t->dtype)
                                         : dtype_is_integer(io->dtype) && whole;
    if (!may)
        return fail(e, INVALID, "input '%.*s': the array is %s, the model takes %s", STR(io->name),
                    dtype_name(t->dtype), dtype_name(io->dtype));
    if (!dtype_is_float(io->dtype) && !integer_fits(io->dtype, t))
        return fail(e, INVALID,
                    "input '%.*s': the array is %s and holds values that do not fit in %s",
                    STR(io->name), dtype_name(t->dtype), dtype_name(io->dtype));
    TRY(tensor_new(r->arena, io->dtype, &t->shape, &out, e));
    TRY(cast_elements(io->dtype, out.data, t->dtype, t->data, tensor_count(t), true, r->arena, e));
    *t = out;
    return OK;
}

static enum code take_npy(struct request *r, const struct live_io *io, struct span body,
                          struct err *e) {
    struct tensor t;
    TRY(npy_read(body, r->arena, &t, e));
    TRY(convert(r, io, &t, e));
    add_batch(io, &t);
    return add_input(r, io, &t, e);
}

/* --- images --- */

/* The input an image is for: the recipe's, the only one, or the only one of rank 4. */
static const struct live_io *image_input(const struct request *r) {
    const struct notes *notes = r->notes;
    const struct live_io *io, *found = NULL;
    size_t n = live_inputs(r->ask.live, &io);
    if (notes->recipe.input.n)
        return find_io(r->ask.live, notes->recipe.input);
    if (n == 1)
        return io;
    for (size_t i = 0; i < n; i++)
        if (io[i].shape.rank == 4) {
            if (found)
                return NULL;
            found = &io[i];
        }
    return found;
}

static enum code take_image(struct request *r, const struct live_io *io, struct span body,
                            struct err *e) {
    const struct notes *notes = r->notes;
    struct image image;
    struct tensor t;
    if (!io)
        io = image_input(r);
    if (!io)
        return fail(e, INVALID,
                    "the model has several inputs: say in a form which one the image is, or in its "
                    "\"preprocess\" part");
    TRY(image_decode(body, r->options->image_pixels, &image, e));
    enum code code = recipe_image(&notes->recipe, io, &image, r->arena, &t, e);
    image_free(&image);
    return code == OK ? add_input(r, io, &t, e) : code;
}

/* --- JSON --- */

static enum code take_value(struct request *r, struct json *j, const struct live_io *io,
                            struct err *e) {
    struct tensor t;
    enum code code = typed_read(r, j, io->dtype, &t, e);
    if (code != OK)
        return err_prefix(e, "input '%.*s'", STR(io->name));
    add_batch(io, &t);
    return add_input(r, io, &t, e);
}

static enum code take_sole(struct request *r, struct json *j, struct err *e) {
    const struct live_io *io, *sole = records_sole(r->ask.live);
    char names[NAMES_ROOM];
    size_t n = live_inputs(r->ask.live, &io);
    if (!sole)
        return json_fail(j, e, "the model has %zu inputs, send an object of them: %s", n,
                         records_names(io, n, names, sizeof names));
    return take_value(r, j, sole, e);
}

static bool is_noise(struct str key) {
    static const char *const known[] = {"id",      "signature_name", "parameters",
                                        "options", "model",          "version"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_is(key, known[i]))
            return true;
    return false;
}

static enum code unexpected_at(struct request *r, struct json *j, struct str key, struct err *e) {
    struct err inner;
    (void)unexpected(r, key, &inner);
    return json_fail(j, e, "%s", inner.text);
}

static void add_batches(struct request *r) {
    for (size_t i = 0; i < r->ask.n_inputs; i++) {
        const struct live_io *io = find_io(r->ask.live, r->ask.inputs[i].name);
        if (io)
            add_batch(io, &r->ask.inputs[i].tensor);
    }
}

static enum code take_member(struct request *r, struct json *j, struct str key, struct err *e) {
    const struct live_io *io = find_io(r->ask.live, key);
    if (io)
        return take_value(r, j, io, e);
    if (is_noise(key))
        return json_skip(j, NULL, e);
    if (r->ask.inputs && (str_is(key, "instances") || str_is(key, "inputs")))
        return json_fail(j, e, "'%.*s' beside other inputs", STR(key));
    if (str_is(key, "instances"))
        return records_rows(r, j, e);
    if (str_is(key, "inputs")) {
        TRY(records_columns(r, j, e));
        add_batches(r);
        return OK;
    }
    if (!records_sole(r->ask.live) || r->ask.inputs || json_peek(j) != JSON_ARRAY)
        return unexpected_at(r, j, key, e);
    return take_sole(
        r, j,
        e); /* {"x_test": [...]}, {"data": [...]}: whatever it is called, it is the one array */
}

static enum code take_json(struct request *r, struct span body, struct err *e) {
    struct json j;
    struct str key;
    bool more;
    json_init(&j, (struct str){(const char *)body.p, body.n}, r->arena);
    j.allow_nan = true;
    if (json_peek(&j) != JSON_OBJECT) {
        TRY(take_sole(r, &j, e));
        return json_end(&j, e);
    }
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        TRY(take_member(r, &j, key, e));
    }
    TRY(json_end(&j, e));
    const struct live_io *io;
    char names[NAMES_ROOM];
    size_t n = live_inputs(r->ask.live, &io);
    return r->ask.inputs ? OK
                         : json_fail(&j, e, "no input given; the model takes %s",
                                     records_names(io, n, names, sizeof names));
}

/* --- bodies --- */

static bool looks_like_json(struct span b) {
    size_t i = 0;
    while (i < b.n && (b.p[i] == ' ' || b.p[i] == '\n' || b.p[i] == '\r' || b.p[i] == '\t'))
        i++;
    return i < b.n && strchr("{[\"-0123456789tfnNI", b.p[i]) && b.p[i];
}

static enum code take_part(struct request *r, const struct multipart_part *p, struct err *e) {
    const struct live_io *io = find_io(r->ask.live, p->name);
    if (image_kind(p->body) != IMAGE_NONE)
        return take_image(r, io, p->body, e);
    if (!io && p->file_name.n)
        io = records_sole(r->ask.live);
    if (!io)
        return unexpected(r, p->name, e);
    if (npy_is(p->body))
        return take_npy(r, io, p->body, e);
    struct json j;
    json_init(&j, (struct str){(const char *)p->body.p, p->body.n}, r->arena);
    j.allow_nan = true;
    TRY(take_value(r, &j, io, e));
    return json_end(&j, e);
}

static enum code take_form(struct request *r, struct str content_type, struct err *e) {
    struct multipart m;
    struct multipart_part p;
    bool more;
    TRY(multipart_begin(&m, content_type, r->body, e));
    for (;;) {
        TRY(multipart_next(&m, &p, &more, e));
        if (!more)
            return r->ask.inputs ? OK : fail(e, INVALID, "the form holds no input");
        enum code code = take_part(r, &p, e);
        if (code != OK)
            return err_prefix(e, "form field '%.*s'", STR(p.name));
    }
}

static enum code take_body(struct request *r, struct err *e) {
    struct str type = http_header_get(&r->x->request, "content-type");
    const struct live_io *sole = records_sole(r->ask.live);
    if (type.n >= 19 && str_eq_nocase(str_sub(type, 0, 19), LIT("multipart/form-data")))
        return take_form(r, type, e);
    if (image_kind(r->body) != IMAGE_NONE)
        return take_image(r, NULL, r->body, e);
    if (npy_is(r->body))
        return sole ? take_npy(r, sole, r->body, e)
                    : fail(e, INVALID,
                           "the model has several inputs: send a form with one .npy file for each");
    if (looks_like_json(r->body))
        return take_json(r, r->body, e);
    if (r->body.n == 0)
        return fail(e, INVALID,
                    "the body is empty; send JSON, an .npy file, a JPEG or a PNG image");
    return fail(e, MEDIA_TYPE, "the body (%.*s) is neither JSON nor .npy nor a JPEG or PNG image",
                STR(type.n ? type : LIT("no Content-Type")));
}

static enum code decode(struct request *r, struct err *e) {
    struct notes *notes = ARENA_NEW(r->arena, struct notes);
    if (!notes)
        return arena_fail(r->arena, sizeof *notes, "request", e);
    r->notes = notes;
    TRY(find_live(r, e));
    TRY(recipe_read(live_part(r->ask.live, "preprocess"), r->arena, &notes->recipe, e));
    if (http_query_get(&r->x->request, "output", r->arena, &notes->output)) {
        r->ask.want = &notes->output;
        r->ask.n_want = 1;
    }
    return take_body(r, e);
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

/* The first output of shape [1, K] of floats, K >= 2, as its best classes. */
static enum code put_top(struct request *r, struct json_out *w, const struct recipe *recipe,
                         struct err *e) {
    const struct tensor *t = NULL;
    for (size_t i = 0; i < r->ask.n_outputs && !t; i++) {
        const struct tensor *o = &r->ask.outputs[i].tensor;
        if (o->dtype == DT_F32 && o->shape.rank == 2 && o->shape.dims[0] == 1 &&
            o->shape.dims[1] >= 2)
            t = o;
    }
    if (!t)
        return OK;
    size_t n = (size_t)t->shape.dims[1], k = recipe->top ? (size_t)recipe->top : TOP;
    if (k > n)
        k = n;
    struct ranked *best = ARENA_ARRAY(r->arena, k, struct ranked);
    if (!best)
        return arena_fail(r->arena, k * sizeof *best, "answer", e);
    rank_top(t, 0, n, best, k);
    json_put_key(w, "top");
    json_put_array(w);
    for (size_t i = 0; i < k; i++) {
        json_put_object(w);
        json_put_member_i64(w, "class", (int64_t)best[i].index);
        if (best[i].index < recipe->n_labels)
            json_put_member_str(w, "label", recipe->labels[best[i].index]);
        json_put_key(w, "score");
        typed_put(w, &(struct tensor){.dtype = DT_F32, .data = &(float){(float)best[i].score}},
                  TYPED_NULL);
        json_put_object_end(w);
    }
    json_put_array_end(w);
    return OK;
}

static enum code put_text(struct request *r, struct json_out *w, const struct recipe *recipe,
                          struct err *e) {
    struct str text;
    double confidence;
    if (r->ask.n_outputs == 0)
        return OK;
    TRY(recipe_text(recipe, &r->ask.outputs[0].tensor, r->arena, &text, &confidence, e));
    json_put_member_str(w, "text", text);
    json_put_key(w, "confidence");
    typed_put(w, &(struct tensor){.dtype = DT_F32, .data = &(float){(float)confidence}},
              TYPED_NULL);
    return OK;
}

static enum code put_outputs(struct request *r, struct json_out *w, struct err *e) {
    struct ask *a = &r->ask;
    json_put_key(w, "outputs");
    json_put_object(w);
    for (size_t i = 0; i < a->n_outputs; i++) {
        TRY(typed_writable(r->arena, &a->outputs[i].tensor, e));
        json_put_key_str(w, a->outputs[i].name);
        typed_put(w, &a->outputs[i].tensor, TYPED_NULL);
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
    const struct notes *notes = r->notes;
    const struct recipe *recipe = &notes->recipe;
    struct json_out w;
    size_t bytes = 256;
    if (wants_npy(r))
        return encode_npy(r, e);
    bool outputs = with_outputs(r, recipe->ctc);
    for (size_t i = 0; i < r->ask.n_outputs && outputs; i++)
        bytes += typed_text_bytes(&r->ask.outputs[i].tensor);
    struct buf *b = answer_buf(r, bytes, e);
    if (!b)
        return e->code;
    json_out_init(&w, b, 0);
    json_put_object(&w);
    json_put_member_str(&w, "model", live_model(r->ask.live));
    json_put_member_i64(&w, "version", (int64_t)live_version(r->ask.live));
    if (recipe->ctc)
        TRY(put_text(r, &w, recipe, e));
    else
        TRY(put_top(r, &w, recipe, e));
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
        if (io[i].optional)
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
    TRY(split_selector(r, e));
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
};
