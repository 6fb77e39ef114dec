/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: the body of a gRPC call: frame, compression, base64, then the protocol's decode, and what
 * was decoded back through its encode. The first byte: method (low 3 bits), coding (next 2), kind
 * (next 2), a message of a stream (0x80). */
#include "../unit/serve/stand.h"
#include "serve/bidi.h"
#include "serve/grpc.h"
#include "serve/protocol/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct stand s;
static struct live_io inputs[3], outputs[3];
static struct bidi stream;

static void begin(void) {
    inputs[0] = stand_io("x", DT_F32, STAND_DIMS(-1, 2));
    inputs[1] = stand_io("n", DT_I64, STAND_DIMS(-1));
    inputs[2] = stand_io("t", DT_STRING, STAND_DIMS(-1));
    inputs[1].optional = inputs[2].optional = true;
    stand_open(&s, inputs, 3, outputs, 3);
}

static const struct protocol *named(const char *name) {
    size_t n;
    const struct protocol *const *all = protocol_list(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i]->name, name) == 0 && all[i]->decode)
            return all[i];
    abort();
}

static enum code answer(const struct protocol *p) {
    struct ask *a = &s.r.ask;
    for (size_t i = 0; i < a->n_inputs; i++)
        if (tensor_bytes(&a->inputs[i].tensor) > 1 << 20)
            return OK;
    a->outputs = a->inputs;
    a->n_outputs = a->n_inputs;
    return p->encode(&s.r, &s.e);
}

static enum code walk(const struct protocol *p) {
    TRY(grpc_open(&s.r, &s.e));
    TRY(p->decode(&s.r, &s.e));
    TRY(answer(p));
    return s.r.parent ? grpc_frame(&s.r, &s.e) : grpc_close(&s.r, &s.e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const paths[] = {"/ModelInfer", "/Predict",        "/Classify",
                                        "/Regress",    "/MultiInference", "/Predictions"};
    static const char *const names[] = {"oip_grpc",       "tfserving_grpc", "tfserving_grpc",
                                        "tfserving_grpc", "tfserving_grpc", "torchserve"};
    enum { N = sizeof paths / sizeof *paths };
    if (size == 0)
        return 0;
    if (!s.models[0])
        begin();
    int method = (data[0] & 7) % N;
    const struct protocol *p = named(names[method]);
    struct grpc g = {.kind = (enum grpc_kind)((data[0] >> 5 & 3) % 3),
                     .coding = (enum coding)((data[0] >> 3 & 3) % 3),
                     .type = LIT("application/grpc")};
    uint8_t *body = malloc(size); /* a block of its own: reading past it is seen */
    memcpy(body, data + 1, size - 1);
    stand_ask(&s, body, size - 1);
    s.x.request.path = str_of(paths[method]);
    s.r.protocol = p;
    s.r.grpc = &g;
    s.r.parent = data[0] & 0x80 ? &stream : NULL;
    if (walk(p) != OK)
        grpc_fail(&s.r, &s.e);
    ask_end(&s.r.ask);
    arena_deinit(&s.x.arena);
    free(body);
    return 0;
}
