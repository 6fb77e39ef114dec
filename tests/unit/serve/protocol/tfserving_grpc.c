/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow Serving's messages: whose they are, what they hold, what is answered. Real stubs ask
 * in tests/clients/test_tfserving_grpc.py. */
#include "serve/protocol/tfserving_grpc.c"

#include "../stand.h"

static struct stand s;
static struct err e;
static struct live_io ins[2], outs[2];
static struct buf b;

static int set_up(void **state) {
    (void)state;
    ins[0] = stand_io("x", DT_F32, STAND_DIMS(-1, 2));
    ins[1] = stand_io("k", DT_I64, STAND_DIMS(-1));
    ins[1].optional = true;
    outs[0] = stand_io("scores", DT_F32, STAND_DIMS(-1, 2));
    outs[1] = stand_io("outputs", DT_F32, STAND_DIMS(-1));
    stand_open(&s, ins, 2, outs, 2);
    buf_init(&b, 1 << 16);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    ask_end(&s.r.ask);
    buf_deinit(&b);
    stand_close(&s);
    return 0;
}

struct spec {
    const char *model, *label, *signature;
    int64_t version; /* -1: none */
};
#define M                                                                                          \
    (struct spec) { "m", "", "", -1 }

static void put_model(uint32_t field, struct spec spec) {
    size_t at = pb_put_begin(&b, field);
    pb_put_str(&b, 1, str_of(spec.model));
    if (spec.version >= 0) {
        size_t version = pb_put_begin(&b, 2);
        pb_put_u64(&b, 1, (uint64_t)spec.version);
        pb_put_end(&b, version);
    }
    pb_put_str(&b, 3, str_of(spec.signature));
    pb_put_str(&b, 4, str_of(spec.label));
    pb_put_end(&b, at);
}

static void put_input(const char *name, enum dtype dtype, struct shape shape, const void *data) {
    struct tensor t = {.dtype = dtype, .shape = shape, .data = (void *)(uintptr_t)data};
    size_t entry = pb_put_begin(&b, 2);
    pb_put_str(&b, 1, str_of(name));
    assert_ok(tfproto_put(&b, 2, &t, &e));
    pb_put_end(&b, entry);
}

static enum code ask(const char *method) {
    ask_end(&s.r.ask);
    struct request *r = stand_ask(&s, NULL, 0);
    struct str body = arena_str(r->arena, buf_str(&b));
    r->body = (struct span){(const uint8_t *)body.p, body.n};
    r->model = r->ask.model = (struct str){0};
    s.x.request.path = str_of(method);
    buf_clear(&b);
    return decode(r, &e);
}

static const float row[] = {1, 2};

static enum code predict(struct spec spec) {
    put_model(1, spec);
    put_input("x", DT_F32, (struct shape){2, {1, 2}}, row);
    return ask("/tensorflow.serving.PredictionService/Predict");
}

static void whose(void **state) {
    (void)state;
    assert_ok(predict(M));
    assert_ok(predict((struct spec){"m", "", "serving_default", 3}));
    assert_ok(predict((struct spec){"m", "prod", "", -1}));
    assert_fails(predict((struct spec){"", "", "", -1}), INVALID, "Missing ModelSpec");
    assert_fails(predict((struct spec){"z", "", "", -1}), NOT_FOUND, "Latest(z)");
    assert_fails(predict((struct spec){"m", "", "", 4}), NOT_FOUND, "Specific(m, 4)");
    assert_fails(predict((struct spec){"m", "", "", 0}), NOT_FOUND, "Specific(m, 0)");
    assert_fails(predict((struct spec){"m", "old", "", -1}), INVALID,
                 "Unrecognized servable version label: old");
    assert_true(predict((struct spec){"m", "", "other", -1}) != OK);
    assert_non_null(strstr(e.text, "\"other\" not found"));
}

static void tensors(void **state) {
    const int64_t k = 7;
    (void)state;
    put_model(1, M);
    put_input("k", DT_I64, (struct shape){1, {1}}, &k);
    put_input("x", DT_F32, (struct shape){2, {1, 2}}, row);
    assert_ok(ask("/tensorflow.serving.PredictionService/Predict"));
    assert_int_equal(s.r.ask.n_inputs, 2);
    assert_true(str_is(s.r.ask.inputs[0].name, "k") && s.r.ask.inputs[1].tensor.dtype == DT_F32);
    assert_memory_equal(s.r.ask.inputs[1].tensor.data, row, sizeof row);
    put_model(1, M);
    put_input("z", DT_F32, (struct shape){2, {1, 2}}, row);
    assert_fails(ask("/tensorflow.serving.PredictionService/Predict"), INVALID, "Sent extra: {z}");
    put_model(1, M);
    pb_put_str(&b, 3, LIT("outputs"));
    put_input("x", DT_F32, (struct shape){2, {1, 2}}, row);
    assert_ok(ask("/tensorflow.serving.PredictionService/Predict"));
    assert_true(s.r.ask.n_want == 1 && str_is(s.r.ask.want[0], "outputs"));
    put_model(1, M);
    pb_put_str(&b, 3, LIT("outputs"));
    pb_put_str(&b, 3, LIT("outputs"));
    assert_fails(ask("/tensorflow.serving.PredictionService/Predict"), INVALID, "duplicate");
    put_model(1, M);
    pb_put_str(&b, 3, LIT("z"));
    assert_fails(ask("/tensorflow.serving.PredictionService/Predict"), INVALID, "not found");
}

