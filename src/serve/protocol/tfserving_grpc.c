/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow Serving over gRPC: tensorflow.serving.PredictionService and ModelService
 * (docs/protocols/tfserving_grpc.md).
 *
 * 1. Outputs come in the lists of their types (float_val, ...), which every client reads.
 * 2. Classify, Regress and MultiInference take Examples: a feature is the input of its name.
 * Classes are named by the version's labels, else by their index.
 * 3. HandleReloadConfigRequest is what a configuration file says (job/roster.h): new versions under
 * the base paths are imported, labels set, models not named unloaded. */
#include "serve/protocol/protocol.h"

#include "base/pb.h"
#include "job/follow.h"
#include "job/tfproto.h"
#include "serve/answer.h"
#include "serve/in.h"
#include "serve/protocol/tfresult.h"
#include "serve/records.h"

enum { SPEC_TEXT = 200 };

enum verb { PREDICT, CLASSIFY, REGRESS, MULTI };

struct task {
    enum verb verb;
    struct str signature;
};

struct notes {
    enum verb verb;
    struct str signature;
    struct task *tasks; /* of MULTI */
    size_t n_tasks;
};

/* --- ModelSpec --- */

static enum code take_version(const struct pb_field *f, struct request *r, struct err *e) {
    struct pb_field v;
    struct pb p;
    bool more;
    int64_t version = 0;
    TRY(pb_sub(f, &p, e)); /* google.protobuf.Int64Value */
    for (;;) {
        TRY(pb_next(&p, &v, &more, e));
        if (!more)
            break;
        if (v.number == 1)
            TRY(pb_i64(&v, &version, e));
    }
    if (version <= 0)
        return fail(e, NOT_FOUND, "Servable not found for request: Specific(%.*s, %lld)",
                    STR(str_sub(r->model, 0, SPEC_TEXT)), (long long)version);
    r->ask.version = (uint64_t)version;
    return OK;
}

static enum code take_spec(struct request *r, const struct pb_field *f, struct str *signature,
                           struct err *e) {
    struct pb_field g;
    struct pb p;
    bool more;
    TRY(pb_sub(f, &p, e));
    for (;;) {
        TRY(pb_next(&p, &g, &more, e));
        if (!more)
            break;
        switch (g.number) {
        case 1: TRY(pb_str(&g, &r->model, e)); break;
        case 2: TRY(take_version(&g, r, e)); break;
        case 3: TRY(pb_str(&g, signature, e)); break;
        case 4: TRY(pb_str(&g, &r->label, e)); break;
        default: break;
        }
    }
    r->ask.model = r->model;
    r->ask.alias = r->label;
    return OK;
}

static enum code not_found(struct request *r, struct err *e) {
    struct str model = str_sub(r->model, 0, SPEC_TEXT);
    struct live_info info;
    struct err ignored;
    if (r->ask.version)
        return fail(e, NOT_FOUND, "Servable not found for request: Specific(%.*s, %llu)",
                    STR(model), (unsigned long long)r->ask.version);
    if (r->label.n && host_find(r->host, r->model, 0, (struct str){0}, r->arena, &info, &ignored) !=
                          ERR_NOT_FOUND)
        return fail(e, INVALID, "Unrecognized servable version label: %.*s",
                    STR(str_sub(r->label, 0, SPEC_TEXT)));
    return fail(e, NOT_FOUND, "Servable not found for request: Latest(%.*s)", STR(model));
}

static enum code find_live(struct request *r, struct err *e) {
    enum code code;
    if (!r->model.n)
        return fail(e, INVALID, "Missing ModelSpec");
    code = request_route(r, e);
    return code == ERR_NOT_FOUND ? not_found(r, e) : code;
}

static void put_spec(struct buf *b, uint32_t field, const struct request *r, struct str signature) {
    size_t at = pb_put_begin(b, field);
    pb_put_str(b, 1, live_model(r->ask.live));
    size_t version = pb_put_begin(b, 2);
    pb_put_u64(b, 1, live_version(r->ask.live));
    pb_put_end(b, version);
    pb_put_str(b, 3, signature.n ? signature : LIT("serving_default"));
    pb_put_end(b, at);
}

/* --- Predict --- */

