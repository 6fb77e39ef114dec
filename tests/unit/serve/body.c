/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies told by their bytes: numbers that are converted or refused, forms, text, what is noise.
 * The batch dim and whole answers: protocol/predict.c. */
#include "serve/body.c"

#include "stand.h"

static struct stand s;
static struct err e;
static struct live_io inputs[2];

static enum code take(const void *body, size_t n, const char *type) {
    struct request *r = stand_ask(&s, body, n);
    if (type)
        stand_header(&s, "Content-Type", type);
    r->ask.live = &s.live;
    return body_take(r, &e);
}
static enum code text(const char *body) { return take(body, strlen(body), NULL); }

static void open_with(struct live_io first, size_t n) {
    inputs[0] = first;
    inputs[1] = stand_io("k", DT_I64, STAND_DIMS(-1));
    stand_open(&s, inputs, n, NULL, 0);
}

static const struct tensor *input(size_t i) { return &s.r.ask.inputs[i].tensor; }

/* One dim; the header is padded as numpy pads it. */
static enum code npy(const char *type, const void *data, size_t n, size_t bytes) {
    static uint8_t file[512];
    int used = snprintf((char *)file + 10, 118,
                        "{'descr': '%s', 'fortran_order': False, 'shape': (%zu,), }", type, n);
    memset(file + 10 + used, ' ', (size_t)(118 - used));
    memcpy(file, "\x93NUMPY\x01\x00\x76\x00", 10);
    file[127] = '\n';
    memcpy(file + 128, data, bytes);
    return take(file, 128 + bytes, NULL);
}

static void test_npy_to_floats(void **state) {
    (void)state;
    open_with(stand_io("x", DT_F32, STAND_DIMS(-1)), 1);
    assert_ok(npy("<f8", (double[]){0.5, 1e300}, 2, 16));
    assert_true(input(0)->dtype == DT_F32 && ((const float *)input(0)->data)[0] == 0.5f);
    assert_ok(npy("<i8", (int64_t[]){-3, 7}, 2, 16));
    assert_true(((const float *)input(0)->data)[0] == -3);
    assert_ok(npy("|b1", "\1\0", 2, 2));
    assert_true(((const float *)input(0)->data)[0] == 1);
    assert_fails(npy("<f4", (float[]){1}, 2, 4), INVALID, ""); /* shorter than it says */
    stand_close(&s);
}

static void test_npy_to_integers(void **state) {
    (void)state;
    open_with(stand_io("x", DT_U8, STAND_DIMS(-1)), 1);
    assert_ok(npy("<i8", (int64_t[]){0, 255}, 2, 16));
    assert_int_equal(((const uint8_t *)input(0)->data)[1], 255);
    assert_fails(npy("<i8", (int64_t[]){0, 256}, 2, 16), INVALID, "do not fit in u8");
    assert_fails(npy("<i8", (int64_t[]){-1, 0}, 2, 16), INVALID, "do not fit in u8");
    assert_fails(npy("<f4", (float[]){1, 2}, 2, 8), INVALID,
                 "the array is f32, the model takes u8");
    stand_close(&s);
    open_with(stand_io("x", DT_U64, STAND_DIMS(-1)), 1);
    assert_fails(npy("<i4", (int32_t[]){-1, 0}, 2, 8), INVALID, "do not fit in u64");
    stand_close(&s);
    open_with(stand_io("x", DT_I64, STAND_DIMS(-1)), 1);
    assert_fails(npy("<u8", (uint64_t[]){UINT64_MAX, 0}, 2, 16), INVALID, "do not fit in i64");
    stand_close(&s);
    open_with(stand_io("x", DT_BOOL, STAND_DIMS(-1)), 1);
    assert_fails(npy("<i8", (int64_t[]){0, 1}, 2, 16), INVALID,
                 "the array is i64, the model takes bool");
    stand_close(&s);
}

static void test_json(void **state) {
    (void)state;
    open_with(stand_io("x", DT_F32, STAND_DIMS(-1, 2)), 1);
    assert_ok(text("{\"id\": [1], \"parameters\": {}, \"whatever\": [[1, NaN]]}"));
    assert_shape(*input(0), 1, 2);
    assert_fails(text("{\"whatever\": [[1, 2]], \"more\": [[1, 2]]}"), INVALID,
                 "unexpected 'more'");
    assert_fails(text("{\"whatever\": 5}"), INVALID, "unexpected 'whatever'");
    assert_fails(text("{\"x\": [[1, 2]], \"instances\": [[1, 2]]}"), INVALID,
                 "beside other inputs");
    assert_fails(text("{\"x\": [[1, 2]], \"x\": [[1, 2]]}"), INVALID, "input 'x' is given twice");
    assert_fails(text("{\"id\": 5}"), INVALID, "no input given; the model takes 'x'");
    assert_fails(text("[[1, 2]] 3"), INVALID, "");
    assert_fails(text("[[1, 2"), INVALID, "");
    stand_close(&s);
    open_with(stand_io("x", DT_F32, STAND_DIMS(-1, 2)), 2);
    assert_ok(text("{\"x\": [1, 2], \"k\": 3}"));
    assert_int_equal(s.r.ask.n_inputs, 2);
    assert_fails(text("[[1, 2]]"), INVALID, "the model has 2 inputs, send an object of them");
    assert_fails(npy("<f4", (float[]){1, 2}, 2, 8), INVALID, "one .npy file for each");
    stand_close(&s);
}

static void test_forms(void **state) {
    (void)state;
    static const char type[] = "multipart/form-data; boundary=b";
    static const char two[] =
        "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n[1, 2]\r\n"
        "--b\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n7\r\n--b--\r\n";
    static const char other[] =
        "--b\r\nContent-Disposition: form-data; name=\"y\"\r\n\r\n[1, 2]\r\n"
        "--b--\r\n";
    static const char file[] =
        "--b\r\nContent-Disposition: form-data; name=\"y\"; filename=\"a\"\r\n"
        "\r\n[1, 2]\r\n--b--\r\n";
    open_with(stand_io("x", DT_F32, STAND_DIMS(-1, 2)), 2);
    assert_ok(take(two, sizeof two - 1, type));
    assert_int_equal(s.r.ask.n_inputs, 2);
    assert_fails(take(other, sizeof other - 1, type), INVALID, "form field 'y': unexpected 'y'");
    assert_fails(take("--b--\r\n", 7, type), INVALID, "the form holds no input");
    stand_close(&s);
    open_with(stand_io("x", DT_F32, STAND_DIMS(-1, 2)), 1);
    assert_ok(
        take(file, sizeof file - 1, type)); /* a file is for the only input, whatever its name */
    assert_fails(take(other, sizeof other - 1, type), INVALID, "unexpected 'y'");
    stand_close(&s);
}

static void test_text(void **state) {
    (void)state;
    open_with(stand_io("t", DT_STRING, STAND_DIMS(-1, 1)), 1);
    assert_ok(text("some words"));
    assert_shape(*input(0), 1, 1);
    assert_str(*(const struct str *)input(0)->data, "some words");
    assert_ok(take("[1]", 3, "text/plain")); /* it is said to be text */
    assert_str(*(const struct str *)input(0)->data, "[1]");
    assert_ok(text("[[\"a\"], [\"b\"]]"));
    assert_shape(*input(0), 2, 1);
    assert_fails(text(""), INVALID, "the body is empty");
    stand_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npy_to_floats), cmocka_unit_test(test_npy_to_integers),
        cmocka_unit_test(test_json),          cmocka_unit_test(test_forms),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
