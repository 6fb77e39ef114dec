/* SPDX-License-Identifier: Apache-2.0 */
#include "format/onnx_tensor.c"

#include "make_onnx.h"

static struct err e;
static struct arena arena;
static struct buf b;

static int fresh(void **state) {
    (void)state;
    arena_init(&arena, 1 << 20);
    buf_init(&b, 1 << 20);
    return 0;
}

static int drop(void **state) {
    (void)state;
    arena_deinit(&arena);
    buf_deinit(&b);
    return 0;
}

/* The TensorProto in b, as a field's content: begin and end of make_tensor need a field around. */
static struct span message(void) {
    struct pb r;
    struct pb_field f;
    bool more;
    pb_init(&r, make_span(&b));
    assert_ok(pb_next(&r, &f, &more, &e));
    return f.bytes;
}

static enum code read_one(struct tensor *t) { return onnx_tensor_read(message(), &arena, t, &e); }

static void raw_data_is_used_in_place(void **state) {
    (void)state;
    float data[6] = {1, 2, 3, 4, 5, 6};
    struct onnx_tensor p;
    struct tensor t;
    struct span at;
    make_raw(&b, 1, "w", 1, "2 3", data, sizeof data);
    assert_ok(onnx_tensor_parse(message(), &p, &e));
    assert_str(p.name, "w");
    assert_ok(onnx_tensor_load(&p, &arena, &t, &at, &e));
    assert_ptr_equal(t.data, at.p);
    assert_true(at.p > (const uint8_t *)b.p && at.p + at.n <= (const uint8_t *)b.p + b.n);
    assert_memory_equal(at.p, data, sizeof data);
    assert_int_equal(t.shape.dims[1], 3);
}

static void packed_floats_are_used_in_place(void **state) {
    (void)state;
    double data[2] = {0.5, -0.25};
    struct onnx_tensor p;
    struct tensor t;
    struct span at;
    size_t m = make_tensor(&b, 1, "d", 11, "2");
    pb_put_bytes(&b, 10, data, sizeof data);
    pb_put_end(&b, m);
    assert_ok(onnx_tensor_parse(message(), &p, &e));
    assert_ok(onnx_tensor_load(&p, &arena, &t, &at, &e));
    assert_memory_equal(at.p, data, sizeof data);
}

