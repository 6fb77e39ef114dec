/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/boxes.c"

#include "../base/check.h"

#include <math.h>

static struct arena arena;

static size_t find(const struct boxes_rule *r, float *values, int64_t d1, int64_t d2,
                   struct box **out) {
    struct tensor t = {.dtype = DT_F32, .shape = {3, {1, d1, d2}}, .data = values};
    struct err e;
    size_t n = 99;
    arena_deinit(&arena);
    arena_init(&arena, 1 << 20);
    assert_ok(boxes_find(r, &t, 0, &arena, out, &n, &e));
    return n;
}

/* Three anchors: two that overlap, one elsewhere and one below the score. Two classes. */
static float v8[6 * 4] = {
    10, 11, 50, 80, 10,  10,  50,  80,  8,   8,   4,   8,    /* x, y, w */
    8,  8,  4,  8,  .9f, .8f, .1f, .1f, .1f, .2f, .7f, .05f, /* h, scores */
};

static void test_suppression(void **state) {
    (void)state;
    struct boxes_rule r = {.form = BOXES_YOLOV8, .score = 0.25f, .iou = 0.45f, .most = 10};
    struct box *b;
    assert_int_equal(find(&r, v8, 6, 4, &b), 2);
    assert_true(b[0].class == 0 && b[0].score == 0.9f && b[0].x0 == 6 && b[0].y1 == 14);
    assert_true(b[1].class == 1 && b[1].score == 0.7f && b[1].x0 == 48 && b[1].x1 == 52);
    r.most = 1;
    assert_int_equal(find(&r, v8, 6, 4, &b), 1);
    r.iou = 1;
    r.most = 10;
    assert_int_equal(find(&r, v8, 6, 4, &b), 3);
}

static void test_classes_apart(void **state) {
    (void)state;
    float two[6 * 2] = {10, 11, 10, 10, 8, 8, 8, 8, .9f, .1f, .1f, .8f};
    struct boxes_rule r = {.form = BOXES_YOLOV8, .score = 0.25f, .iou = 0.45f, .most = 10};
    struct box *b;
    assert_int_equal(find(&r, two, 6, 2, &b), 2);
    r.agnostic = true;
    assert_int_equal(find(&r, two, 6, 2, &b), 1);
}

static void test_objectness(void **state) {
    (void)state;
    float v5[2 * 7] = {10, 10, 8, 8, 0.5f, 0.9f, 0.1f, 40, 40, 8, 8, 0.2f, 0.9f, NAN};
    struct boxes_rule r = {.form = BOXES_YOLOV5, .score = 0.25f, .iou = 0.45f, .most = 10};
    struct box *b;
    assert_int_equal(find(&r, v5, 2, 7, &b), 1);
    assert_true(b[0].score == 0.45f && b[0].class == 0);
}

static void test_refused(void **state) {
    (void)state;
    struct boxes_rule r = {.form = BOXES_YOLOV8, .score = 0.25f, .iou = 0.45f, .most = 10};
    struct tensor t = {.dtype = DT_F32, .shape = {2, {4, 6}}, .data = v8};
    struct box *b;
    struct err e;
    size_t n;
    assert_fails(boxes_find(&r, &t, 0, &arena, &b, &n, &e), INVALID, "[N,4+classes,anchors]");
    t.shape = (struct shape){3, {1, 4, 6}};
    assert_fails(boxes_find(&r, &t, 0, &arena, &b, &n, &e), INVALID, "boxes need");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suppression),
        cmocka_unit_test(test_classes_apart),
        cmocka_unit_test(test_objectness),
        cmocka_unit_test(test_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
