/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: the body of a request through a protocol's decode, and what was decoded back through its
 * encode. The first byte chooses the protocol (low bits), whether the body is a CloudEvent around
 * the body (0x10), has a binary part (0x40, 0x20), asks to classify (0x20) or is a form (0x80) or
 * CSV (0xc0). */
#include "../unit/serve/stand.h"
#include "serve/media.h"
#include "serve/protocol/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct stand s;
static struct live_io inputs[3], outputs[3];

static void begin(void) {
    inputs[0] = stand_io("x", DT_F32, STAND_DIMS(-1, 2));
    inputs[1] = stand_io("n", DT_I64, STAND_DIMS(-1));
    inputs[2] = stand_io("t", DT_STRING, STAND_DIMS(-1));
    inputs[1].optional = inputs[2].optional = true;
    stand_open(&s, inputs, 3, outputs, 3);
}

/* The answer repeats the inputs: encode sees every type and shape that decode makes. */
static void answer(const struct protocol *p) {
    struct ask *a = &s.r.ask;
    for (size_t i = 0; i < a->n_inputs; i++)
        if (tensor_bytes(&a->inputs[i].tensor) > 1 << 20)
            return;
    a->outputs = a->inputs;
    a->n_outputs = a->n_inputs;
    (void)p->encode(&s.r, &s.e);
}

static const char *content_type(uint8_t choice) {
    if (choice & 0x10)
        return choice & 0x80 ? "application/cloudevents-batch+json"
                             : "application/cloudevents+json; charset=utf-8";
    if (choice & 0x80)
        return choice & 0x40 ? "text/csv" : "multipart/form-data; boundary=b";
    return "application/json";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"tfserving", "oip", "predict", "mlflow", "torchserve"};
    enum { N = sizeof names / sizeof *names };
    static char length[24];
    size_t n;
    const struct protocol *const *all = protocol_list(&n), *p = NULL;
    if (size == 0)
        return 0;
    if (!s.models[0])
        begin();
    for (size_t i = 0; i < n && !p; i++)
        if (strcmp(all[i]->name, names[(data[0] & 0x0f) % N]) == 0 && all[i]->decode)
            p = all[i];
    uint8_t *body =
        malloc(size); /* a block of its own: reading past it is seen; decode may write to it */
    memcpy(body, data + 1, size - 1);
    stand_ask(&s, body, size - 1);
    if (data[0] & 0x40) {
        size_t json = 0;
        while (json < size - 1 && body[json] != '\n')
            json++;
        snprintf(length, sizeof length, "%zu", data[0] & 0x20 ? 0 : json);
        stand_header(&s, "Inference-Header-Content-Length", length);
    }
    stand_header(&s, "Content-Type", content_type(data[0]));
    s.r.protocol = p;
    s.x.request.path = data[0] & 0x20 ? LIT(":classify") : LIT(":predict");
    if (p && p->decode(&s.r, &s.e) == OK && media_inputs(&s.r, &s.e) == OK)
        answer(p);
    ask_end(&s.r.ask);
    arena_deinit(&s.x.arena);
    free(body);
    return 0;
}
