/* SPDX-License-Identifier: Apache-2.0 */
/* TorchServe's inference API: versions, gRPC's map of inputs, and the answers of its handlers. Its
 * clients: tests/clients/test_torchserve.py and test_torchserve_grpc.py. */
#include "serve/protocol/torchserve.c"

#include "../stand.h"
#include "serve/grpc.h"

static struct stand s;
static struct err e;
static struct live_io inputs[2];

static void open_with(size_t n) {
    inputs[0] = stand_io("x", DT_F32, STAND_DIMS(-1, 2));
    inputs[1] = stand_io("k", DT_I64, STAND_DIMS(-1));
    stand_open(&s, inputs, n, NULL, 0);
}

static void done(void) {
    ask_end(&s.r.ask);
    stand_close(&s);
}

static enum code ask(const char *label, const char *body) {
    ask_end(&s.r.ask);
    struct request *r = stand_text(&s, body);
    r->label = str_of(label);
    return decode(r, &e);
}

static void test_versions(void **state) {
    (void)state;
    open_with(1);
    assert_ok(ask("", "[[1, 2]]"));
    assert_ok(ask("3", "[[1, 2]]"));
    assert_ok(ask("3.0", "[[1, 2]]"));
    assert_ok(ask("prod", "[[1, 2]]"));
    const char *const unknown[] = {"4", "3.1", "3.0.0", "-3", "0", "old"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_int_equal(ask(unknown[i], "[[1, 2]]"), i == 4 ? OK : ERR_NOT_FOUND);
    assert_fails(ask("9", "[[1, 2]]"), NOT_FOUND, "Model version: 9 does not exist for model: m");
    assert_fails(ask("", ""), INVALID, "empty");
    assert_fails(ask("", "{\"data\": [[1"), INVALID, "");
    done();
}

/* --- gRPC --- */

static void put_entry(struct buf *b, const char *key, struct span value) {
    size_t entry = pb_put_begin(b, INPUT);
    pb_put_str(b, 1, str_of(key));
    pb_put_str(b, 2, (struct str){(const char *)value.p, value.n});
    pb_put_end(b, entry);
}

static struct span text(const char *t) { return (struct span){(const uint8_t *)t, strlen(t)}; }

static enum code ask_message(struct buf *b) {
    static struct grpc g;
    ask_end(&s.r.ask);
    struct request *r = stand_ask(&s, b->p, b->n);
    r->model = (struct str){0};
    r->grpc = &g;
    return decode(r, &e);
}

static void test_grpc_inputs(void **state) {
    (void)state;
    struct buf b;
    open_with(2);
    buf_init(&b, 1 << 16);
    pb_put_str(&b, MODEL_NAME, LIT("m"));
    put_entry(&b, "x", text("[[1, 2]]")); /* each is an input by name */
    put_entry(&b, "k", text("[7]"));
    assert_ok(ask_message(&b));
    assert_int_equal(s.r.ask.n_inputs, 2);
    b.n = 0;
    pb_put_str(&b, MODEL_VERSION, LIT("1.0"));
    put_entry(&b, "data", text("{\"x\": [[1, 2]], \"k\": [7]}")); /* alone: a whole body */
    pb_put_str(&b, MODEL_NAME, LIT("m"));
    assert_fails(ask_message(&b), NOT_FOUND, "Model version: 1.0 does not exist");
    b.n = 0;
    put_entry(&b, "data", text("{\"x\": [[1, 2]], \"k\": [7]}"));
    pb_put_str(&b, MODEL_NAME, LIT("m"));
    assert_ok(ask_message(&b));
    assert_int_equal(s.r.ask.n_inputs, 2);
    put_entry(&b, "x", text("[[1, 2]]"));
    assert_fails(ask_message(&b), INVALID, "input 'data': unexpected 'data'");
    b.n = 0;
    pb_put_str(&b, MODEL_NAME, LIT("m"));
    assert_fails(ask_message(&b), INVALID, "the request has no input");
    put_entry(&b, "x", text("[[1, 2]"));
    assert_fails(ask_message(&b), INVALID, "input 'x'");
    b.n = 0;
    pb_put_i64(&b, MODEL_NAME, 5); /* a number in the place of a name */
    assert_true(ask_message(&b) != OK);
    b.n = 0;
    pb_put_str(&b, MODEL_NAME, LIT("m"));
    pb_put_str(&b, INPUT, LIT("\x0a\x7fx")); /* an entry that ends early */
    assert_true(ask_message(&b) != OK);
    buf_deinit(&b);
    done();
}

/* --- answers --- */

static const char *answer(void) {
    s.r.response.n_parts = 0;
    assert_ok(encode(&s.r, &e));
    return stand_answer(&s);
}

static void begin(bool named) {
    ask_end(&s.r.ask);
    struct request *r = stand_text(&s, "");
    r->media = ARENA_NEW(r->arena, struct media);
    r->media->named = named;
}

static void test_tensors(void **state) {
    (void)state;
    open_with(1);
    begin(false);
    stand_output(&s, "y", DT_F32, 2, (const int64_t[]){1, 2}, (const float[]){1, 2.5f});
    assert_string_equal(answer(), "[1.0,2.5]"); /* of one row its values */
    stand_output(&s, "z", DT_F32, 1, (const int64_t[]){2}, (const float[]){3, 4});
    assert_string_equal(answer(), "{\"y\":[1.0,2.5],\"z\":[3.0,4.0]}");
    begin(false);
    stand_output(&s, "y", DT_I64, 0, NULL, (const int64_t[]){7});
    assert_string_equal(answer(), "7");
    done();
}

static void test_outcomes(void **state) {
    (void)state;
    static const struct str names[] = {{"cat", 3}, {"a \"dog\"", 7}, {"eel", 3}, {"", 0}};
    const float scores[] = {0.5f, 0.25f, 1, 0};
    const float boxes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 0, 0, 0};
    open_with(1);
    begin(true);
    stand_output(&s, "classes", DT_STRING, 2, (const int64_t[]){1, 2}, names);
    stand_output(&s, "scores", DT_F32, 2, (const int64_t[]){1, 2}, scores);
    assert_string_equal(answer(), "{\"cat\":0.5,\"a \\\"dog\\\"\":0.25}");
    begin(true);
    stand_output(&s, "boxes", DT_F32, 3, (const int64_t[]){2, 2, 4}, boxes);
    stand_output(&s, "classes", DT_STRING, 2, (const int64_t[]){2, 2}, names);
    stand_output(&s, "scores", DT_F32, 2, (const int64_t[]){2, 2}, scores);
    assert_string_equal(answer(), /* a row with fewer boxes ends early */
                        "[[{\"cat\":[0.0,1.0,2.0,3.0],\"score\":0.5},{\"a \\\"dog\\\"\":[4.0,5.0,"
                        "6.0,7.0],\"score\":0.25}],[{\"eel\":[8.0,9.0,10.0,11.0],\"score\":1.0}]]");
    begin(true);
    stand_output(&s, "text", DT_STRING, 1, (const int64_t[]){1}, names);
    stand_output(&s, "confidence", DT_F32, 1, (const int64_t[]){1}, scores);
    assert_string_equal(answer(), "cat");
    done();
}

/* PredictionResponse: the JSON as bytes, and the sequence it was asked for. */
static void test_grpc_answer(void **state) {
    (void)state;
    static struct grpc g;
    struct str sequence = LIT("s1");
    struct pb_field f;
    struct pb p;
    bool more;
    open_with(1);
    begin(false);
    s.r.grpc = &g;
    s.r.notes = &sequence;
    stand_output(&s, "y", DT_F32, 2, (const int64_t[]){1, 2}, (const float[]){1, 2.5f});
    const char *bytes = answer();
    pb_init(&p, (struct span){(const uint8_t *)bytes, answer_bytes(&s.r)});
    assert_ok(pb_next(&p, &f, &more, &e));
    assert_true(more && f.number == 1);
    assert_str(((struct str){(const char *)f.bytes.p, f.bytes.n}), "[1.0,2.5]");
    assert_ok(pb_next(&p, &f, &more, &e));
    assert_true(more && f.number == SEQUENCE_BACK);
    assert_str(((struct str){(const char *)f.bytes.p, f.bytes.n}), "s1");
    done();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),    cmocka_unit_test(test_grpc_inputs),
        cmocka_unit_test(test_tensors),     cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_grpc_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
