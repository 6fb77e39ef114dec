/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of resize and upsample. Expected numbers of the modes are those of ONNX's reference. */
#include "op/resize.c"

#include "op_case.h"

/* 1 .. 16 as a picture of 4 x 4 with `channels` channels, channel c larger by c; `want`, a picture
 * of h x w, likewise: sampling commutes with adding a constant. */
struct picture {
    const char *mode, *transform, *nearest;
    int64_t antialias, exclude;
    int64_t h, w;
    double scale_h, scale_w; /* 0: by sizes */
    float want[64];
};

static struct tensor of_channels(struct op_case *c, enum dtype t, int64_t channels, int64_t h,
                                 int64_t w, const float *plane) {
    struct tensor x;
    struct err e;
    assert_int_equal(tensor_new(&c->arena, t, &DIMS(1, channels, h, w), &x, &e), OK);
    for (size_t k = 0; k < tensor_count(&x); k++)
        operand_put(&x, k, (double)plane[k % (size_t)(h * w)] + (double)(k / (size_t)(h * w)));
    return x;
}

static const float base[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static void sample_as(const struct picture *p, enum dtype t, int64_t channels) {
    struct op_case c = op_case("resize", 19);
    op_case_str(&c, "mode", p->mode);
    op_case_str(&c, "coordinate_transformation_mode", p->transform);
    if (p->nearest)
        op_case_str(&c, "nearest_mode", p->nearest);
    op_case_int(&c, "antialias", p->antialias);
    op_case_int(&c, "exclude_outside", p->exclude);
    op_case_in(&c, of_channels(&c, t, channels, 4, 4, base));
    op_case_in(&c, T_ABSENT);
    if (p->scale_h > 0) {
        op_case_in(&c, T_F32(DIMS(4), 1, 1, (float)p->scale_h, (float)p->scale_w));
    } else {
        op_case_in(&c, T_ABSENT);
        op_case_in(&c, T_I64(DIMS(4), 1, channels, p->h, p->w));
    }
    op_case_out(&c, of_channels(&c, t, channels, p->h, p->w, p->want));
    c.relative = c.absolute = t == DT_F16 ? 4e-3 : 1e-5;
    op_case_check(&c);
}

static void sample(struct picture p) {
    sample_as(&p, DT_F32, 1);
    sample_as(&p, DT_F32, 3);
    sample_as(&p, DT_F32, 17);
    sample_as(&p, DT_F64, 2);
    sample_as(&p, DT_F16, 2);
}

static void linear(void **state) {
    (void)state;
    sample((struct picture){
        "linear", "half_pixel", NULL, 0, 0, 4, 8, 1, 2, {1,      1.25f,  1.75f,  2.25f,  2.75f,
                                                         3.25f,  3.75f,  4,      5,      5.25f,
                                                         5.75f,  6.25f,  6.75f,  7.25f,  7.75f,
                                                         8,      9,      9.25f,  9.75f,  10.25f,
                                                         10.75f, 11.25f, 11.75f, 12,     13,
                                                         13.25f, 13.75f, 14.25f, 14.75f, 15.25f,
                                                         15.75f, 16}});
    sample((struct picture){
        "linear", "half_pixel", NULL, 0, 0, 2, 2, 0.6, 0.6, {2.666667f, 4.333333f, 9.333333f, 11}});
    sample((struct picture){"linear",
                            "align_corners",
                            NULL,
                            0,
                            0,
                            2,
                            7,
                            0,
                            0,
                            {1, 1.5f, 2, 2.5f, 3, 3.5f, 4, 13, 13.5f, 14, 14.5f, 15, 15.5f, 16}});
    sample((struct picture){
        "linear",
        "half_pixel_symmetric",
        NULL,
        0,
        0,
        4,
        2,
        1,
        0.6,
        {1.666667f, 3.333333f, 5.666667f, 7.333333f, 9.666667f, 11.33333f, 13.66667f, 15.33333f}});
    sample((struct picture){
        "linear", "half_pixel", NULL, 1, 0, 2, 2, 0.6, 0.6, {2.875f, 4.5f, 9.375f, 11}});
    sample((struct picture){
        "linear", "pytorch_half_pixel", NULL, 0, 0, 1, 2, 0.25, 0.5, {1.5f, 3.5f}});
}

static void cubic(void **state) {
    (void)state;
    sample((struct picture){"cubic",
                            "half_pixel",
                            NULL,
                            0,
                            0,
                            3,
                            3,
                            0,
                            0,
                            {1.630787f, 3.00463f, 4.378472f, 7.126157f, 8.5f, 9.873843f, 12.62153f,
                             13.99537f, 15.36921f}});
    sample((struct picture){"cubic",
                            "half_pixel",
                            NULL,
                            0,
                            1,
                            3,
                            3,
                            0,
                            0,
                            {1.580405f, 2.964324f, 4.348243f, 7.116081f, 8.5f, 9.883919f, 12.65176f,
                             14.03568f, 15.4196f}});
    sample((struct picture){"cubic",
                            "half_pixel",
                            NULL,
                            1,
                            0,
                            2,
                            2,
                            0.6,
                            0.6,
                            {2.518072f, 4.285886f, 9.589328f, 11.35714f}});
}

static void nearest(void **state) {
    (void)state;
    sample((struct picture){
        "nearest", "asymmetric", "floor", 0, 0, 8, 4, 2, 1, {1,  2,  3,  4,  1,  2,  3,  4,
                                                             5,  6,  7,  8,  5,  6,  7,  8,
                                                             9,  10, 11, 12, 9,  10, 11, 12,
                                                             13, 14, 15, 16, 13, 14, 15, 16}});
    sample((struct picture){
        "nearest", "half_pixel", "round_prefer_floor", 0, 0, 4, 6, 0, 0, {1,  1,  2,  3,  3,  4,
                                                                          5,  5,  6,  7,  7,  8,
                                                                          9,  9,  10, 11, 11, 12,
                                                                          13, 13, 14, 15, 15, 16}});
    sample((struct picture){"nearest", "half_pixel", "ceil", 0, 0, 1, 2, 0, 0, {10, 12}});
    sample(
        (struct picture){"nearest", "half_pixel", "round_prefer_ceil", 0, 0, 1, 2, 0, 0, {10, 12}});
    sample((struct picture){
        "nearest", "align_corners", "floor", 0, 0, 2, 3, 0, 0, {1, 2, 4, 13, 14, 16}});
}

static void before_opset_11(void **state) {
    (void)state;
    struct op_case down = op_case("resize", 10), up = op_case("upsample", 9),
                   list = op_case("upsample", 7), sides = op_case("upsample", 1);
    op_case_in(&down, T_F32(DIMS(1, 1, 2, 4), 1, 2, 3, 4, 5, 6, 7, 8));
    op_case_in(&down, T_F32(DIMS(4), 1, 1, 0.6f, 0.6f));
    op_case_out(&down, T_F32(DIMS(1, 1, 1, 2), 1, 3));
    op_case_check(&down);
    struct op_case *all[] = {&up, &list, &sides};
    for (int k = 0; k < 3; k++) {
        op_case_str(all[k], "mode", "nearest");
        op_case_in(all[k], T_I32(DIMS(1, 1, 2, 2), 1, 2, 3, 4));
        op_case_out(all[k], T_I32(DIMS(1, 1, 2, 4), 1, 1, 2, 2, 3, 3, 4, 4));
    }
    op_case_in(&up, T_F32(DIMS(4), 1, 1, 1, 2));
    op_case_floats(&list, "scales", 4, (float[]){1, 1, 1, 2});
    op_case_float(&sides, "width_scale", 2);
    for (int k = 0; k < 3; k++)
        op_case_check(all[k]);
}

static void crops(void **state) {
    (void)state;
    for (int by_axes = 0; by_axes < 2; by_axes++) {
        struct op_case c = op_case("resize", 18);
        op_case_str(&c, "mode", "linear");
        op_case_str(&c, "coordinate_transformation_mode", "tf_crop_and_resize");
        op_case_float(&c, "extrapolation_value", 10);
        op_case_in(&c, of_channels(&c, DT_F32, 1, 4, 4, base));
        if (by_axes) {
            op_case_ints(&c, "axes", 2, (int64_t[]){3, 2});
            op_case_in(&c, T_F32(DIMS(4), 0.6f, 0.4f, 1.7f, 1.2f));
            op_case_in(&c, T_EMPTY(DT_F32, DIMS(0)));
            op_case_in(&c, T_I64(DIMS(2), 3, 3));
        } else {
            op_case_in(&c, T_F32(DIMS(8), 0, 0, 0.4f, 0.6f, 1, 1, 1.2f, 1.7f));
            op_case_in(&c, T_ABSENT);
            op_case_in(&c, T_I64(DIMS(4), 1, 1, 3, 3));
        }
        op_case_out(&c, T_F32(DIMS(1, 1, 3, 3), 7.6f, 10, 10, 12.4f, 10, 10, 10, 10, 10));
        op_case_check(&c);
    }
    struct op_case n = op_case("resize", 18);
    op_case_str(&n, "coordinate_transformation_mode", "tf_crop_and_resize");
    op_case_float(&n, "extrapolation_value", 7);
    op_case_in(&n, T_U8(DIMS(2, 2), 1, 2, 3, 4));
    op_case_in(&n, T_F32(DIMS(4), 0, -1, 1, 0));
    op_case_in(&n, T_ABSENT);
    op_case_in(&n, T_I64(DIMS(2), 2, 2));
    op_case_out(&n, T_U8(DIMS(2, 2), 7, 1, 7, 3));
    op_case_check(&n);
}

static void aspect(const char *policy, int64_t h, int64_t w) {
    struct op_case c = op_case("resize", 18);
    op_case_str(&c, "keep_aspect_ratio_policy", policy);
    op_case_ints(&c, "axes", 2, (int64_t[]){0, 1});
    op_case_in(&c, T_F32(DIMS(1, 2), 1, 2));
    op_case_in(&c, T_ABSENT);
    op_case_in(&c, T_ABSENT);
    op_case_in(&c, T_I64(DIMS(2), 3, 4));
    struct tensor y;
    struct err e;
    assert_int_equal(tensor_new(&c.arena, DT_F32, &DIMS(h, w), &y, &e), OK);
    for (size_t k = 0; k < tensor_count(&y); k++)
        operand_put(&y, k, k % (size_t)w < (size_t)w / 2 ? 1 : 2);
    op_case_out(&c, y);
    op_case_check(&c);
}

static void policies(void **state) {
    (void)state;
    aspect("stretch", 3, 4);
    aspect("not_larger", 2, 4);
    aspect("not_smaller", 3, 6);
}

static void integers_are_cut(void **state) {
    (void)state;
    struct op_case c = op_case("resize", 13), wide = op_case("resize", 13);
    struct op_case *both[] = {&c, &wide};
    for (int k = 0; k < 2; k++)
        op_case_str(both[k], "mode", "linear");
    op_case_in(&c, T_U8(DIMS(2), 10, 255));
    op_case_in(&wide, T_I64(DIMS(2), -1099511627776, 255));
    for (int k = 0; k < 2; k++) {
        op_case_in(both[k], T_ABSENT);
        op_case_in(both[k], T_F32(DIMS(1), 2));
    }
    op_case_out(&c, T_U8(DIMS(4), 10, 71, 193, 255));
    op_case_out(&wide, T_I64(DIMS(4), -1099511627776, -824633720768, -274877906752, 255));
    op_case_check(&c);
    op_case_check(&wide);
}

static void three_axes_at_once(void **state) {
    (void)state;
    struct op_case c = op_case("resize", 13);
    op_case_str(&c, "mode", "linear");
    op_case_str(&c, "coordinate_transformation_mode", "align_corners");
    op_case_in(&c,
               T_F32(DIMS(1, 2, 2, 2, 2), 0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
    op_case_in(&c, T_ABSENT);
    op_case_in(&c, T_ABSENT);
    op_case_in(&c, T_I64(DIMS(5), 1, 2, 3, 3, 3));
    float want[54];
    for (int k = 0; k < 54; k++)
        want[k] = (float)(k / 27 + k % 27 / 9 * 4 + k % 9 / 3 * 2 + k % 3);
    struct tensor y = {.dtype = DT_F32, .shape = DIMS(1, 2, 3, 3, 3), .data = want};
    op_case_out(&c, y);
    op_case_check(&c);
}

static void many_channels(void **state) {
    (void)state;
    struct op_case c = op_case("resize", 11);
    struct tensor x = op_case_random(&c, DT_F32, DIMS(2, 33, 20, 20), 1), y;
    struct err e;
    assert_int_equal(tensor_new(&c.arena, DT_F32, &DIMS(2, 33, 40, 40), &y, &e), OK);
    for (size_t k = 0; k < tensor_count(&y); k++)
        operand_put(&y, k, tensor_f64(&x, k / 1600 * 400 + k / 40 % 40 / 2 * 20 + k % 40 / 2));
    op_case_str(&c, "coordinate_transformation_mode", "asymmetric");
    op_case_str(&c, "nearest_mode", "floor");
    op_case_in(&c, x);
    op_case_in(&c, T_EMPTY(DT_F32, DIMS(0)));
    op_case_in(&c, T_F32(DIMS(4), 1, 1, 2, 2));
    op_case_out(&c, y);
    op_case_check(&c);
}

static void refuse(struct tensor scales, struct tensor sizes, const char *mode, enum code code,
                   const char *text) {
    struct op_case c = op_case("resize", 13);
    op_case_str(&c, "mode", mode);
    op_case_in(&c, T_F32(DIMS(1, 1), 1));
    op_case_in(&c, T_ABSENT);
    op_case_in(&c, scales);
    op_case_in(&c, sizes);
    op_case_out(&c, T_F32(DIMS(1, 1), 1));
    op_case_refuse(&c, code, text);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    refuse(T_ABSENT, T_ABSENT, "linear", ERR_INVALID, "neither scales nor sizes");
    refuse(T_F32(DIMS(1), 1), T_ABSENT, "linear", ERR_INVALID, "2 floats were expected");
    refuse(T_F32(DIMS(2), 1, -1), T_ABSENT, "linear", ERR_INVALID, "would be scaled by -1");
    refuse(T_F32(DIMS(2), 1, NAN), T_ABSENT, "linear", ERR_INVALID, "would be scaled by");
    refuse(T_F32(DIMS(2), 1e30f, 1e30f), T_ABSENT, "linear", ERR_INVALID, "would be scaled by");
    refuse(T_F32(DIMS(2), 1e10f, 1e10f), T_ABSENT, "linear", ERR_LIMIT, "too large");
    refuse(T_F32(DIMS(2), 1, 1), T_ABSENT, "best", ERR_INVALID, "mode is 'best'");
    refuse(T_ABSENT, T_I64(DIMS(2), 1, -4), "linear", ERR_INVALID, "cannot go from 1");
    refuse(T_ABSENT, T_I64(DIMS(3), 1, 1, 4), "linear", ERR_INVALID, "3 sizes for 2 axes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear),
        cmocka_unit_test(cubic),
        cmocka_unit_test(nearest),
        cmocka_unit_test(before_opset_11),
        cmocka_unit_test(crops),
        cmocka_unit_test(policies),
        cmocka_unit_test(integers_are_cut),
        cmocka_unit_test(three_axes_at_once),
        cmocka_unit_test(many_channels),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
