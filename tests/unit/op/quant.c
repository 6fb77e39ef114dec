/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of quantize_linear, dequantize_linear, dynamic_quantize_linear. */
#include "op/quant.c"

#include "op_case.h"

static void one(const char *op, int64_t axis, int64_t block, struct tensor x, struct tensor scale,
                struct tensor zero, struct tensor y) {
    struct op_case c = op_case(op, 25);
    op_case_int(&c, "axis", axis);
    op_case_int(&c, "block_size", block);
    op_case_in(&c, x);
    op_case_in(&c, scale);
    op_case_in(&c, zero);
    op_case_out(&c, y);
    op_case_check(&c);
}

#define T_U16(dims, ...) T_OF(DT_U16, uint16_t, dims, __VA_ARGS__)

static void one_scale(void **state) {
    (void)state;
    struct tensor two = T_F32(SCALAR, 2);
    one("quantize_linear", 1, 0, T_F32(DIMS(6), 0, 2, 3, 1000, -254, -1000), two, T_U8(SCALAR, 128),
        T_U8(DIMS(6), 128, 129, 130, 255, 1, 0));
    one("quantize_linear", 1, 0, T_F32(DIMS(5), 1, 3, -1, 1000, -1000), two, T_I8(SCALAR, 1),
        T_I8(DIMS(5), 1, 3, 1, 127, -128));
    one("quantize_linear", 1, 0, T_F32(DIMS(3), 5, -1e30f, 1e30f), T_F32(DIMS(1), 2),
        T_I16(DIMS(1), 256), T_I16(DIMS(3), 258, -32768, 32767));
    one("quantize_linear", 1, 0, T_F32(DIMS(3), 5, -1e30f, 1e30f), two, T_U16(SCALAR, 32767),
        T_U16(DIMS(3), 32769, 0, 65535));
    one("quantize_linear", 1, 0, T_I32(DIMS(2), 5, 100), two, T_ABSENT, T_U8(DIMS(2), 2, 50));
    one("quantize_linear", 1, 0, T_F16(DIMS(2), 0x4200, 0x4400), two, T_ABSENT,
        T_U8(DIMS(2), 2, 2));
    one("quantize_linear", 1, 0, T_F32(DIMS(1), NAN), two, T_I16(SCALAR, 3), T_I16(DIMS(1), 3));
    one("dequantize_linear", 1, 0, T_U8(DIMS(4), 0, 3, 128, 255), two, T_U8(SCALAR, 128),
        T_F32(DIMS(4), -256, -250, 0, 254));
    one("dequantize_linear", 1, 0, T_U8(DIMS(2), 1, 3), two, T_U8(DIMS(1), 1),
        T_F32(DIMS(2), 0, 4));
    one("dequantize_linear", 1, 0, T_I8(DIMS(3), -128, 0, 127), two, T_ABSENT,
        T_F32(DIMS(3), -256, 0, 254));
    one("dequantize_linear", 1, 0, T_I32(DIMS(2), 16777217, -7), T_F32(SCALAR, 1),
        T_I32(SCALAR, 16777216), T_F32(DIMS(2), 1, -16777224));
    one("dequantize_linear", 1, 0, T_U8(DIMS(2), 3, 5), T_F16(SCALAR, 0x4000), T_U8(SCALAR, 1),
        T_F16(DIMS(2), 0x4400, 0x4800));
}