/* A map entry: string to TensorProto. */
static enum code take_input(struct request *r, const struct pb_field *f, struct err *e) {
    const struct live_io *io;
    struct ask_tensor *out = &r->ask.inputs[r->ask.n_inputs];
    struct str name = {0};
    struct span value = {0};
    struct pb_field g;
    struct pb p;
    bool more;
    size_t n = live_inputs(r->ask.live, &io), at = 0;
    TRY(pb_sub(f, &p, e));
    for (;;) {
        TRY(pb_next(&p, &g, &more, e));
        if (!more)
            break;
        if (g.number == 1)
            TRY(pb_str(&g, &name, e));
        if (g.number == 2)
            TRY(pb_bytes(&g, &value, e));
    }
    while (at < n && !str_eq(io[at].name, name))
        at++;
    if (at == n || r->ask.n_inputs == n) {
        char names[240];
        return fail(e, INVALID,
                    "input tensor alias not found in signature: %.*s. Inputs expected to be in the "
                    "set {%s}. Sent extra: {%.*s}",
                    STR(str_sub(name, 0, 60)), records_names(io, n, names, sizeof names),
                    STR(str_sub(name, 0, 60)));
    }
    TRY(tfproto_take(r->arena, value, name, &out->tensor, e));
    out->name = name;
    r->ask.n_inputs++;
    return OK;
}

static enum code take_filter(struct request *r, const struct pb_field *f, struct str *names,
                             size_t most, struct err *e) {
    const struct live_io *io;
    struct str name;
    size_t at = 0, n = live_outputs(r->ask.live, &io);
    TRY(pb_str(f, &name, e));
    while (at < n && !str_eq(io[at].name, name))
        at++;
    if (at == n)
        return fail(e, INVALID, "output tensor alias not found in signature: %.*s",
                    STR(str_sub(name, 0, SPEC_TEXT)));
    for (size_t i = 0; i < r->ask.n_want; i++)
        if (str_eq(names[i], name))
            return fail(e, INVALID, "duplicate output tensor alias: %.*s", STR(name));
    if (r->ask.n_want < most)
        names[r->ask.n_want++] = name;
    return OK;
}

/* The ModelSpec of a message, in its field `field`. */
static enum code spec_of(struct request *r, uint32_t field, struct str *signature, struct err *e) {
    struct pb_field f;
    struct pb p;
    bool more;
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == field)
            TRY(take_spec(r, &f, signature, e));
    }
}

static enum code decode_predict(struct request *r, struct notes *notes, struct err *e) {
    const struct live_io *io;
    struct pb_field f;
    struct pb p;
    bool more;
    TRY(spec_of(r, 1, &notes->signature, e));
    TRY(tfproto_signature(notes->signature, e));
    TRY(find_live(r, e));
    size_t most = live_outputs(r->ask.live, &io);
    struct str *names = ARENA_ARRAY(r->arena, most + 1, struct str);
    if (!names)
        return arena_fail(r->arena, most * sizeof *names, "outputs", e);
    TRY(records_room(r, live_inputs(r->ask.live, &io), e));
    r->ask.want = names;
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == 2)
            TRY(take_input(r, &f, e));
        if (f.number == 3)
            TRY(take_filter(r, &f, names, most, e));
    }
}

static enum code encode_predict(struct request *r, const struct notes *notes, struct buf *b,
                                struct err *e) {
    for (size_t i = 0; i < r->ask.n_outputs; i++) {
        size_t entry = pb_put_begin(b, 1);
        pb_put_str(b, 1, r->ask.outputs[i].name);
        TRY(tfproto_put(b, 2, &r->ask.outputs[i].tensor, e));
        pb_put_end(b, entry);
    }
    put_spec(b, 2, r, notes->signature);
    return OK;
}

/* --- Classify, Regress, MultiInference --- */

static enum code take_task(struct request *r, const struct pb_field *f, struct task *out,
                           struct err *e) {
    struct str before = r->model, method = {0};
    struct pb_field g;
    struct pb p;
    bool more;
    TRY(pb_sub(f, &p, e));
    for (;;) {
        TRY(pb_next(&p, &g, &more, e));
        if (!more)
            break;
        if (g.number == 1)
            TRY(take_spec(r, &g, &out->signature, e));
        if (g.number == 2)
            TRY(pb_str(&g, &method, e));
    }
    if (before.n && !str_eq(before, r->model))
        return fail(e, INVALID,
                    "All ModelSpecs in a MultiInferenceRequest must access the same "
                    "model name.");
    TRY(tfproto_signature(out->signature, e));
    out->verb = str_is(method, "tensorflow/serving/regress") ? REGRESS : CLASSIFY;
    if (out->verb == CLASSIFY && !str_is(method, "tensorflow/serving/classify"))
        return fail(e, UNSUPPORTED, "Unsupported signature method_name: %.*s",
                    STR(str_sub(method, 0, SPEC_TEXT)));
    return OK;
}

