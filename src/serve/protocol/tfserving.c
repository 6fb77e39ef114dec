/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow Serving's REST API (tensorflow.org/tfx/serving/api_rest), which KServe V1 shares:
 * docs/protocols/tfserving.md.
 *
 * 1. Rows ("instances") answer {"predictions": [...]}, columns ("inputs") answer {"outputs": ...};
 * one output loses its name, several keep theirs.
 * 2. Types come from the signature. NaN and Infinity are bare words both ways, as TF Serving writes
 * them.
 * 3. Errors are {"error": text} with TF Serving's texts where clients match on them.
 * 4. :classify and :regress read "examples" as a table whose columns are the inputs (frame.h), and
 * answer what the version declares its outputs mean (media.h), or outputs named as in classic
 * signatures: classes, scores; outputs.
 * 5. A CloudEvent (KServe) is answered by one: event.h. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "serve/event.h"
#include "serve/frame.h"
#include "serve/protocol/tfresult.h"
#include "serve/records.h"
#include "serve/typed.h"

enum verb { PREDICT, CLASSIFY, REGRESS };

struct notes {
    enum verb verb;
    bool columns; /* "inputs": the answer is "outputs" */
};

static const char *dtype_text(enum dtype t) {
    static const struct {
        enum dtype dtype;
        const char *name;
    } map[] = {{DT_F32, "DT_FLOAT"},     {DT_F64, "DT_DOUBLE"},     {DT_F16, "DT_HALF"},
               {DT_BF16, "DT_BFLOAT16"}, {DT_I8, "DT_INT8"},        {DT_I16, "DT_INT16"},
               {DT_I32, "DT_INT32"},     {DT_I64, "DT_INT64"},      {DT_U8, "DT_UINT8"},
               {DT_U16, "DT_UINT16"},    {DT_U32, "DT_UINT32"},     {DT_U64, "DT_UINT64"},
               {DT_BOOL, "DT_BOOL"},     {DT_I4, "DT_INT4"},        {DT_STRING, "DT_STRING"},
               {DT_C64, "DT_COMPLEX64"}, {DT_U4, "DT_UINT4"},       {DT_I2, "DT_INT2"},
               {DT_U2, "DT_UINT2"},      {DT_C128, "DT_COMPLEX128"}};
    for (size_t i = 0; i < sizeof map / sizeof *map; i++)
        if (map[i].dtype == t)
            return map[i].name;
    return "DT_INVALID";
}

/* --- which version --- */

/* TF Serving's words for what the path names and the host does not have. */
static enum code not_found(struct request *r, struct err *e) {
    struct live_info info;
    struct err ignored;
    if (r->ask.version)
        return fail(e, NOT_FOUND, "Servable not found for request: Specific(%.*s, %llu)",
                    STR(r->model), (unsigned long long)r->ask.version);
    if (r->label.n && host_find(r->host, r->model, 0, (struct str){0}, r->arena, &info, &ignored) !=
                          ERR_NOT_FOUND)
        return fail(e, INVALID, "Unrecognized servable version label: %.*s", STR(r->label));
    return fail(e, NOT_FOUND, "Servable not found for request: Latest(%.*s)", STR(r->model));
}

static enum code find_live(struct request *r, struct err *e) {
    enum code code = request_route(r, e);
    return code == ERR_NOT_FOUND ? not_found(r, e) : code;
}

/* --- predict --- */

static enum code check_signature(const struct json *j, struct str name, struct err *e) {
    if (name.n == 0 || str_is(name, "serving_default") || str_is(name, "predict"))
        return OK;
    return json_fail(
        j, e,
        "Serving signature name: \"%.*s\" not found in signature def; there is \"serving_default\"",
        STR(name));
}