static void a_scale_per_position(void **state) {
    (void)state;
    for (int axis = 0; axis < 4; axis++) {
        struct op_case to = op_case("quantize_linear", 13), from = op_case("dequantize_linear", 13);
        struct shape dims = DIMS(2, 3, 4, 5), table = DIMS(dims.dims[axis]);
        struct tensor x = op_case_random(&to, DT_F32, dims, 1), y = {.dtype = DT_I8, .shape = dims},
                      back = {.dtype = DT_F32, .shape = dims},
                      scale = {.dtype = DT_F32, .shape = table},
                      zero = {.dtype = DT_I8, .shape = table};
        int8_t q[120], zeros[5];
        float scales[5], values[120];
        int64_t strides[SHAPE_MAX];
        shape_strides(&dims, strides);
        for (int k = 0; k < 5; k++) {
            scales[k] = 0.125f * (float)(k + 1);
            zeros[k] = (int8_t)(k * 3 - 5);
        }
        for (size_t k = 0; k < 120; k++) {
            size_t at = k / (size_t)strides[axis] % (size_t)dims.dims[axis];
            q[k] = (int8_t)(rintf(((float *)x.data)[k] / scales[at]) + (float)zeros[at]);
            values[k] = (float)(q[k] - zeros[at]) * scales[at];
        }
        y.data = q;
        back.data = values;
        scale.data = scales;
        zero.data = zeros;
        op_case_int(&to, "axis", axis - 4);
        op_case_in(&to, x);
        op_case_in(&to, scale);
        op_case_in(&to, zero);
        op_case_out(&to, y);
        op_case_int(&from, "axis", axis);
        op_case_in(&from, y);
        op_case_in(&from, scale);
        op_case_in(&from, zero);
        op_case_out(&from, back);
        op_case_check(&to);
        op_case_check(&from);
    }
}