static enum code decode_tasks(struct request *r, struct notes *notes, struct err *e) {
    struct pb_field f;
    struct pb p;
    bool more;
    size_t n = 0;
    pb_init(&p, r->body);
    for (;; n += f.number == 1) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
    }
    notes->tasks = ARENA_ARRAY(r->arena, n + 1, struct task);
    if (!notes->tasks)
        return arena_fail(r->arena, n * sizeof *notes->tasks, "tasks", e);
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return n ? OK : fail(e, INVALID, "MultiInferenceRequest has no tasks");
        if (f.number == 1)
            TRY(take_task(r, &f, &notes->tasks[notes->n_tasks++], e));
    }
}

static enum code decode_examples(struct request *r, struct notes *notes, struct err *e) {
    const struct live_io *io;
    struct span input = {0};
    struct pb_field f;
    struct pb p;
    bool more;
    if (notes->verb == MULTI)
        TRY(decode_tasks(r, notes, e));
    else
        TRY(spec_of(r, 1, &notes->signature, e));
    TRY(tfproto_signature(notes->signature, e));
    TRY(find_live(r, e));
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        if (f.number == 2)
            TRY(pb_bytes(&f, &input, e));
    }
    size_t n = live_inputs(r->ask.live, &io);
    TRY(records_room(r, n, e));
    return tfproto_examples(r->arena, input, io, n, r->ask.inputs, &r->ask.n_inputs, e);
}

static void put_class(struct buf *b, struct str label, double score) {
    size_t at = pb_put_begin(b, 1);
    pb_put_str(b, 1, label);
    pb_put_f32(b, 2, (float)score);
    pb_put_end(b, at);
}

/* ClassificationResult as `field`: every class of every row, in the model's order. */
static enum code put_classes(struct request *r, struct buf *b, uint32_t field, struct err *e) {
    struct tfresult t;
    struct str label;
    TRY(tfresult_classes(r, &t, e));
    size_t result = pb_put_begin(b, field);
    for (size_t row = 0; row < t.rows; row++) {
        size_t classes = pb_put_begin(b, 1);
        for (size_t at = row * t.classes; at < (row + 1) * t.classes; at++) {
            TRY(tfresult_label(&t, at, r->arena, &label, e));
            put_class(b, label, tensor_f64(t.scores, at));
        }
        pb_put_end(b, classes);
    }
    pb_put_end(b, result);
    return OK;
}

static enum code put_regressions(struct request *r, struct buf *b, uint32_t field, struct err *e) {
    const struct tensor *t;
    TRY(tfresult_values(&r->ask, &t, e));
    size_t result = pb_put_begin(b, field);
    for (size_t i = 0; i < tensor_count(t); i++) {
        size_t one = pb_put_begin(b, 1);
        pb_put_f32(b, 1, (float)tensor_f64(t, i));
        pb_put_end(b, one);
    }
    pb_put_end(b, result);
    return OK;
}

static enum code encode_tasks(struct request *r, const struct notes *notes, struct buf *b,
                              struct err *e) {
    for (size_t i = 0; i < notes->n_tasks; i++) {
        size_t at = pb_put_begin(b, 1);
        put_spec(b, 1, r, notes->tasks[i].signature);
        if (notes->tasks[i].verb == CLASSIFY)
            TRY(put_classes(r, b, 2, e));
        else
            TRY(put_regressions(r, b, 3, e));
        pb_put_end(b, at);
    }
    return OK;
}

/* --- decode, encode --- */

static enum verb verb_of(struct str path) {
    return str_ends(path, "/Predict")    ? PREDICT
           : str_ends(path, "/Classify") ? CLASSIFY
           : str_ends(path, "/Regress")  ? REGRESS
                                         : MULTI;
}

static enum code decode(struct request *r, struct err *e) {
    struct notes *notes = r->notes = ARENA_NEW(r->arena, struct notes);
    if (!notes)
        return arena_fail(r->arena, sizeof *notes, "request", e);
    notes->verb = verb_of(r->x->request.path);
    return notes->verb == PREDICT ? decode_predict(r, notes, e) : decode_examples(r, notes, e);
}