static enum code take_key(struct request *r, struct json *j, struct str key, struct notes *notes,
                          struct err *e) {
    bool rows = str_is(key, "instances"), columns = str_is(key, "inputs");
    struct str text;
    if (str_is(key, "signature_name")) {
        TRY(json_string(j, &text, e));
        return check_signature(j, text, e);
    }
    if (!rows && !columns)
        return json_skip(j, NULL, e);
    if (r->ask.inputs)
        return json_fail(
            j, e,
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist");
    notes->columns = columns;
    return rows ? records_rows(r, j, e) : records_columns(r, j, e);
}

static enum code decode_predict(struct request *r, struct json *j, struct err *e) {
    struct str key;
    bool more;
    enum code code = json_enter_object(j, e);
    if (code != OK)
        return err_prefix(e, "JSON Parse error");
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        TRY(take_key(r, j, key, r->notes, e));
    }
    if (!r->ask.inputs)
        return json_fail(j, e, "Missing 'inputs' or 'instances' key");
    return json_end(j, e);
}

static unsigned form_of(struct str name) {
    return str_ends(name, "_bytes") ? TYPED_B64 : TYPED_PLAIN;
}

static enum code count_rows(const struct ask *a, int64_t *rows, struct err *e) {
    char text[SHAPE_TEXT];
    for (size_t i = 0; i < a->n_outputs; i++) {
        const struct shape *s = &a->outputs[i].tensor.shape;
        if (s->rank == 0 || (i && s->dims[0] != *rows))
            return fail(e, INVALID,
                        "output '%.*s' of shape %s has no row per instance; send columns "
                        "(\"inputs\") instead",
                        STR(a->outputs[i].name), shape_print(s, text));
        *rows = s->dims[0];
    }
    return OK;
}

static void put_rows(struct json_out *w, const struct ask *a, int64_t rows) {
    if (a->n_outputs == 1) {
        typed_put_output(w, &a->outputs[0], form_of(a->outputs[0].name));
        return;
    }
    json_put_array(w);
    for (int64_t row = 0; row < rows; row++) {
        json_put_object(w);
        for (size_t i = 0; i < a->n_outputs; i++) {
            json_put_key_str(w, a->outputs[i].name);
            typed_put_output_row(w, &a->outputs[i], (size_t)row, form_of(a->outputs[i].name));
        }
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

static void put_columns(struct json_out *w, const struct ask *a) {
    if (a->n_outputs == 1) {
        typed_put_output(w, &a->outputs[0], form_of(a->outputs[0].name));
        return;
    }
    json_put_object(w);
    for (size_t i = 0; i < a->n_outputs; i++) {
        json_put_key_str(w, a->outputs[i].name);
        typed_put_output(w, &a->outputs[i], form_of(a->outputs[i].name));
    }
    json_put_object_end(w);
}

static enum code encode_predict(struct request *r, struct err *e) {
    const struct notes *notes = r->notes;
    struct ask *a = &r->ask;
    struct json_out w;
    int64_t rows = 0;
    size_t bytes = 64;
    for (size_t i = 0; i < a->n_outputs; i++) {
        TRY(typed_writable(r->arena, &a->outputs[i].tensor, e));
        bytes += typed_text_bytes(&a->outputs[i].tensor);
    }
    if (!notes->columns)
        TRY(count_rows(a, &rows, e));
    struct buf *b = answer_buf(r, bytes, e);
    if (!b)
        return e->code;
    json_out_init(&w, b, 0);
    json_put_object(&w);
    json_put_key(&w, notes->columns ? "outputs" : "predictions");
    if (notes->columns)
        put_columns(&w, a);
    else
        put_rows(&w, a, rows);
    json_put_object_end(&w);
    answer_type(r, 200, ANSWER_JSON);
    return answer_part(r, b, e);
}

/* --- classify, regress --- */

/* "context": features that every example has. [{c, a}, {c, b}] of {c} and [{a}, {b}], as text. */
static enum code with_context(struct request *r, struct json *j, struct str context,
                              struct buf *out, struct err *e) {
    struct str example;
    bool more;
    TRY(json_enter_array(j, e));
    for (bool first = true;; first = false) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        if (json_peek(j) != JSON_OBJECT)
            return json_fail(j, e, "Example must be JSON object");
        struct json inside = *j;
        bool features;
        struct str key;
        TRY(json_enter_object(&inside, e));
        TRY(json_next_key(&inside, &key, &features, e));
        TRY(json_skip(j, &example, e));
        buf_put_text(out, first ? "[" : ",");
        buf_put(out, context.p, context.n - 1);
        buf_put_text(out, features ? "," : "");
        buf_put(out, example.p + 1, example.n - 1);
    }
    buf_put_byte(out, ']');
    (void)r;
    return buf_check(out, "examples", e);
}

static enum code take_examples(struct request *r, struct json *j, struct str context,
                               struct err *e) {
    struct json merged;
    struct str key;
    bool more = false;
    if (context.n) {
        json_init(&merged, context, r->arena);
        TRY(json_enter_object(&merged, e));
        TRY(json_next_key(&merged, &key, &more, e));
    }
    if (!more)
        return frame_records(r, j, e);
    struct buf *b = answer_buf(r, (size_t)(j->end - j->p) * 2, e);
    if (!b)
        return e->code;
    TRY(with_context(r, j, context, b, e));
    json_init(&merged, buf_str(b), r->arena);
    merged.allow_nan = true;
    return frame_records(r, &merged, e);
}

static enum code decode_examples(struct request *r, struct json *j, struct err *e) {
    struct json examples = {0};
    struct str key, text, context = {0};
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        if (str_is(key, "signature_name")) {
            TRY(json_string(j, &text, e));
            TRY(check_signature(j, text, e));
        } else if (str_is(key, "context")) {
            TRY(json_skip(j, &context, e));
        } else {
            if (str_is(key, "examples"))
                examples = *j;
            TRY(json_skip(j, NULL, e));
        }
    }
    TRY(json_end(j, e));
    if (!examples.p)
        return json_fail(j, e,
                         "When method is classify/regress, key 'examples' is expected and "
                         "was not found");
    return take_examples(r, &examples, context, e);
}

