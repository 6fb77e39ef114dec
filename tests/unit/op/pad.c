/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of pad: modes, opsets, layouts, crops. */
#include "op/pad.c"

#include "op_case.h"

static void one_axis(const char *mode, int64_t before, int64_t after, int n, const float *want) {
    struct op_case c = op_case("pad", 19);
    op_case_str(&c, "mode", mode);
    op_case_in(&c, T_F32(DIMS(3), 1, 2, 3));
    op_case_in(&c, T_I64(DIMS(2), before, after));
    op_case_out(
        &c, (struct tensor){.dtype = DT_F32, .shape = DIMS(n), .data = (float *)(uintptr_t)want});
    op_case_check(&c);
}

static void every_mode(void **state) {
    (void)state;
    one_axis("constant", 1, 2, 6, (float[]){0, 1, 2, 3, 0, 0});
    one_axis("edge", 1, 2, 6, (float[]){1, 1, 2, 3, 3, 3});
    one_axis("reflect", 2, 1, 6, (float[]){3, 2, 1, 2, 3, 2});
    one_axis("reflect", 5, 0, 8, (float[]){2, 1, 2, 3, 2, 1, 2, 3});
    one_axis("wrap", 1, 2, 6, (float[]){3, 1, 2, 3, 1, 2});
    one_axis("constant", -1, 1, 3, (float[]){2, 3, 0});
    one_axis("edge", -1, 1, 3, (float[]){2, 3, 3});
    one_axis("wrap", 1, -2, 2, (float[]){1, 1});
}

static void images_in_both_layouts(void **state) {
    (void)state;
    static const char *const modes[] = {"constant", "edge", "reflect", "wrap"};
    for (int m = 0; m < 4; m++) {
        struct op_case c = op_case("pad", 19);
        struct tensor in = op_case_random(&c, DT_F32, DIMS(2, 3, 4, 5), 3), out;
        struct err e;
        const int64_t shift[4] = {0, 1, 2, 1};
        op_case_str(&c, "mode", modes[m]);
        op_case_in(&c, in);
        op_case_in(&c, T_I64(DIMS(8), 0, 1, 2, 1, 0, 0, 1, 3));
        op_case_in(&c, T_F32(SCALAR, 9));
        assert_int_equal(tensor_new(&c.arena, DT_F32, &DIMS(2, 4, 7, 9), &out, &e), OK);
        for (size_t k = 0; k < tensor_count(&out); k++) {
            size_t rest = k;
            int64_t from = 0, step = 1;
            bool outside = false;
            for (int d = 3; d >= 0; d--) {
                int64_t n = in.shape.dims[d],
                        at = (int64_t)(rest % (size_t)out.shape.dims[d]) - shift[d];
                rest /= (size_t)out.shape.dims[d];
                outside = outside || at < 0 || at >= n;
                if (m == 1)
                    at = at < 0 ? 0 : at >= n ? n - 1 : at;
                while (m == 2 && (at < 0 || at >= n))
                    at = at < 0 ? -at : 2 * (n - 1) - at;
                if (m == 3)
                    at = (at + n) % n;
                from += at * step;
                step *= n;
            }
            ((float *)out.data)[k] = m == 0 && outside ? 9 : ((const float *)in.data)[from];
        }
        op_case_out(&c, out);
        op_case_check(&c);
    }
}

static void older_opsets(void **state) {
    (void)state;
    for (int opset = 1; opset <= 2; opset++) {
        struct op_case c = op_case("pad", opset);
        op_case_ints(&c, opset == 1 ? "paddings" : "pads", 4, (int64_t[]){0, 1, 0, 0});
        op_case_float(&c, "value", 5);
        op_case_in(&c, T_F32(DIMS(2, 1), 1, 2));
        op_case_out(&c, T_F32(DIMS(2, 2), 5, 1, 5, 2));
        op_case_check(&c);
    }
    struct op_case axes = op_case("pad", 18);
    op_case_in(&axes, T_I32(DIMS(1, 2), 1, 2));
    op_case_in(&axes, T_I64(DIMS(2), 1, 0));
    op_case_in(&axes, T_I32(SCALAR, 7));
    op_case_in(&axes, T_I64(DIMS(1), -1));
    op_case_out(&axes, T_I32(DIMS(1, 3), 7, 1, 2));
    op_case_check(&axes);
}

static void pad_refuses(void **state) {
    (void)state;
    struct op_case mode = op_case("pad", 13), crop = op_case("pad", 13), large = op_case("pad", 13);
    op_case_str(&mode, "mode", "mirror");
    op_case_in(&mode, T_F32(DIMS(1), 1));
    op_case_in(&mode, T_I64(DIMS(2), 1, 1));
    op_case_out(&mode, T_F32(DIMS(3), 1, 1, 1));
    op_case_refuse(&mode, ERR_FORMAT, "mode 'mirror'");
    op_case_in(&crop, T_F32(DIMS(1), 1));
    op_case_in(&crop, T_I64(DIMS(2), -1, -1));
    op_case_out(&crop, T_F32(DIMS(1), 1));
    op_case_refuse(&crop, ERR_INVALID, "cropped");
    op_case_in(&large, T_F32(DIMS(1), 1));
    op_case_in(&large, T_I64(DIMS(2), INT64_MAX, 1));
    op_case_out(&large, T_F32(DIMS(1), 1));
    op_case_refuse(&large, ERR_LIMIT, "is padded by");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode),
        cmocka_unit_test(images_in_both_layouts),
        cmocka_unit_test(older_opsets),
        cmocka_unit_test(pad_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
