/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1.Health (health.proto of the gRPC project): what kubelet and grpc_health_probe ask.
 * "" is the server, then the names of our services, then those of models. */
#include "serve/protocol/protocol.h"

#include "base/pb.h"
#include "serve/answer.h"
#include "serve/bidi.h"

enum { UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN };

static const char *const services[] = {
    "",
    "grpc.health.v1.Health",
    "inference.GRPCInferenceService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
    "org.pytorch.serve.grpc.inference.InferenceAPIsService",
    "org.pytorch.serve.grpc.management.ManagementAPIsService",
};
enum { SERVICES = sizeof services / sizeof *services };

static int status_of(const struct request *r, struct str service, struct arena *a) {
    struct live_info info;
    struct err ignored;
    for (size_t i = 0; i < SERVICES; i++)
        if (str_is(service, services[i]))
            return request_ready(r) ? SERVING : NOT_SERVING;
    if (host_find(r->host, service, 0, (struct str){0}, a, &info, &ignored) == ERR_NOT_FOUND)
        return SERVICE_UNKNOWN;
    return info.state == LIVE_READY ? SERVING : NOT_SERVING;
}

static enum code take_service(const struct request *r, struct str *out, struct err *e) {
    struct pb_field f;
    struct pb p;
    bool more;
    *out = (struct str){0};
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == 1)
            TRY(pb_str(&f, out, e));
    }
}

static enum code say(struct request *r, int status, struct err *e) {
    struct buf *b = answer_buf(r, 8, e);
    if (!b)
        return e->code;
    pb_put_i64(b, 1, status);
    return answer_part(r, b, e);
}

static enum code check(struct request *r, struct err *e) {
    struct str service;
    TRY(take_service(r, &service, e));
    int status = status_of(r, service, r->arena);
    if (status == SERVICE_UNKNOWN)
        return fail(e, NOT_FOUND, "unknown service '%.*s'", STR(str_sub(service, 0, 200)));
    return say(r, status, e);
}

/* Every tick: has it changed? */
static void poll_status(struct bidi *b) {
    struct arena_mark mark = arena_mark(&b->arena);
    int status = status_of(b->parent, b->about, &b->arena);
    arena_reset(&b->arena, mark);
    if (status == b->told)
        return;
    uint8_t message[] = {1 << 3, (uint8_t)status};
    b->told = status;
    bidi_push(b, (struct span){message, sizeof message});
}

static enum code watch(struct request *r, struct err *e) {
    struct bidi *b = r->parent;
    struct str service;
    TRY(take_service(r, &service, e));
    b->about = arena_str(b->parent->arena, service);
    b->told = status_of(r, service, r->arena);
    bidi_poll(r, poll_status);
    return say(r, b->told, e);
}

static enum code list(struct request *r, struct err *e) {
    struct buf *b = answer_buf(r, 256, e);
    if (!b)
        return e->code;
    for (size_t i = 0; i < SERVICES; i++) {
        size_t entry = pb_put_begin(b, 1);
        pb_put_str(b, 1, str_of(services[i]));
        size_t value = pb_put_begin(b, 2);
        pb_put_i64(b, 1, status_of(r, str_of(services[i]), r->arena));
        pb_put_end(b, value);
        pb_put_end(b, entry);
    }
    return answer_part(r, b, e);
}

enum { FLAGS = ROUTE_GRPC | ROUTE_OPEN | ROUTE_QUIET };

static const struct route routes[] = {
    {ROUTE_POST, "/grpc.health.v1.Health/Check", FLAGS, check},
    {ROUTE_POST, "/grpc.health.v1.Health/Watch", FLAGS | ROUTE_BIDI, watch},
    {ROUTE_POST, "/grpc.health.v1.Health/List", FLAGS, list},
};

const struct protocol protocol_grpc_health = {
    .name = "health",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