/* [[["label", 0.9], ["other", 0.1]], ...] */
static enum code put_classes(struct request *r, struct json_out *w, struct err *e) {
    struct tfresult t;
    struct str label;
    TRY(tfresult_classes(r, &t, e));
    json_put_array(w);
    for (size_t at = 0; at < t.rows * t.classes; at++) {
        if (at % t.classes == 0)
            json_put_array(w);
        TRY(tfresult_label(&t, at, r->arena, &label, e));
        json_put_array(w);
        json_put_str(w, label);
        json_put_f32(w, (float)tensor_f64(t.scores, at));
        json_put_array_end(w);
        if (at % t.classes == t.classes - 1)
            json_put_array_end(w);
    }
    json_put_array_end(w);
    return OK;
}

static enum code put_regressions(struct request *r, struct json_out *w, struct err *e) {
    const struct tensor *t;
    TRY(tfresult_values(&r->ask, &t, e));
    json_put_array(w);
    for (size_t i = 0; i < tensor_count(t); i++)
        json_put_f32(w, (float)tensor_f64(t, i));
    json_put_array_end(w);
    return OK;
}

static enum code encode_results(struct request *r, struct err *e) {
    const struct notes *notes = r->notes;
    struct answer_json j;
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_key(&j.w, "results");
    TRY(notes->verb == CLASSIFY ? put_classes(r, &j.w, e) : put_regressions(r, &j.w, e));
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

/* --- decode, encode --- */

static enum code decode(struct request *r, struct err *e) {
    struct json j;
    struct str path = r->x->request.path;
    struct notes *notes = ARENA_NEW(r->arena, struct notes);
    if (!notes)
        return arena_fail(r->arena, sizeof *notes, "request", e);
    r->notes = notes;
    notes->verb = str_ends(path, ":classify")  ? CLASSIFY
                  : str_ends(path, ":regress") ? REGRESS
                                               : PREDICT;
    TRY(event_take(r, e));
    TRY(find_live(r, e));
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    j.allow_nan = true;
    return notes->verb == PREDICT ? decode_predict(r, &j, e) : decode_examples(r, &j, e);
}

static enum code encode(struct request *r, struct err *e) {
    const struct notes *notes = r->notes;
    TRY(notes->verb == PREDICT ? encode_predict(r, e) : encode_results(r, e));
    return event_put(r, e);
}

static enum code explain(struct request *r, struct err *e) {
    TRY(find_live(r, e));
    return fail(e, UNSUPPORTED, "explanations are not supported: model %.*s has no explainer",
                STR(r->model));
}

/* --- status --- */

static const char *state_text(enum live_state s) {
    switch (s) {
    case LIVE_UNLOADED:
    case LIVE_FAILED: return "END";
    case LIVE_LOADING: return "LOADING";
    case LIVE_READY: return "AVAILABLE";
    case LIVE_DRAINING: return "UNLOADING";
    }
    return "UNKNOWN";
}

static void put_version(struct json_out *w, const struct live_info *v) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)v->version);
    json_put_object(w);
    json_put_member_text(w, "version", text);
    json_put_member_text(w, "state", state_text(v->state));
    json_put_key(w, "status");
    json_put_object(w);
    json_put_member_text(w, "error_code", v->state == LIVE_FAILED ? "UNKNOWN" : "OK");
    json_put_member_str(w, "error_message", v->error);
    json_put_object_end(w);
    json_put_object_end(w);
}

