/* SPDX-License-Identifier: Apache-2.0 */
/* Arriving models: see arriving.h. */
#include "serve/protocol/arriving.h"

#include "serve/answer.h"
#include "job/again.h"
#include "serve/in.h"

const char *arriving_state(enum live_state s) {
    switch (s) {
    case LIVE_READY: return "READY";
    case LIVE_LOADING: return "LOADING";
    case LIVE_DRAINING: return "UNLOADING";
    case LIVE_UNLOADED:
    case LIVE_FAILED: return "UNAVAILABLE";
    }
    return "UNAVAILABLE";
}

size_t arriving_batch(const struct request *r) {
    const struct guise *g = live_guise(r->ask.live);
    struct live_limits limits;
    live_limits(r->ask.live, &limits);
    if (!live_batches(r->ask.live) || (g && g->batch == 0))
        return 0;
    return limits.batch ? limits.batch : host_batch(r->host);
}

struct arriving *arriving_new(struct request *r, struct err *e) {
    struct arriving *in = ARENA_NEW(r->arena, struct arriving);
    if (!in)
        (void)arena_fail(r->arena, sizeof *in, "request", e);
    r->notes = in;
    return in;
}

enum code arriving_file(struct request *r, struct arriving *in, struct str path, struct span bytes,
                        struct err *e) {
    if (in->file)
        return fail(e, INVALID,
                    "one file is taken: a model with files beside it is added with `slipway add`");
    in->file = true;
    in->arrival.bytes = bytes;
    in->arrival.origin = str_sub(path, 5, path.n); /* behind "file:" */
    in->arrival.model = r->model;
    return OK;
}

/* --- a configuration: JSON as protobuf maps it (64-bit numbers may come as texts) --- */

static enum code take_count(struct json *j, const char *name, int64_t *out, struct err *e) {
    struct str text;
    if (json_peek(j) != JSON_STRING)
        TRY(json_i64(j, out, e));
    else if (json_string(j, &text, e) != OK)
        return e->code;
    else if (!str_to_i64(text, out))
        return json_fail(j, e, "%s is a number", name);
    return *out >= 0 ? OK : json_fail(j, e, "%s may not be negative", name);
}

struct tensor_config { /* ModelInput, ModelOutput */
    struct guise_tensor tensor;
    bool reshaped;
};

static enum code take_dim(void *context, struct json *j, struct err *e) {
    struct shape *s = context;
    if (s->rank + 1 >= SHAPE_MAX) /* the batch's comes in front */
        return json_fail(j, e, "more than %d dims", SHAPE_MAX - 1);
    struct str text;
    int64_t *dim = &s->dims[s->rank++];
    if (json_peek(j) != JSON_STRING)
        TRY(json_i64(j, dim, e));
    else if (json_string(j, &text, e) != OK)
        return e->code;
    else if (!str_to_i64(text, dim))
        return json_fail(j, e, "a dim is a number");
    return *dim >= -1 ? OK : json_fail(j, e, "a dim is -1 or more");
}

static enum code take_reshape(void *context, struct json *j, struct str key, struct err *e) {
    struct tensor_config *t = context;
    return str_is(key, "shape")
               ? json_each_item(j, take_dim, &t->tensor.model, e)
               : json_fail(j, e, "a reshape has no member \"%.*s\"", STR(str_sub(key, 0, 80)));
}

/* The types are the model file's. */
static enum code take_tensor_member(void *context, struct json *j, struct str key, struct err *e) {
    struct tensor_config *t = context;
    if (str_is(key, "name"))
        return json_string(j, &t->tensor.name, e);
    if (str_is(key, "dims"))
        return json_each_item(j, take_dim, &t->tensor.wire, e);
    if (!str_is(key, "reshape"))
        return json_skip(j, NULL, e);
    t->reshaped = true;
    return json_each_member(j, take_reshape, t, e);
}

static enum code add_tensor(struct arriving *in, struct json *j, bool output, struct err *e) {
    struct tensor_config t = {.tensor = {.output = output}};
    TRY(json_each_member(j, take_tensor_member, &t, e));
    if (!t.reshaped)
        return OK;
    if (!in->guise)
        in->guise = ARENA_NEW(j->arena, struct guise);
    if (!in->guise)
        return arena_fail(j->arena, sizeof *in->guise, "config", e);
    return guise_add(in->guise, &t.tensor, e);
}

static enum code take_input(void *context, struct json *j, struct err *e) {
    return add_tensor(context, j, false, e);
}

static enum code take_output(void *context, struct json *j, struct err *e) {
    return add_tensor(context, j, true, e);
}

static enum code take_group_member(void *context, struct json *j, struct str key, struct err *e) {
    struct arriving *in = context;
    struct str kind;
    int64_t count;
    if (str_is(key, "kind") && json_peek(j) == JSON_STRING) {
        TRY(json_string(j, &kind, e));
        return str_is(kind, "KIND_GPU")
                   ? json_fail(j, e, "an instance group on a GPU: there is none here")
                   : OK;
    }
    if (!str_is(key, "count"))
        return json_skip(j, NULL, e);
    TRY(take_count(j, "count", &count, e));
    int64_t before = in->advice.instances > 0 ? in->advice.instances : 0;
    if (__builtin_add_overflow(before, count, &in->advice.instances))
        return json_fail(j, e, "count is too large");
    return OK;
}

