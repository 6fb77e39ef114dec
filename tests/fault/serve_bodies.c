/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of reading a request's body and writing its answer fails once, and for ever: an
 * error comes, nothing leaks, and without a fault the answer is whole. */
#include "fault_loop.h"

#include "../unit/serve/image_cases.h"
#include "../unit/serve/stand.h"
#include "base/arena_buf.h"
#include "serve/answer.h"
#include "serve/protocol/protocol.h"

static struct stand s;
static struct live_io inputs[2], outputs[1];

static const struct protocol *protocol(const char *name) {
    size_t n;
    const struct protocol *const *all = protocol_list(&n);
    for (size_t i = 0; i < n; i++)
        if (all[i]->decode && strcmp(all[i]->name, name) == 0)
            return all[i];
    abort();
}

/* What was decoded is the answer; then the error's own answer, when there is one. */
static enum code serve(const struct protocol *p) {
    enum code code = p->decode(&s.r, &s.e);
    if (code == OK) {
        s.r.ask.outputs = s.r.ask.inputs;
        s.r.ask.n_outputs = s.r.ask.n_inputs;
        code = p->encode(&s.r, &s.e);
    }
    if (code != OK)
        answer_error(&s.r, &s.e);
    answer_compress(&s.r);
    ask_end(&s.r.ask);
    return code;
}

static void survives(const char *name, const void *body, size_t n, const char *header,
                     const char *value) {
    const struct protocol *p = protocol(name);
    static _Alignas(64) char copy[16384];
    fault_leaks_at_exit = true;
    FAULT_LOOP(f) {
        enum code code = OK;
        memcpy(copy, body, n);
        stand_ask(&s, copy, n);
        stand_header(&s, "Accept-Encoding", "gzip");
        if (header)
            stand_header(&s, header, value);
        FAULT_BODY(f) { code = serve(p); }
        arena_deinit(&s.x.arena);
        arena_buf_forget();
        if (!(code == OK || (f.fired && (code == ERR_NOMEM || code == ERR_INVALID))))
            stop("%s: %s (%s)", name, err_name(code), s.e.text);
    }
}

static int begin(void **state) {
    (void)state;
    inputs[0] = stand_io("x", DT_F32, STAND_DIMS(-1, 3, 4, 4));
    inputs[1] = stand_io("t", DT_STRING, STAND_DIMS(-1));
    inputs[1].optional = true;
    stand_open(&s, inputs, 2, outputs, 0);
    return 0;
}

static int end(void **state) {
    (void)state;
    stand_close(&s);
    return 0;
}

/* Rows of "t" and of an "x" [3, 4, 4]. */
static void rows(char text[4096]) {
    size_t n = (size_t)snprintf(text, 4096, "{\"instances\": [{\"t\": \"\\u00e9\", \"x\": [");
    for (int plane = 0; plane < 3; plane++)
        n += (size_t)snprintf(text + n, 4096 - n,
                              "%s[[1,2,3,4],[5,6,7,8],[9,1e3,-2,0.5],[3,4,5,NaN]]",
                              plane ? "," : "");
    snprintf(text + n, 4096 - n, "]}]}");
}

static void test_json(void **state) {
    (void)state;
    char text[4096];
    rows(text);
    survives("tfserving", text, strlen(text), NULL, NULL);
    survives("predict", text, strlen(text), NULL, NULL);
    const char *oip = "{\"id\":\"\\u0041\",\"inputs\":[{\"data\":[\"a\",\"b\"],\"name\":\"t\","
                      "\"shape\":[2],\"datatype\":\"BYTES\"}],"
                      "\"parameters\":{\"binary_data_output\":true}}";
    survives("oip", oip, strlen(oip), NULL, NULL);
}

static void test_binary(void **state) {
    (void)state;
    char body[512];
    int n = snprintf(
        body, sizeof body,
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3,4,4],\"datatype\":\"FP32\",\"parameters\":"
        "{\"binary_data_size\":192}}],\"outputs\":[{\"name\":\"x\"}]}");
    char length[12];
    snprintf(length, sizeof length, "%d", n);
    memset(body + n, 0x3f, 192);
    outputs[0] = inputs[0];
    s.live.n_outputs = 1;
    survives("oip", body, (size_t)n + 192, "Inference-Header-Content-Length", length);
}

static void test_images(void **state) {
    (void)state;
    survives("predict", png_file, sizeof png_file, NULL, NULL);
    survives("predict", jpeg_file, sizeof jpeg_file, NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json, begin, end),
        cmocka_unit_test_setup_teardown(test_binary, begin, end),
        cmocka_unit_test_setup_teardown(test_images, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