/* {"model_version_status": [...]} as TF Serving, then "name" and "ready" as KServe V1. */
static enum code put_status(struct request *r, const struct live_info *versions, size_t n,
                            struct err *e) {
    struct answer_json j;
    bool ready = false;
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_key(&j.w, "model_version_status");
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++) {
        put_version(&j.w, &versions[i]);
        ready |= versions[i].state == LIVE_READY;
    }
    json_put_array_end(&j.w);
    json_put_member_str(&j.w, "name", r->model);
    json_put_member_str(&j.w, "id", r->model); /* OpenAI's, of one model */
    json_put_member_text(&j.w, "object", "model");
    json_put_member_i64(&j.w, "created", n ? (int64_t)(versions[0].created_us / 1000000) : 0);
    json_put_member_text(&j.w, "owned_by", "slipway");
    json_put_member_bool(&j.w, "ready", ready);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static enum code status_one(struct request *r, struct err *e) {
    struct live_info v;
    enum code code = host_find(r->host, r->model, r->ask.version, r->label, r->arena, &v, e);
    if (code != OK)
        return code == ERR_NOT_FOUND ? not_found(r, e) : code;
    return put_status(r, &v, 1, e);
}

/* Versions that are or were to be served; those that lie in the store unloaded only when there is
 * no other. */
static enum code status(struct request *r, struct err *e) {
    struct live_info *all, *kept;
    size_t n, of_model = 0, n_kept = 0;
    TRY(host_list(r->host, r->arena, &all, &n, e));
    kept = ARENA_ARRAY(r->arena, n + 1, struct live_info);
    if (!kept)
        return arena_fail(r->arena, n * sizeof *kept, "model list", e);
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].model, r->model)) {
            all[of_model++] = all[i];
            if (all[i].state != LIVE_UNLOADED)
                kept[n_kept++] = all[i];
        }
    if (of_model == 0)
        return fail(e, NOT_FOUND, "Could not find any versions of model %.*s", STR(r->model));
    return n_kept ? put_status(r, kept, n_kept, e) : put_status(r, all, of_model, e);
}