static enum code take_group(void *context, struct json *j, struct err *e) {
    return json_each_member(j, take_group_member, context, e);
}

static enum code take_queue(void *context, struct json *j, struct str key, struct err *e) {
    struct arriving *in = context;
    return str_is(key, "max_queue_size") ? take_count(j, "max_queue_size", &in->advice.queue, e)
                                         : json_skip(j, NULL, e);
}

static enum code take_batching(void *context, struct json *j, struct str key, struct err *e) {
    struct arriving *in = context;
    if (str_is(key, "max_queue_delay_microseconds"))
        return take_count(j, "max_queue_delay_microseconds", &in->advice.wait_us, e);
    if (str_is(key, "default_queue_policy") && json_peek(j) == JSON_OBJECT)
        return json_each_member(j, take_queue, in, e);
    return json_skip(j, NULL, e);
}

static enum code take_member(void *context, struct json *j, struct str key, struct err *e) {
    struct arriving *in = context;
    struct str name;
    if (str_is(key, "name")) {
        TRY(json_string(j, &name, e));
        return !name.n || str_eq(name, in->model)
                   ? OK
                   : json_fail(j, e, "the config is of model '%.*s', not '%.*s'",
                               STR(str_sub(name, 0, STORE_NAME_MAX)), STR(in->model));
    }
    if (str_is(key, "max_batch_size"))
        return take_count(j, "max_batch_size", &in->advice.batch, e);
    if (str_is(key, "instance_group"))
        return json_each_item(j, take_group, in, e);
    if (str_is(key, "dynamic_batching")) {
        in->advice.wait_us = 0; /* Triton's default: nothing waits */
        return json_each_member(j, take_batching, in, e);
    }
    if (str_is(key, "input"))
        return json_each_item(j, take_input, in, e);
    if (str_is(key, "output"))
        return json_each_item(j, take_output, in, e);
    if (str_is(key, "ensemble_scheduling") || str_is(key, "sequence_batching"))
        return json_fail(j, e, "\"%.*s\" is not supported", STR(key));
    return json_skip(j, NULL, e);
}

/* As text, for the version that has it. Its dims leave the batch out exactly when max_batch_size
 * is above 0. */
static enum code settle_guise(struct request *r, struct arriving *in, struct err *e) {
    struct guise *g = in->guise;
    struct buf *b = g ? answer_buf(r, 1024, e) : NULL;
    if (!g)
        return OK;
    if (!b)
        return e->code;
    g->batch = in->advice.batch > 0 ? in->advice.batch : 0;
    if (g->batch)
        guise_batched(g);
    guise_write(g, b);
    TRY(buf_check(b, "config", e));
    in->arrival.guise = buf_str(b);
    return OK;
}

static enum code take_config(struct request *r, struct arriving *in, struct err *e) {
    struct json j;
    in->advice = (struct policy_advice)POLICY_NO_ADVICE;
    in->model = r->model;
    if (in->config.n == 0)
        return OK;
    json_init(&j, in->config, r->arena);
    TRY(json_each_member(&j, take_member, in, e));
    TRY(json_end(&j, e));
    return settle_guise(r, in, e);
}

/* --- loading --- */

/* On the loading thread. */
static void changed(void *ctx, enum code code, const struct err *e) {
    struct request *r = ctx;
    if (code == ERR_NOT_FOUND || code == ERR_UNAVAILABLE) {
        r->err = *e;
        r->err.code = code;
    } else if (code != OK) {
        (void)fail(&r->err, INVALID, "load failed for model '%.*s': %.400s", STR(r->model),
                   e->text);
    } else {
        answer_type(r, 200, ANSWER_JSON);
    }
    request_resume(r);
}

/* On a side thread: what the load brings, then the load. */
static void load_aside(struct side_job *job) {
    struct request *r = (struct request *)(void *)((char *)job - offsetof(struct request, side));
    struct arriving *in = r->notes;
    struct err e;
    enum code code = OK;
    if (in->file)
        code = arrival_add(r->server->store, &in->arrival, r->arena, &e);
    else if (in->arrival.guise.n)
        code =
            again_add(r->server->store, r->model, 0, in->arrival.guise, &in->arrival.version, &e);
    if (code == OK && policy_advises(&in->advice))
        code = policy_keep(r->server->store, r->model, &in->advice, r->arena, &e);
    if (code == OK)
        host_load(r->host, r->model, in->arrival.version, changed, r);
    else
        changed(r, code, &e);
}

enum code arriving_load(struct request *r, struct arriving *in, struct err *e) {
    TRY(take_config(r, in, e));
    request_wait(r);
    if (!policy_advises(&in->advice) && !in->file && !in->arrival.guise.n) {
        host_load(r->host, r->model, 0, changed, r);
        return OK;
    }
    r->side.fn = load_aside;
    side_post(r->server->side, &r->side);
    return OK;
}

void arriving_unload(struct request *r) {
    request_wait(r);
    host_unload(r->host, r->model, changed, r);
}
