/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of non_max_suppression, roi_align, max_roi_pool. */
#include "op/region.c"

#include "op_case.h"

static struct op_case nms(int64_t most, float iou) {
    struct op_case c = op_case("non_max_suppression", 11);
    op_case_in(&c, T_F32(DIMS(1, 4, 4), 0, 0, 1, 1, 1, 1.1F, 0, 0.1F, 0, 10, 1, 11, NAN, 0, 1, 1));
    op_case_in(&c, T_F32(DIMS(1, 2, 4), 0.9F, 0.75F, 0.9F, 0.1F, 0.1F, 0.2F, 0.3F, 0.4F));
    op_case_in(&c, T_I64(SCALAR, most));
    op_case_in(&c, T_F32(SCALAR, iou));
    op_case_in(&c, T_F32(SCALAR, 0.15F));
    return c;
}

static void nms_picks_the_best(void **state) {
    (void)state;
    struct op_case c = nms(2, 0.5F), none = nms(0, 0.5F), wrong = nms(1, 2);
    op_case_out(&c, T_I64(DIMS(4, 3), 0, 0, 0, 0, 0, 2, 0, 1, 3, 0, 1, 2));
    op_case_check(&c);
    op_case_out(&none, T_EMPTY(DT_I64, DIMS(0, 3)));
    op_case_check(&none);
    op_case_out(&wrong, T_EMPTY(DT_I64, DIMS(0, 3)));
    op_case_refuse(&wrong, ERR_INVALID, "iou_threshold is 2");
}

static void nms_of_many_boxes(void **state) {
    (void)state;
    enum { N = 200 };
    struct op_case c = op_case("non_max_suppression", 11);
    struct tensor boxes = op_case_random(&c, DT_F32, DIMS(1, N, 4), 3),
                  scores = op_case_random(&c, DT_F32, DIMS(1, 1, N), 5);
    int64_t picks[3 * N] = {0};
    for (int k = 0; k < N; k++) { /* all apart: the order is the scores' */
        float box[4] = {(float)(2 * k), 0, (float)(2 * k + 1), 1};
        memcpy((float *)boxes.data + 4 * k, box, sizeof box);
        ((float *)scores.data)[k] = (float)(k * 37 % N);
        picks[3 * (N - 1 - k * 37 % N) + 2] = k;
    }
    op_case_in(&c, boxes);
    op_case_in(&c, scores);
    op_case_in(&c, T_I64(SCALAR, INT64_MAX));
    op_case_out(&c, (struct tensor){.dtype = DT_I64, .shape = DIMS(N, 3), .data = picks});
    op_case_check(&c);
}

static void roi_align_averages(void **state) {
    (void)state;
    struct op_case c = op_case("roi_align", 10), top = op_case("roi_align", 10);
    op_case_in(&c, T_F32(DIMS(1, 1, 2, 2), 1, 2, 3, 4));
    op_case_in(&c, T_F32(DIMS(1, 4), 0, 0, 1, 1));
    op_case_in(&c, T_I64(DIMS(1), 0));
    op_case_out(&c, T_F32(DIMS(1, 1, 1, 1), 2.5F));
    op_case_check(&c);
    op_case_str(&top, "mode", "max");
    op_case_int(&top, "sampling_ratio", 1);
    op_case_in(&top, T_F32(DIMS(1, 1, 2, 2), 1, 2, 3, 4));
    op_case_in(&top, T_F32(DIMS(1, 4), 0, 0, 1, 1));
    op_case_in(&top, T_I64(DIMS(1), 0));
    op_case_out(&top, T_F32(DIMS(1, 1, 1, 1), 1)); /* the largest of the weighted four */
    op_case_check(&top);
}

static void max_roi_pool_takes_the_largest(void **state) {
    (void)state;
    struct op_case c = op_case("max_roi_pool", 1);
    op_case_ints(&c, "pooled_shape", 2, (int64_t[]){1, 2});
    op_case_in(&c, T_F32(DIMS(1, 1, 2, 4), 1, 2, 3, 4, 8, 7, 6, 5));
    op_case_in(&c, T_F32(DIMS(2, 5), 0, 0, 0, 3, 1, 0, 9, 9, 9, 9));
    op_case_out(&c, T_F32(DIMS(2, 1, 1, 2), 8, 6, 0, 0));
    op_case_check(&c);
}

static void regions_are_hostile(void **state) {
    (void)state;
    static const int64_t wrong[] = {1, -1, INT64_MIN};
    for (int k = 0; k < 3; k++) {
        struct op_case c = op_case("roi_align", 16);
        op_case_in(&c, T_F32(DIMS(1, 1, 1, 1), 1));
        op_case_in(&c, T_F32(DIMS(1, 4), 0, 0, 1, 1));
        op_case_in(&c, T_I64(DIMS(1), wrong[k]));
        op_case_out(&c, T_F32(DIMS(1, 1, 1, 1), 1));
        op_case_refuse(&c, ERR_INVALID, "region 0 is of picture");
    }
    static const float edges[] = {NAN, INFINITY, 1e30F};
    for (int k = 0; k < 3; k++) {
        struct op_case c = op_case("roi_align", 16), pool = op_case("max_roi_pool", 1);
        op_case_in(&c, T_F32(DIMS(1, 1, 1, 1), 1));
        op_case_in(&c, T_F32(DIMS(1, 4), 0, 0, edges[k], 1));
        op_case_in(&c, T_I64(DIMS(1), 0));
        op_case_out(&c, T_F32(DIMS(1, 1, 1, 1), 1));
        op_case_refuse(&c, ERR_INVALID, "a region from");
        op_case_ints(&pool, "pooled_shape", 2, (int64_t[]){1, 1});
        op_case_in(&pool, T_F32(DIMS(1, 1, 1, 1), 1));
        op_case_in(&pool, T_F32(DIMS(1, 5), 0, 0, edges[k], 1, 1));
        op_case_out(&pool, T_F32(DIMS(1, 1, 1, 1), 1));
        op_case_refuse(&pool, ERR_INVALID, "has the edge");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nms_picks_the_best),  cmocka_unit_test(nms_of_many_boxes),
        cmocka_unit_test(roi_align_averages),  cmocka_unit_test(max_roi_pool_takes_the_largest),
        cmocka_unit_test(regions_are_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