/* KServe V1's list; TF Serving has none. */
/* The same path is OpenAI's list of models: its members stand beside. */
static void put_openai_list(struct json_out *w, const struct live_info *all, size_t n) {
    json_put_member_text(w, "object", "list");
    json_put_key(w, "data");
    json_put_array(w);
    for (size_t i = 0; i < n; i++) {
        if (i && str_eq(all[i].model, all[i - 1].model))
            continue;
        json_put_object(w);
        json_put_member_str(w, "id", all[i].model);
        json_put_member_text(w, "object", "model");
        json_put_member_i64(w, "created", (int64_t)(all[i].created_us / 1000000));
        json_put_member_text(w, "owned_by", "slipway");
        json_put_object_end(w);
    }
    json_put_array_end(w);
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
        if (i == 0 || !str_eq(all[i].model, all[i - 1].model))
            json_put_str(&j.w, all[i].model);
    json_put_array_end(&j.w);
    put_openai_list(&j.w, all, n);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

/* --- metadata --- */

static void put_tensor_info(struct json_out *w, const struct live_io *io) {
    char text[24];
    json_put_object(w);
    json_put_member_text(w, "dtype", dtype_text(io->dtype));
    json_put_key(w, "tensor_shape");
    json_put_object(w);
    json_put_key(w, "dim");
    json_put_array(w);
    for (int d = 0; d < io->shape.rank; d++) {
        snprintf(text, sizeof text, "%lld", (long long)io->shape.dims[d]);
        json_put_object(w);
        json_put_member_text(w, "size", text);
        json_put_member_str(w, "name", io->dim_names[d]);
        json_put_object_end(w);
    }
    json_put_array_end(w);
    json_put_member_bool(w, "unknown_rank", false);
    json_put_object_end(w);
    json_put_member_str(w, "name", io->name);
    json_put_object_end(w);
}

static void put_tensor_infos(struct json_out *w, const char *key, const struct live_io *io,
                             size_t n) {
    json_put_key(w, key);
    json_put_object(w);
    for (size_t i = 0; i < n; i++) {
        json_put_key_str(w, io[i].name);
        put_tensor_info(w, &io[i]);
    }
    json_put_object_end(w);
}

static void put_signature(struct json_out *w, const struct live *l) {
    const struct live_io *io;
    size_t n = live_inputs(l, &io);
    json_put_object(w);
    put_tensor_infos(w, "inputs", io, n);
    n = live_outputs(l, &io);
    put_tensor_infos(w, "outputs", io, n);
    json_put_member_text(w, "method_name", "tensorflow/serving/predict");
    json_put_key(w, "defaults");
    json_put_object(w);
    json_put_object_end(w);
    json_put_object_end(w);
}

static enum code metadata(struct request *r, struct err *e) {
    struct answer_json j;
    char version[24];
    TRY(find_live(r, e));
    TRY(answer_json(r, &j, e));
    snprintf(version, sizeof version, "%llu", (unsigned long long)live_version(r->ask.live));
    json_put_object(&j.w);
    json_put_key(&j.w, "model_spec");
    json_put_object(&j.w);
    json_put_member_str(&j.w, "name", r->model);
    json_put_member_text(&j.w, "signature_name", "");
    json_put_member_text(&j.w, "version", version);
    json_put_object_end(&j.w);
    json_put_key(&j.w, "metadata");
    json_put_object(&j.w);
    json_put_key(&j.w, "signature_def");
    json_put_object(&j.w);
    json_put_key(&j.w,
                 "signature_def"); /* twice: the field of SignatureDefMap has the map's name */
    json_put_object(&j.w);
    json_put_key(&j.w, "serving_default");
    put_signature(&j.w, r->ask.live);
    for (int i = 0; i < 4; i++)
        json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static const struct route routes[] = {
    {ROUTE_POST, "/v1/models/{model}:predict", 0, NULL},
    {ROUTE_POST, "/v1/models/{model}/versions/{version}:predict", 0, NULL},
    {ROUTE_POST, "/v1/models/{model}/labels/{label}:predict", 0, NULL},
    {ROUTE_POST, "/v1/models/{model}:classify", 0, NULL},
    {ROUTE_POST, "/v1/models/{model}/versions/{version}:classify", 0, NULL},
    {ROUTE_POST, "/v1/models/{model}/labels/{label}:classify", 0, NULL},
    {ROUTE_POST, "/v1/models/{model}:regress", 0, NULL},
    {ROUTE_POST, "/v1/models/{model}/versions/{version}:regress", 0, NULL},
    {ROUTE_POST, "/v1/models/{model}/labels/{label}:regress", 0, NULL},
    {ROUTE_POST, "/v1/models/{model}:explain", 0, explain},
    {ROUTE_GET, "/v1/models", 0, list},
    {ROUTE_GET, "/v1/models/{model}", 0, status},
    {ROUTE_GET, "/v1/models/{model}/versions/{version}", 0, status_one},
    {ROUTE_GET, "/v1/models/{model}/labels/{label}", 0, status_one},
    {ROUTE_GET, "/v1/models/{model}/metadata", 0, metadata},
    {ROUTE_GET, "/v1/models/{model}/versions/{version}/metadata", 0, metadata},
    {ROUTE_GET, "/v1/models/{model}/labels/{label}/metadata", 0, metadata},
};

const struct protocol protocol_tfserving = {
    .name = "tfserving",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .encode = encode,
};