static void a_scale_per_block(void **state) {
    (void)state;
    one("dequantize_linear", 1, 2, T_I8(DIMS(2, 5), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
        T_F32(DIMS(2, 3), 1, 10, 100, 2, 20, 200), T_ABSENT,
        T_F32(DIMS(2, 5), 1, 2, 30, 40, 500, 12, 14, 160, 180, 2000));
    one("dequantize_linear", 0, 2, T_I8(DIMS(3, 2), 1, 2, 3, 4, 5, 6),
        T_F32(DIMS(2, 2), 1, 10, 100, 1000), T_I8(DIMS(2, 2), 0, 1, 2, 3),
        T_F32(DIMS(3, 2), 1, 10, 3, 30, 300, 3000));
    one("quantize_linear", 1, 2, T_F32(DIMS(1, 4), 4, 8, 30, 90), T_F32(DIMS(1, 2), 4, 10),
        T_U8(DIMS(1, 2), 0, 1), T_U8(DIMS(1, 4), 1, 2, 4, 10));
    /* channels in blocks, spatial axes as they are: the scales stay plain when the input moves */
    one("dequantize_linear", 1, 2, T_I8(DIMS(1, 4, 2), 1, 2, 3, 4, 5, 6, 7, 8),
        T_F32(DIMS(1, 2, 2), 1, 10, 100, 1000), T_ABSENT,
        T_F32(DIMS(1, 4, 2), 1, 20, 3, 40, 500, 6000, 700, 8000));
}

static void few_bits(void **state) {
    (void)state;
#define T_FEW(t, dims, ...) T_OF(t, uint8_t, dims, __VA_ARGS__)
    struct tensor scale = T_F32(SCALAR, 2);
    one("quantize_linear", 1, 0, T_F32(DIMS(4), -100, -6, 6, 100), scale, T_FEW(DT_I4, SCALAR, 1),
        T_FEW(DT_I4, DIMS(4), 0xF8, 0xFE, 4, 7));
    one("quantize_linear", 1, 0, T_F32(DIMS(4), -100, 4, 6, 100), scale, T_FEW(DT_U4, SCALAR, 1),
        T_FEW(DT_U4, DIMS(4), 0, 3, 4, 15));
    one("dequantize_linear", 1, 0, T_FEW(DT_I4, DIMS(3), 0xF8, 0xFF, 7), scale,
        T_FEW(DT_I4, SCALAR, 1), T_F32(DIMS(3), -18, -4, 12));
    one("quantize_linear", 1, 0, T_F32(DIMS(4), 2, -3, 1e6f, 0), scale,
        T_FEW(DT_F8E4M3FN, SCALAR, 0), T_FEW(DT_F8E4M3FN, DIMS(4), 0x38, 0xBC, 0x7E, 0));
    one("dequantize_linear", 1, 0, T_FEW(DT_F8E4M3FN, DIMS(3), 0x38, 0xBC, 0x7E), scale, T_ABSENT,
        T_F32(DIMS(3), 2, -3, 896));
    struct op_case c = op_case("quantize_linear", 21), loose = op_case("quantize_linear", 21);
    op_case_int(&c, "output_dtype", 22); /* int4 */
    op_case_in(&c, T_F32(DIMS(2), 3, -3));
    op_case_in(&c, T_F32(SCALAR, 1));
    op_case_out(&c, T_FEW(DT_I4, DIMS(2), 3, 0xFD));
    op_case_check(&c);
    op_case_int(&loose, "saturate", 0);
    op_case_in(&loose, T_F32(DIMS(1), 1e6f));
    op_case_in(&loose, T_F32(SCALAR, 1));
    op_case_in(&loose, T_FEW(DT_F8E5M2, SCALAR, 0));
    op_case_out(&loose, T_FEW(DT_F8E5M2, DIMS(1), 0x7C));
    op_case_check(&loose);
}

static void long_rows(void **state) {
    (void)state;
    struct op_case c = op_case("quantize_linear", 13);
    struct tensor x = op_case_random(&c, DT_F32, DIMS(3, 70000), 1), y = x;
    y.dtype = DT_U8;
    y.data = arena_push(&c.arena, tensor_count(&x));
    for (size_t k = 0; k < tensor_count(&x); k++) {
        float q = rintf(((float *)x.data)[k] / 0.03f) + 60;
        ((uint8_t *)y.data)[k] = (uint8_t)(q < 0 ? 0 : q);
    }
    op_case_in(&c, x);
    op_case_in(&c, T_F32(SCALAR, 0.03f));
    op_case_in(&c, T_U8(SCALAR, 60));
    op_case_out(&c, y);
    op_case_check(&c);
}

static void dynamic(void **state) {
    (void)state;
    struct op_case c = op_case("dynamic_quantize_linear", 11),
                   zeros = op_case("dynamic_quantize_linear", 11);
    op_case_in(&c, T_F32(DIMS(6), 0, 2, -3, -2.5f, 1.34f, 0.5f));
    op_case_out(&c, T_U8(DIMS(6), 153, 255, 0, 26, 221, 179));
    op_case_out(&c, T_F32(SCALAR, 0.019607844f));
    op_case_out(&c, T_U8(SCALAR, 153));
    op_case_check(&c);
    op_case_in(&zeros, T_F32(DIMS(2), 0, 0));
    op_case_out(&zeros, T_U8(DIMS(2), 0, 0));
    op_case_out(&zeros, T_F32(SCALAR, 1));
    op_case_out(&zeros, T_U8(SCALAR, 0));
    op_case_check(&zeros);
}

static void scales_that_do_not_fit(void **state) {
    (void)state;
    struct op_case c = op_case("quantize_linear", 13), t = op_case("dequantize_linear", 13);
    op_case_in(&c, T_F32(DIMS(1, 2), 1, 2));
    op_case_in(&c, T_F32(DIMS(3), 1, 2, 3));
    op_case_out(&c, T_U8(DIMS(1, 2), 1, 2));
    op_case_refuse(&c, ERR_INVALID, "scales of shape [3] do not fit axis 1 of [1,2]");
    op_case_in(&t, T_I64(DIMS(1), 1));
    op_case_in(&t, T_F32(SCALAR, 1));
    op_case_out(&t, T_F32(DIMS(1), 1));
    op_case_refuse(&t, ERR_INVALID, "elements of type i64 are not quantised");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_scale),
        cmocka_unit_test(a_scale_per_position),
        cmocka_unit_test(a_scale_per_block),
        cmocka_unit_test(few_bits),
        cmocka_unit_test(long_rows),
        cmocka_unit_test(dynamic),
        cmocka_unit_test(scales_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
