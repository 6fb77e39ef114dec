/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.c"

#include "../base/check.h"

static void new_ones_are_zeroed_and_aligned(void **state) {
    (void)state;
    struct arena a;
    struct err e;
    struct tensor t;
    struct shape s = {.rank = 2, .dims = {3, 5}};
    arena_init(&a, 4096);
    assert_ok(tensor_new(&a, DT_I16, &s, &t, &e));
    assert_int_equal((uintptr_t)t.data % 64, 0);
    assert_int_equal(tensor_count(&t), 15);
    assert_int_equal(tensor_bytes(&t), 30);
    for (size_t i = 0; i < 15; i++)
        assert_int_equal(tensor_i64(&t, i), 0);
    s.dims[0] = 1000;
    assert_fails(tensor_new(&a, DT_F64, &s, &t, &e), LIMIT, "4096");
    s.dims[0] = -1;
    assert_fails(tensor_new(&a, DT_F64, &s, &t, &e), LIMIT, "[-1,5]");
    s.dims[0] = 3;
    assert_fails(tensor_new(&a, DT_NONE, &s, &t, &e), LIMIT, "none");
    arena_deinit(&a);
}

static void nhwc_lies_channels_last(void **state) {
    (void)state;
    struct tensor t = {
        .dtype = DT_F32, .layout = LAYOUT_NHWC, .shape = {.rank = 4, .dims = {2, 3, 4, 5}}};
    struct shape p;
    tensor_physical_shape(&t, &p);
    assert_int_equal(p.dims[0], 2);
    assert_int_equal(p.dims[1], 4);
    assert_int_equal(p.dims[2], 5);
    assert_int_equal(p.dims[3], 3);
    assert_int_equal(tensor_physical_axis(&t, 1), 3);
    t.layout = LAYOUT_PLAIN;
    tensor_physical_shape(&t, &p);
    assert_true(shape_eq(&p, &t.shape));
}

static void elements_of_every_type_are_numbers(void **state) {
    (void)state;
    struct {
        enum dtype t;
        uint64_t bits; /* of the element at index 1 */
        double value;
    } cases[] = {
        {DT_F32, 0xc0200000, -2.5},
        {DT_F64, 0xc004000000000000, -2.5},
        {DT_F16, 0xc100, -2.5},
        {DT_BF16, 0xc020, -2.5},
        {DT_I8, 0xfe, -2},
        {DT_I16, 0xfffe, -2},
        {DT_I32, 0xfffffffe, -2},
        {DT_I64, ~(uint64_t)1, -2},
        {DT_U8, 0xfe, 254},
        {DT_U16, 0xfffe, 65534},
        {DT_U32, 0xfffffffe, 4294967294.0},
        {DT_BOOL, 1, 1},
        {DT_I4, 0xff, -1},
        {DT_U4, 15, 15},
        {DT_F8E4M3FN, 0xc2, -2.5},
        {DT_F4E2M1, 0x3, 1.5},
        {DT_U64, (uint64_t)1 << 63, 0x1p63},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t room[2] = {0};
        struct tensor t = {.dtype = cases[i].t, .shape = {.rank = 1, .dims = {2}}, .data = room};
        memcpy((char *)room + dtype_size(t.dtype), &cases[i].bits, dtype_size(t.dtype));
        if (tensor_f64(&t, 1) != cases[i].value)
            fail_msg("%s: %g", dtype_name(t.dtype), tensor_f64(&t, 1));
        if (cases[i].value > -3 && cases[i].value < 100)
            assert_int_equal(tensor_i64(&t, 1), (int64_t)cases[i].value);
        assert_int_equal(tensor_f64(&t, 0), 0);
    }
    struct tensor huge = {.dtype = DT_F64, .data = (double[]){1e300}};
    assert_true(tensor_i64(&huge, 0) == INT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_ones_are_zeroed_and_aligned),
        cmocka_unit_test(nhwc_lies_channels_last),
        cmocka_unit_test(elements_of_every_type_are_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