/* elem type, field of its data, values as 64-bit varints, expected as f64 */
static void typed_data_of_every_type(void **state) {
    (void)state;
    struct {
        int64_t elem;
        uint32_t field;
        int64_t v[3];
        double want[3];
    } cases[] = {
        {2, 5, {0, 200, 255}, {0, 200, 255}},
        {3, 5, {-128, -1, 127}, {-128, -1, 127}},
        {4, 5, {65535, 1, 2}, {65535, 1, 2}},
        {5, 5, {-32768, 1, 2}, {-32768, 1, 2}},
        {6, 5, {INT32_MIN, INT32_MAX, 0}, {INT32_MIN, INT32_MAX, 0}},
        {7, 7, {-1, 1, (int64_t)1 << 40}, {-1, 1, 0x1p40}},
        {9, 5, {1, 0, 1}, {1, 0, 1}},
        {10, 5, {0x3c00, 0xc000, 0}, {1, -2, 0}},
        {16, 5, {0x3f80, 0xc000, 0}, {1, -2, 0}},
        {12, 11, {4294967295, 1, 2}, {4294967295.0, 1, 2}},
        {13, 11, {1, 2, 3}, {1, 2, 3}},
        {17, 5, {0x38, 0xb8, 0}, {1, -1, 0}},
        {21, 5, {0x2f, 0x01, 0}, {15, 2, 1}},
        {22, 5, {0x2f, 0x01, 0}, {-1, 2, 1}},
        {25, 5, {0x1b, 0, 0}, {3, 2, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tensor t;
        int n = cases[i].elem == 21 || cases[i].elem == 22 ? 2 : cases[i].elem == 25 ? 1 : 3;
        for (int packed = 0; packed < 2; packed++) {
            buf_clear(&b);
            size_t m = make_tensor(&b, 1, "t", cases[i].elem, "3");
            struct buf inner;
            buf_init(&inner, 1000);
            for (int k = 0; k < n; k++) {
                if (!packed)
                    pb_put_i64(&b, cases[i].field, cases[i].v[k]);
                else { /* a varint without its one-byte key */
                    size_t before = inner.n;
                    pb_put_i64(&inner, 1, cases[i].v[k]);
                    memmove(inner.p + before, inner.p + before + 1, inner.n - before - 1);
                    inner.n--;
                }
            }
            if (packed)
                pb_put_bytes(&b, cases[i].field, inner.p, inner.n);
            buf_deinit(&inner);
            pb_put_end(&b, m);
            assert_ok(read_one(&t));
            for (size_t k = 0; k < 3; k++)
                if (tensor_f64(&t, k) != cases[i].want[k])
                    fail_msg("type %d element %zu: %g", (int)cases[i].elem, k, tensor_f64(&t, k));
        }
    }
}

static void single_floats_and_strings(void **state) {
    (void)state;
    struct tensor t;
    size_t m = make_tensor(&b, 1, "f", 1, "2");
    pb_put_f32(&b, 4, 1.5f);
    pb_put_f32(&b, 4, -2);
    pb_put_end(&b, m);
    assert_ok(read_one(&t));
    assert_true(tensor_f64(&t, 1) == -2);
    buf_clear(&b);
    m = make_tensor(&b, 1, "s", 8, "2");
    make_text(&b, 6, "hello");
    make_text(&b, 6, "");
    pb_put_end(&b, m);
    assert_ok(read_one(&t));
    assert_str(((struct str *)t.data)[0], "hello");
    assert_int_equal(((struct str *)t.data)[1].n, 0);
    buf_clear(&b);
    make_raw(&b, 1, "bits", 23, "3", "\x21\x0f", 2);
    assert_ok(read_one(&t));
    assert_memory_equal(t.data, "\1\2\xf", 3);
    buf_clear(&b);
    make_raw(&b, 1, "empty", 1, "0 5", "", 0);
    assert_ok(read_one(&t));
    assert_int_equal(tensor_count(&t), 0);
}

#define REFUSED(NAME, part)                                                                        \
    do {                                                                                           \
        struct tensor t_;                                                                          \
        assert_fails(read_one(&t_), NAME, part);                                                   \
        buf_clear(&b);                                                                             \
    } while (0)

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    make_raw(&b, 1, "w", 1, "2 3", "12345678", 8);
    REFUSED(FORMAT, "tensor 'w': shape [2,3] of f32 needs 24 bytes, the file holds 8");
    make_raw(&b, 1, "w", 1, "1000000 1000000", "1234", 4);
    REFUSED(FORMAT, "needs 4000000000000 bytes, the file holds 4");
    make_raw(&b, 1, "w", 1, "9223372036854775807 2", "", 0);
    REFUSED(FORMAT, "is impossible");
    make_raw(&b, 1, "w", 1, "-1", "", 0);
    REFUSED(FORMAT, "[-1] is impossible");
    make_raw(&b, 1, "w", 1, "1 1 1 1 1 1 1 1 1", "1234", 4);
    REFUSED(LIMIT, "more than 8 dims");
    make_raw(&b, 1, "w", 27, "1", "1", 1);
    REFUSED(UNSUPPORTED, "element type 27");
    make_raw(&b, 1, "w", 8, "1", "1", 1);
    REFUSED(FORMAT, "strings cannot be raw");
    pb_put_end(&b, make_tensor(&b, 1, "w", 7, "100000000"));
    REFUSED(FORMAT, "needs 100000000 numbers");
    pb_put_end(&b, make_tensor(&b, 1, "w", 1, "3"));
    REFUSED(FORMAT, "needs 3 numbers, the file holds 0");
    pb_put_end(&b, make_tensor(&b, 1, "w", 8, "3"));
    REFUSED(FORMAT, "needs 3 strings, the file holds 0");
    size_t m = make_tensor(&b, 1, "w", 2, "1");
    pb_put_i64(&b, 5, 256);
    pb_put_end(&b, m);
    REFUSED(FORMAT, "does not fit into u8");
    m = make_tensor(&b, 1, "w", 3, "1");
    pb_put_i64(&b, 5, 200);
    pb_put_end(&b, m);
    REFUSED(FORMAT, "does not fit into i8");
    m = make_tensor(&b, 1, "w", 1, "1");
    pb_put_i64(&b, 14, 1);
    pb_put_end(&b, m);
    REFUSED(UNSUPPORTED, "external data");
    m = make_tensor(&b, 1, "w", 1, "1");
    make_external(&b, "offset", "12x");
    pb_put_end(&b, m);
    REFUSED(FORMAT, "offset '12x' is no number");
    m = make_tensor(&b, 1, "w", 1, "1");
    pb_put_bytes(&b, 3, "", 0);
    pb_put_end(&b, m);
    REFUSED(UNSUPPORTED, "segments");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(raw_data_is_used_in_place, fresh, drop),
        cmocka_unit_test_setup_teardown(packed_floats_are_used_in_place, fresh, drop),
        cmocka_unit_test_setup_teardown(typed_data_of_every_type, fresh, drop),
        cmocka_unit_test_setup_teardown(single_floats_and_strings, fresh, drop),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, fresh, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