/* --- answers: field `number` of a message --- */

static bool is(struct span bytes, const char *text) {
    return bytes.n == strlen(text) && memcmp(bytes.p, text, bytes.n) == 0;
}

static struct span answer(void) {
    static const float scores[] = {0.25f, 0.75f}, value[] = {9};
    stand_output(&s, "scores", DT_F32, STAND_DIMS(1, 2), scores);
    stand_output(&s, "outputs", DT_F32, STAND_DIMS(1), value);
    assert_ok(encode(&s.r, &e));
    return s.r.response.parts[0];
}

static void what_is_answered(void **state) {
    (void)state;
    assert_ok(predict((struct spec){"m", "prod", "", -1}));
    struct span a = answer(), spec = stand_field(a, 2, 0);
    assert_true(is(stand_field(spec, 1, 0), "m") && is(stand_field(spec, 2, 0), "\x8\3"));
    assert_true(is(stand_field(spec, 3, 0), "serving_default"));
    struct span tensor = stand_field(stand_field(a, 1, 0), 2, 0);
    assert_true(is(stand_field(stand_field(a, 1, 0), 1, 0), "scores"));
    assert_int_equal(stand_field(tensor, 5, 0).n, 8); /* float_val */
    assert_null(stand_field(tensor, 4, 0).p);         /* tensor_content */
}

/* Input.example_list of one Example: x = row. */
static void put_examples(void) {
    size_t input = pb_put_begin(&b, 2), list = pb_put_begin(&b, 1), example = pb_put_begin(&b, 1),
           features = pb_put_begin(&b, 1), entry = pb_put_begin(&b, 1);
    pb_put_str(&b, 1, LIT("x"));
    size_t feature = pb_put_begin(&b, 2), floats = pb_put_begin(&b, 2);
    pb_put_bytes(&b, 1, row, sizeof row);
    size_t const all[] = {floats, feature, entry, features, example, list, input};
    for (size_t i = 0; i < 7; i++)
        pb_put_end(&b, all[i]);
}

static void examples(void **state) {
    (void)state;
    put_model(1, M);
    put_examples();
    assert_ok(ask("/tensorflow.serving.PredictionService/Classify"));
    assert_shape(s.r.ask.inputs[0].tensor, 1, 2);
    struct span class = stand_field(stand_field(stand_field(answer(), 1, 0), 1, 0), 1, 0);
    assert_true(is(stand_field(class, 1, 0), "0")); /* label: an index, where nothing is declared */
    put_model(1, M);
    put_examples();
    assert_ok(ask("/tensorflow.serving.PredictionService/Regress"));
    struct span value = stand_field(stand_field(answer(), 1, 0), 1, 0);
    assert_memory_equal(value.p, "\15\0\0\20\101", 5); /* 9.0f */
    size_t task = pb_put_begin(&b, 1);
    put_model(1, M);
    pb_put_str(&b, 2, LIT("tensorflow/serving/classify"));
    pb_put_end(&b, task);
    put_examples();
    assert_ok(ask("/tensorflow.serving.PredictionService/MultiInference"));
    assert_non_null(stand_field(stand_field(answer(), 1, 0), 2, 0).p); /* a ClassificationResult */
    task = pb_put_begin(&b, 1);
    put_model(1, M);
    pb_put_str(&b, 2, LIT("tensorflow/serving/predict"));
    pb_put_end(&b, task);
    put_examples();
    assert_true(ask("/tensorflow.serving.PredictionService/MultiInference") != OK);
    put_model(1, M);
    assert_true(ask("/tensorflow.serving.PredictionService/Classify") != OK); /* of nothing */
}

static void cut_anywhere(void **state) {
    char whole[256];
    (void)state;
    put_model(1, M);
    put_input("x", DT_F32, (struct shape){2, {1, 2}}, row);
    size_t n = b.n;
    memcpy(whole, b.p, n);
    for (size_t cut = 1; cut < n; cut++) {
        buf_clear(&b);
        buf_put(&b, whole, cut);
        enum code code = ask("/tensorflow.serving.PredictionService/Predict");
        assert_true(code == ERR_FORMAT || code == OK);
        assert_true(code != OK || s.r.ask.n_inputs == 0); /* between two fields */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whose, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tensors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(examples, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut_anywhere, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