static enum code encode(struct request *r, struct err *e) {
    const struct notes *notes = r->notes;
    size_t bytes = 256;
    enum code code = OK;
    for (size_t i = 0; i < r->ask.n_outputs; i++)
        bytes += tensor_bytes(&r->ask.outputs[i].tensor) + 64;
    struct buf *b = answer_buf(r, bytes, e);
    if (!b)
        return e->code;
    switch (notes->verb) {
    case PREDICT: code = encode_predict(r, notes, b, e); break;
    case CLASSIFY: code = put_classes(r, b, 1, e); break;
    case REGRESS: code = put_regressions(r, b, 1, e); break;
    case MULTI: code = encode_tasks(r, notes, b, e); break;
    }
    if (code != OK)
        return code;
    if (notes->verb == CLASSIFY || notes->verb == REGRESS)
        put_spec(b, 2, r, notes->signature);
    return answer_part(r, b, e);
}

/* --- GetModelMetadata --- */

static void put_info(struct buf *b, uint32_t field, const struct live_io *io) {
    size_t entry = pb_put_begin(b, field);
    pb_put_str(b, 1, io->name);
    size_t info = pb_put_begin(b, 2);
    pb_put_str(b, 1, io->name);
    pb_put_u64(b, 2, (uint64_t)tfproto_number(io->dtype));
    size_t shape = pb_put_begin(b, 3);
    for (int d = 0; d < io->shape.rank; d++) {
        size_t dim = pb_put_begin(b, 2);
        pb_put_i64(b, 1, io->shape.dims[d]);
        if (io->dim_names[d].n)
            pb_put_str(b, 2, io->dim_names[d]);
        pb_put_end(b, dim);
    }
    pb_put_end(b, shape);
    pb_put_end(b, info);
    pb_put_end(b, entry);
}

static void put_signature_map(struct buf *b, const struct live *l) {
    const struct live_io *io;
    size_t n = live_inputs(l, &io), entry = pb_put_begin(b, 1);
    pb_put_str(b, 1, LIT("serving_default"));
    size_t signature = pb_put_begin(b, 2);
    for (size_t i = 0; i < n; i++)
        put_info(b, 1, &io[i]);
    n = live_outputs(l, &io);
    for (size_t i = 0; i < n; i++)
        put_info(b, 2, &io[i]);
    pb_put_str(b, 3, LIT("tensorflow/serving/predict"));
    pb_put_end(b, signature);
    pb_put_end(b, entry);
}

static enum code check_fields(struct request *r, struct err *e) {
    struct pb_field f;
    struct str name;
    struct pb p;
    bool more, any = false;
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return any ? OK
                       : fail(e, INVALID,
                              "GetModelMetadataRequest must specify at least one "
                              "metadata_field");
        if (f.number != 2)
            continue;
        any = true;
        TRY(pb_str(&f, &name, e));
        if (!str_is(name, "signature_def"))
            return fail(e, INVALID, "Metadata field %.*s is not supported",
                        STR(str_sub(name, 0, SPEC_TEXT)));
    }
}

static enum code metadata(struct request *r, struct err *e) {
    struct str signature = {0};
    TRY(spec_of(r, 1, &signature, e));
    TRY(check_fields(r, e));
    TRY(find_live(r, e));
    struct buf *b = answer_buf(r, 1024, e);
    if (!b)
        return e->code;
    size_t spec = pb_put_begin(b, 1);
    pb_put_str(b, 1, live_model(r->ask.live));
    size_t version = pb_put_begin(b, 2);
    pb_put_u64(b, 1, live_version(r->ask.live));
    pb_put_end(b, version);
    pb_put_end(b, spec);
    size_t entry = pb_put_begin(b, 2);
    pb_put_str(b, 1, LIT("signature_def"));
    size_t any = pb_put_begin(b, 2);
    pb_put_str(b, 1, LIT("type.googleapis.com/tensorflow.serving.SignatureDefMap"));
    size_t value = pb_put_begin(b, 2);
    put_signature_map(b, r->ask.live);
    pb_put_end(b, value);
    pb_put_end(b, any);
    pb_put_end(b, entry);
    return answer_part(r, b, e);
}

/* --- ModelService --- */

static uint64_t state_number(enum live_state s) {
    switch (s) {
    case LIVE_LOADING: return 20;
    case LIVE_READY: return 30;
    case LIVE_DRAINING: return 40;
    case LIVE_UNLOADED:
    case LIVE_FAILED: return 50;
    }
    return 0;
}

static void put_status(struct buf *b, const struct live_info *v) {
    enum { UNKNOWN = 2 };
    size_t at = pb_put_begin(b, 1);
    pb_put_u64(b, 1, v->version);
    pb_put_u64(b, 2, state_number(v->state));
    size_t status = pb_put_begin(b, 3);
    if (v->state == LIVE_FAILED)
        pb_put_u64(b, 1, UNKNOWN);
    pb_put_str(b, 2, v->error);
    pb_put_end(b, status);
    pb_put_end(b, at);
}

