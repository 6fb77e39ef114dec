/* SPDX-License-Identifier: Apache-2.0 */
/* A request without a network and a model without weights: what the tests of decode and encode
 * stand on. */
#pragma once

#include "host/in.h"
#include "serve/in.h"
#include "serve/request.h"
#include "serve/server.h"

#include "base/pb.h"

#include "../base/check.h"

struct stand {
    struct host host;
    struct live live, *lives[1];
    struct route_model model, *models[1];
    struct route_alias alias;
    struct http_exchange x;
    struct server_options options;
    struct server server; /* of it the regions only */
    struct request r;
    struct err e;
};

static inline struct live_io stand_io(const char *name, enum dtype dtype, int rank,
                                      const int64_t *dims) {
    struct live_io io = {.name = str_of(name), .dtype = dtype, .shape = {.rank = rank}};
    for (int d = 0; d < rank; d++)
        io.shape.dims[d] = dims[d];
    return io;
}
#define STAND_DIMS(...)                                                                            \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {           \
        __VA_ARGS__                                                                                \
    }

/* Model "m", version 3, alias "prod". */
static inline void stand_open(struct stand *s, struct live_io *inputs, size_t n_inputs,
                              struct live_io *outputs, size_t n_outputs) {
    memset(s, 0, sizeof *s);
    pthread_rwlock_init(&s->host.routes_lock, NULL);
    s->live.model = (char *)(uintptr_t) "m";
    s->live.format = (char *)(uintptr_t) "onnx";
    s->live.version = 3;
    s->live.batches = true;
    s->live.inputs = inputs;
    s->live.n_inputs = n_inputs;
    s->live.outputs = outputs;
    s->live.n_outputs = n_outputs;
    atomic_init(&s->live.refs, 1 << 20);
    atomic_init(&s->live.state, LIVE_READY);
    s->lives[0] = &s->live;
    s->alias = (struct route_alias){(char *)(uintptr_t) "prod", &s->live};
    s->model = (struct route_model){.name = s->live.model,
                                    .lives = s->lives,
                                    .n_lives = 1,
                                    .aliases = &s->alias,
                                    .n_aliases = 1,
                                    .chosen = &s->live};
    s->models[0] = &s->model;
    s->host.models = s->models;
    s->host.n_models = 1;
    server_options_default(&s->options);
    s->options.image_pixels = 1 << 20;
    if (regions_open(&s->server.regions, &s->e) != OK)
        abort();
    arena_init(&s->x.arena, (size_t)64 << 20);
}

/* A fresh request; the one before ends. */
static inline struct request *stand_ask(struct stand *s, const void *body, size_t n) {
    arena_deinit(&s->x.arena);
    memset(&s->x.request, 0, sizeof s->x.request);
    s->x.request.method = LIT("POST");
    s->r = (struct request){.x = &s->x,
                            .arena = &s->x.arena,
                            .host = &s->host,
                            .server = &s->server,
                            .options = &s->options,
                            .model = LIT("m")};
    s->r.body = (struct span){body, n};
    s->r.ask.model = s->r.model;
    s->r.ask.arena = s->r.arena;
    return &s->r;
}

static inline struct request *stand_text(struct stand *s, const char *body) {
    return stand_ask(s, body, strlen(body));
}

static inline void stand_header(struct stand *s, const char *name, const char *value) {
    s->x.request.headers[s->x.request.n_headers++] =
        (struct http_header){str_of(name), str_of(value)};
}

static inline void stand_output(struct stand *s, const char *name, enum dtype dtype, int rank,
                                const int64_t *dims, const void *data) {
    struct ask *a = &s->r.ask;
    if (!a->outputs)
        a->outputs = ARENA_ARRAY(s->r.arena, 8, struct ask_tensor);
    struct ask_tensor *t = &a->outputs[a->n_outputs++];
    *t = (struct ask_tensor){
        .name = str_of(name),
        .tensor = {.dtype = dtype, .shape = {.rank = rank}, .data = (void *)(uintptr_t)data}};
    for (int d = 0; d < rank; d++)
        t->tensor.shape.dims[d] = dims[d];
}

/* The body answered, as one text in the arena. */
static inline const char *stand_answer(struct stand *s) {
    size_t n = 0;
    char *text = arena_push(s->r.arena, 1 << 16);
    for (int i = 0; i < s->r.response.n_parts; i++) {
        memcpy(text + n, s->r.response.parts[i].p, s->r.response.parts[i].n);
        n += s->r.response.parts[i].n;
    }
    return text;
}

static inline const char *stand_answer_header(struct stand *s, const char *name) {
    for (int i = 0; i < s->r.response.n_headers; i++)
        if (str_is(s->r.headers[i].name, name))
            return s->r.headers[i].value.p;
    return "";
}

static inline void stand_close(struct stand *s) {
    arena_deinit(&s->x.arena);
    regions_close(s->server.regions);
    pthread_rwlock_destroy(&s->host.routes_lock);
}

#define assert_shape(tensor, ...)                                                                  \
    do {                                                                                           \
        const int64_t want_[] = {__VA_ARGS__};                                                     \
        assert_int_equal((tensor).shape.rank, sizeof want_ / sizeof *want_);                       \
        for (size_t d_ = 0; d_ < sizeof want_ / sizeof *want_; d_++)                               \
            assert_int_equal((tensor).shape.dims[d_], want_[d_]);                                  \
    } while (0)

/* The n-th field `number` of a message; .p NULL: there is none. */
static inline struct span stand_field(struct span message, uint32_t number, int n) {
    struct pb_field f;
    struct pb p;
    struct err e;
    bool more;
    struct span found = {0};
    pb_init(&p, message);
    for (;;) {
        assert_ok(pb_next(&p, &f, &more, &e));
        if (!more)
            return (struct span){0};
        if (f.number == number && n-- == 0) {
            if (f.wire == PB_LEN)
                assert_ok(pb_bytes(&f, &found, &e));
            else
                found = (struct span){(const uint8_t *)"", (size_t)f.value};
            return found;
        }
    }
}
