/* SPDX-License-Identifier: Apache-2.0 */
/* Arriving models: see arriving.h. */
#include "serve/protocol/arriving.h"

#include "host/policy.h"
#include "serve/answer.h"
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

static enum code take_config(struct request *r, struct arriving *in, struct err *e) {
    struct json j;
    struct str key, name;
    bool more;
    in->batch = -1;
    if (in->config.n == 0)
        return OK;
    json_init(&j, in->config, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return json_end(&j, e);
        if (str_is(key, "name")) {
            TRY(json_string(&j, &name, e));
            if (name.n && !str_eq(name, r->model))
                return json_fail(&j, e, "the config is of model '%.*s', not '%.*s'", STR(name),
                                 STR(r->model));
        } else if (str_is(key, "max_batch_size")) {
            TRY(json_i64(&j, &in->batch, e));
            if (in->batch < 0)
                return json_fail(&j, e, "max_batch_size may not be negative");
        } else {
            TRY(json_skip(&j, NULL, e));
        }
    }
}

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
    struct policy_advice advice = POLICY_NO_ADVICE;
    advice.batch = in->batch;
    if (code == OK && in->batch >= 0)
        code = policy_keep(r->server->store, r->model, &advice, r->arena, &e);
    if (code == OK)
        host_load(r->host, r->model, in->arrival.version, changed, r);
    else
        changed(r, code, &e);
}

enum code arriving_load(struct request *r, struct arriving *in, struct err *e) {
    TRY(take_config(r, in, e));
    request_wait(r);
    if (in->batch < 0 && !in->file) {
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