/* As tfserving.c: those unloaded in the store only when there is no other. */
static enum code put_statuses(struct request *r, struct buf *b, struct err *e) {
    struct live_info *all;
    size_t n, known = 0, kept = 0;
    TRY(host_list(r->host, r->arena, &all, &n, e));
    for (int pass = 0; pass < 2 && kept == 0; pass++)
        for (size_t i = 0; i < n; i++) {
            if (!str_eq(all[i].model, r->model))
                continue;
            known++;
            if (pass == 0 && all[i].state == LIVE_UNLOADED)
                continue;
            kept++;
            put_status(b, &all[i]);
        }
    return known ? OK
                 : fail(e, NOT_FOUND, "Could not find any versions of model %.*s",
                        STR(str_sub(r->model, 0, SPEC_TEXT)));
}

static enum code status(struct request *r, struct err *e) {
    struct str signature = {0};
    struct live_info one;
    TRY(spec_of(r, 1, &signature, e));
    if (!r->model.n)
        return fail(e, INVALID, "Missing ModelSpec");
    struct buf *b = answer_buf(r, 256, e);
    if (!b)
        return e->code;
    if (!r->ask.version && !r->label.n) {
        TRY(put_statuses(r, b, e));
        return answer_part(r, b, e);
    }
    enum code code = host_find(r->host, r->model, r->ask.version, r->label, r->arena, &one, e);
    if (code == ERR_NOT_FOUND)
        return not_found(r, e);
    if (code != OK)
        return code;
    put_status(b, &one);
    return answer_part(r, b, e);
}

/* --- HandleReloadConfigRequest --- */

/* On the loading thread. */
static void reloaded(void *ctx, enum code code, const struct err *e) {
    struct request *r = ctx;
    if (code != OK) {
        r->err = *e;
        r->err.code = code;
    }
    request_resume(r);
}

/* On a side thread: the config's new versions are imported. */
static void reload_aside(struct side_job *job) {
    struct request *r = (struct request *)(void *)((char *)job - offsetof(struct request, side));
    const struct roster *roster = r->notes;
    if (follow_set(r->options->follow, roster, reloaded, r, &r->err) != OK)
        request_resume(r);
}

/* ReloadConfigRequest {1 ModelServerConfig} */
static enum code take_server_config(struct request *r, struct roster *out, struct err *e) {
    struct span config = {0};
    struct pb_field f;
    struct pb p;
    bool more;
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return roster_read_message(config, r->arena, out, e);
        if (f.number == 1)
            TRY(pb_bytes(&f, &config, e));
    }
}

static enum code reload(struct request *r, struct err *e) {
    struct roster *roster = ARENA_NEW(r->arena, struct roster);
    struct buf *b = answer_buf(r, 16, e);
    if (!b)
        return e->code;
    if (!roster)
        return arena_fail(r->arena, sizeof *roster, "config", e);
    TRY(take_server_config(r, roster, e));
    for (size_t i = 0; i < roster->n; i++)
        TRY(request_may(r, roster->models[i].name, e));
    pb_put_end(b, pb_put_begin(b, 1)); /* StatusProto: OK */
    TRY(answer_part(r, b, e));
    r->notes = roster;
    request_wait(r);
    r->side.fn = reload_aside;
    side_post(r->server->side, &r->side);
    return OK;
}

#define PREDICTION "/tensorflow.serving.PredictionService/"
#define MODEL "/tensorflow.serving.ModelService/"

static const struct route routes[] = {
    {ROUTE_POST, PREDICTION "Predict", ROUTE_GRPC, NULL},
    {ROUTE_POST, PREDICTION "Classify", ROUTE_GRPC, NULL},
    {ROUTE_POST, PREDICTION "Regress", ROUTE_GRPC, NULL},
    {ROUTE_POST, PREDICTION "MultiInference", ROUTE_GRPC, NULL},
    {ROUTE_POST, PREDICTION "GetModelMetadata", ROUTE_GRPC, metadata},
    {ROUTE_POST, MODEL "GetModelStatus", ROUTE_GRPC, status},
    {ROUTE_POST, MODEL "HandleReloadConfigRequest", ROUTE_GRPC | ROUTE_CONTROL, reload},
};

const struct protocol protocol_tfserving_grpc = {
    .name = "tfserving_grpc",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
    .decode = decode,
    .encode = encode,
};
