/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol's messages: raw and typed contents, what does not go together, what
 * is answered in which form. Real stubs ask in tests/clients/test_oip_grpc.py. */
#include "serve/protocol/oip_grpc.c"

#include "../stand.h"

static struct stand s;
static struct err e;
static struct live_io ins[2], outs[1];
static struct buf b;

static int set_up(void **state) {
    (void)state;
    ins[0] = stand_io("x", DT_F32, STAND_DIMS(-1, 2));
    ins[1] = stand_io("t", DT_STRING, STAND_DIMS(-1));
    outs[0] = stand_io("y", DT_F32, STAND_DIMS(-1, 2));
    stand_open(&s, ins, 2, outs, 1);
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

static enum code ask(void) {
    ask_end(&s.r.ask);
    struct request *r = stand_ask(&s, NULL, 0);
    struct str body = arena_str(r->arena, buf_str(&b));
    r->body = (struct span){(const uint8_t *)body.p, body.n};
    buf_clear(&b);
    return decode(r, &e);
}

static const float row[] = {1, 2};

/* contents NULL: none of its own. */
static void put_input(const char *name, const char *datatype, int64_t rows, int64_t width,
                      uint32_t field, const void *contents, size_t n) {
    size_t at = pb_put_begin(&b, 5);
    pb_put_str(&b, 1, str_of(name));
    pb_put_str(&b, 2, str_of(datatype));
    size_t dims = pb_put_begin(&b, 3);
    pb_put_varint(&b, (uint64_t)rows);
    if (width)
        pb_put_varint(&b, (uint64_t)width);
    pb_put_end(&b, dims);
    if (contents) {
        size_t inner = pb_put_begin(&b, 5);
        pb_put_bytes(&b, field, contents, n);
        pb_put_end(&b, inner);
    }
    pb_put_end(&b, at);
}

static void put_names(const char *model, const char *version) {
    pb_put_str(&b, 1, str_of(model));
    pb_put_str(&b, 2, str_of(version));
    pb_put_str(&b, 3, LIT("id-7"));
}

static void put_parameter(uint32_t field, const char *key, uint32_t kind, uint64_t value) {
    size_t entry = pb_put_begin(&b, field);
    pb_put_str(&b, 1, str_of(key));
    size_t inner = pb_put_begin(&b, 2);
    pb_put_u64(&b, kind, value);
    pb_put_end(&b, inner);
    pb_put_end(&b, entry);
}

static void raw_and_typed(void **state) {
    (void)state;
    for (int raw = 0; raw < 2; raw++) {
        put_names("m", "3");
        put_input("x", "FP32", 1, 2, 6, raw ? NULL : row, sizeof row);
        put_input("t", "BYTES", 1, 0, 8, raw ? NULL : "abc", 3);
        if (raw) {
            pb_put_bytes(&b, 7, row, sizeof row);
            pb_put_bytes(&b, 7, "\3\0\0\0abc", 7);
        }
        assert_ok(ask());
        assert_int_equal(s.r.ask.n_inputs, 2);
        assert_memory_equal(s.r.ask.inputs[0].tensor.data, row, sizeof row);
        assert_true(str_is(*(const struct str *)s.r.ask.inputs[1].tensor.data, "abc"));
        assert_int_equal(((struct notes *)s.r.notes)->raw, raw);
    }
}

static void what_does_not_fit(void **state) {
    (void)state;
    put_names("m", "");
    put_input("x", "FP32", 1, 2, 6, row, 4);
    assert_fails(ask(), INVALID, "shape [1,2], but contents have 1 values");
    put_names("m", "");
    put_input("x", "FP32", 1, 2, 7, row, sizeof row);
    assert_fails(ask(), INVALID, "contents do not belong to type FP32");
    put_names("m", "");
    put_input("x", "INT32", 1, 2, 2, "\1\2", 2);
    assert_fails(ask(), INVALID, "");
    put_names("m", "");
    put_input("z", "FP32", 1, 2, 6, row, sizeof row);
    assert_fails(ask(), INVALID, "unexpected inference input 'z' for model 'm'");
    put_names("m", "");
    put_input("x", "FP99", 1, 2, 6, row, sizeof row);
    assert_fails(ask(), INVALID, "unknown datatype 'FP99'");
    put_names("m", "");
    put_input("x", "FP32", -1, 2, 6, row, sizeof row);
    assert_fails(ask(), INVALID, "may not be negative");
    put_names("m", "");
    put_input("x", "FP32", 1, 2, 6, row, sizeof row);
    pb_put_bytes(&b, 7, row, sizeof row);
    assert_fails(ask(), INVALID, "contents field must not be specified");
    put_names("m", "");
    put_input("x", "FP32", 1, 2, 6, NULL, 0);
    pb_put_bytes(&b, 7, row, sizeof row);
    pb_put_bytes(&b, 7, row, sizeof row);
    assert_fails(ask(), INVALID, "got 2 sets of data");
    put_names("m", "9");
    assert_fails(ask(), NOT_FOUND, "version 9");
    put_names("m", "x");
    assert_fails(ask(), INVALID, "'x' is not a version");
    put_names("z", "");
    assert_fails(ask(), NOT_FOUND, "'z'");
    pb_put_str(&b, 1, LIT("m"));
    b.n--;
    assert_true(ask() != OK);
}

static void parameters(void **state) {
    (void)state;
    put_names("m", "");
    put_parameter(4, "timeout", 2, 5000);
    put_parameter(4, "priority", 4, 1);
    put_parameter(4, "triton_enable_empty_final_response", 1, 1);
    put_parameter(4, "other", 2, 1);
    put_input("x", "FP32", 1, 2, 6, row, sizeof row);
    assert_ok(ask());
    assert_true(s.r.ask.deadline_ns > 0 && s.r.ask.priority == PRIORITY_HIGH);
    assert_true(((struct notes *)s.r.notes)->final);
    put_names("m", "");
    put_input("x", "FP32", 1, 2, 6, row, sizeof row);
    size_t output = pb_put_begin(&b, 6);
    pb_put_str(&b, 1, LIT("y"));
    put_parameter(2, "classification", 2, 1);
    pb_put_end(&b, output);
    assert_ok(ask());
    assert_true(s.r.ask.n_want == 1 && str_is(s.r.ask.want[0], "y"));
    assert_int_equal(((struct notes *)s.r.notes)->wanted[0].classes, 1);
}

static bool is(struct span bytes, const char *text) {
    return bytes.n == strlen(text) && memcmp(bytes.p, text, bytes.n) == 0;
}

/* As it was asked: contents for contents, raw for raw. */
static void answers(void **state) {
    (void)state;
    for (int raw = 0; raw < 2; raw++) {
        put_names("m", "");
        put_input("x", "FP32", 1, 2, 6, raw ? NULL : row, sizeof row);
        if (raw)
            pb_put_bytes(&b, 7, row, sizeof row);
        assert_ok(ask());
        stand_output(&s, "y", DT_F32, STAND_DIMS(1, 2), row);
        assert_ok(encode(&s.r, &e));
        const char *text = stand_answer(&s);
        struct span a = {(const uint8_t *)text, answer_bytes(&s.r)}, y = stand_field(a, 5, 0);
        assert_true(is(stand_field(a, 1, 0), "m") && is(stand_field(a, 2, 0), "3") &&
                    is(stand_field(a, 3, 0), "id-7"));
        assert_true(is(stand_field(y, 1, 0), "y") && is(stand_field(y, 2, 0), "FP32") &&
                    is(stand_field(y, 3, 0), "\1\2"));
        struct span bytes = raw ? stand_field(a, 6, 0) : stand_field(stand_field(y, 5, 0), 6, 0);
        assert_true(bytes.n == sizeof row && memcmp(bytes.p, row, sizeof row) == 0);
        assert_true(!raw == !stand_field(a, 6, 0).p && !raw == !!stand_field(y, 5, 0).p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(raw_and_typed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parameters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
