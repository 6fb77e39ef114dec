/* SPDX-License-Identifier: Apache-2.0 */
/* Where pixels go and what becomes of them; that they equal Pillow's and OpenCV's is
 * tests/clients/test_predict.py. */
#include "serve/prepare.c"

#include "stand.h"

static struct arena arena;
static struct image image;

static enum code prepare(const char *recipe, struct live_io io, struct tensor *out, struct err *e) {
    struct recipe r;
    arena_deinit(&arena);
    arena_init(&arena, 64 << 20);
    TRY(recipe_read((struct span){(const uint8_t *)recipe, strlen(recipe)}, &arena, &r, e));
    return recipe_image(&r, &io, &image, &arena, out, &(struct recipe_view){0}, e);
}

static float at(const struct tensor *t, size_t i) { return ((const float *)t->data)[i]; }

static int make(void **state) {
    (void)state;
    struct err e;
    assert_ok(image_new(4, 2, &image, &e)); /* r = 10x + y, g = 100, b = 200 */
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 4; x++) {
            uint8_t *p = image.pixels + (y * 4 + x) * 3;
            p[0] = (uint8_t)(10 * x + y);
            p[1] = 100;
            p[2] = 200;
        }
    return 0;
}

static int drop(void **state) {
    (void)state;
    image_free(&image);
    arena_deinit(&arena);
    return 0;
}

static void test_layouts(void **state) {
    (void)state;
    struct err e;
    struct tensor t;
    assert_ok(prepare("{\"image\": {\"scale\": 1}}", stand_io("x", DT_F32, STAND_DIMS(-1, 3, 2, 4)),
                      &t, &e));
    assert_shape(t, 1, 3, 2, 4);
    assert_true(at(&t, 0) == 0 && at(&t, 3) == 30 && at(&t, 4) == 1 && at(&t, 8) == 100 &&
                at(&t, 16) == 200);
    assert_ok(prepare("{\"image\": {\"scale\": 1, \"order\": \"BGR\"}}",
                      stand_io("x", DT_F32, STAND_DIMS(1, 3, 2, 4)), &t, &e));
    assert_true(at(&t, 0) == 200 && at(&t, 19) == 30);
    assert_ok(prepare("{\"image\": {\"scale\": 1}}", stand_io("x", DT_F32, STAND_DIMS(1, 2, 4, 3)),
                      &t, &e)); /* NHWC by its shape */
    assert_shape(t, 1, 2, 4, 3);
    assert_true(at(&t, 3) == 10 && at(&t, 4) == 100 && at(&t, 12) == 1);
    assert_ok(prepare("{\"image\": {\"scale\": 1}}", stand_io("x", DT_F32, STAND_DIMS(1, 1, 2, 4)),
                      &t, &e)); /* grey */
    assert_shape(t, 1, 1, 2, 4);
    assert_true(at(&t, 0) == 82 && at(&t, 1) == 84);
}

static void test_values(void **state) {
    (void)state;
    struct err e;
    struct tensor t;
    assert_ok(prepare("", stand_io("x", DT_F32, STAND_DIMS(1, 3, 2, 4)), &t, &e));
    assert_true(at(&t, 8) == 100 * (1.0f / 255));
    assert_ok(prepare("{\"image\": {\"mean\": [10, 20, 30], \"scale\": [1, 2, 4]}}",
                      stand_io("x", DT_F32, STAND_DIMS(1, 3, 2, 4)), &t, &e));
    assert_true(at(&t, 1) == 0 && at(&t, 8) == 160 && at(&t, 16) == 680);
    assert_ok(prepare("", stand_io("x", DT_U8, STAND_DIMS(1, 3, 2, 4)), &t, &e));
    assert_true(((uint8_t *)t.data)[3] == 30 && ((uint8_t *)t.data)[16] == 200);
    assert_ok(prepare("{\"image\": {\"scale\": 1}}", stand_io("x", DT_F16, STAND_DIMS(1, 3, 2, 4)),
                      &t, &e));
    assert_int_equal(((uint16_t *)t.data)[8], dtype_f32_to_f16(100));
}

static void test_places(void **state) {
    (void)state;
    struct err e;
    struct tensor t;
    const struct live_io square = stand_io("x", DT_F32, STAND_DIMS(1, 3, 4, 4)),
                         narrow = stand_io("x", DT_F32, STAND_DIMS(1, 3, 2, 2)),
                         open = stand_io("x", DT_F32, STAND_DIMS(-1, 3, -1, -1));
    assert_ok(
        prepare("{\"image\": {\"scale\": 1, \"resize\": \"pad\", \"fill\": 7}}", square, &t, &e));
    assert_true(at(&t, 0) == 0 && at(&t, 4) == 1 && at(&t, 8) == 7 && at(&t, 15) == 7);
    assert_ok(prepare("{\"image\": {\"scale\": 1, \"resize\": \"pad\", \"place\": \"centre\"}}",
                      square, &t, &e));
    assert_true(at(&t, 0) == 0 && at(&t, 4) == 0 && at(&t, 5) == 10 && at(&t, 8) == 1);
    assert_ok(prepare("{\"image\": {\"scale\": 1, \"resize\": \"crop\"}}", narrow, &t, &e));
    assert_true(at(&t, 0) == 10 && at(&t, 1) == 20 && at(&t, 2) == 11);
    assert_ok(prepare(
        "{\"image\": {\"scale\": 1, \"resize\": \"height\", \"height\": 2, \"min_width\": 6}}",
        open, &t, &e));
    assert_shape(t, 1, 3, 2, 6);
    assert_true(at(&t, 3) == 30 && at(&t, 4) == 0 && at(&t, 12) == 100 && at(&t, 16) == 0);
    assert_ok(prepare(
        "{\"image\": {\"scale\": 1, \"resize\": \"height\", \"height\": 2, \"max_width\": 3}}",
        open, &t, &e));
    assert_shape(t, 1, 3, 2, 3);
    assert_ok(prepare("{\"image\": {\"resize\": \"sides\", \"multiple\": 32}}", open, &t, &e));
    assert_shape(t, 1, 3, 32, 32);
    assert_ok(prepare("{\"image\": {\"resize\": \"sides\", \"min_side\": 64, \"multiple\": 32}}",
                      open, &t, &e));
    assert_shape(t, 1, 3, 64, 128);
    assert_ok(prepare("", open, &t, &e));
    assert_shape(t, 1, 3, 2, 4);
}

static void test_refused(void **state) {
    (void)state;
    struct err e;
    struct tensor t;
    assert_fails(prepare("", stand_io("x", DT_F32, STAND_DIMS(-1, 4)), &t, &e), INVALID,
                 "no image fits");
    assert_fails(prepare("", stand_io("x", DT_STRING, STAND_DIMS(-1, 3, 4, 4)), &t, &e), INVALID,
                 "no image becomes that");
    assert_fails(prepare("", stand_io("x", DT_F32, STAND_DIMS(-1, 12, 4, 4)), &t, &e), INVALID,
                 "12 channels");
    assert_fails(prepare("{\"image\": {\"resize\": \"crop\"}}",
                         stand_io("x", DT_F32, STAND_DIMS(1, 3, -1, -1)), &t, &e),
                 INVALID, "must give width and height");
    assert_fails(prepare("{\"image\": {\"width\": 8192, \"height\": 8192}}",
                         stand_io("x", DT_F32, STAND_DIMS(1, 3, -1, -1)), &t, &e),
                 LIMIT, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
