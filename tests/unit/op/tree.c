/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of tree_ensemble. */
#include "op/tree.c"

#include "op_case.h"

/* Two nodes: x0 <= 1 ? leaf 0 : (x1 mode split ? leaf 1 : leaf 2), leaf 2 for target 1. */
static struct op_case forest(uint8_t mode, float split, int64_t target, int64_t next) {
    static uint8_t modes[2];
    static float splits[2], weights[3] = {10, 20, 40};
    static struct tensor mode_list = {.dtype = DT_U8, .shape = {1, {2}}, .data = modes},
                         split_list = {.dtype = DT_F32, .shape = {1, {2}}, .data = splits},
                         weight_list = {.dtype = DT_F32, .shape = {1, {3}}, .data = weights};
    struct op_case c = op_case("tree_ensemble", 5);
    modes[1] = mode;
    splits[0] = 1;
    splits[1] = split;
    op_case_int(&c, "n_targets", 2);
    op_case_ints(&c, "tree_roots", 1, (int64_t[]){0});
    op_case_ints(&c, "nodes_featureids", 2, (int64_t[]){0, 1});
    op_case_ints(&c, "nodes_truenodeids", 2, (int64_t[]){0, 1});
    op_case_ints(&c, "nodes_trueleafs", 2, (int64_t[]){1, 1});
    op_case_ints(&c, "nodes_falsenodeids", 2, (int64_t[]){next, 2});
    op_case_ints(&c, "nodes_falseleafs", 2, (int64_t[]){0, 1});
    op_case_ints(&c, "leaf_targetids", 3, (int64_t[]){0, 0, target});
    op_case_attr(&c, "nodes_modes", ATTR_TENSOR)->tensor = &mode_list;
    op_case_attr(&c, "nodes_splits", ATTR_TENSOR)->tensor = &split_list;
    op_case_attr(&c, "leaf_weights", ATTR_TENSOR)->tensor = &weight_list;
    return c;
}

static void every_mode(void **state) {
    (void)state;
    /* x1 = 1, 2, 3 against 2: which go to leaf 1 */
    static const bool yes[6][3] = {{1, 1, 0}, {1, 0, 0}, {0, 1, 1},
                                   {0, 0, 1}, {0, 1, 0}, {1, 0, 1}};
    for (uint8_t mode = 0; mode < 6; mode++) {
        struct op_case c = forest(mode, 2, 1, 1);
        op_case_in(&c, T_F32(DIMS(4, 2), 0, 9, 5, 1, 5, 2, 5, 3));
        float want[8] = {10, 0};
        for (int k = 0; k < 3; k++)
            want[2 + 2 * k + !yes[mode][k]] = yes[mode][k] ? 20 : 40;
        op_case_out(&c, (struct tensor){.dtype = DT_F32, .shape = DIMS(4, 2), .data = want});
        op_case_check(&c);
    }
}

static void set_membership_and_missing_values(void **state) {
    (void)state;
    struct op_case c = forest(FOREST_MEMBER, 0, 1, 1);
    static float sets[] = {3, 5, NAN};
    struct tensor members = {.dtype = DT_F32, .shape = DIMS(3), .data = sets};
    op_case_attr(&c, "membership_values", ATTR_TENSOR)->tensor = &members;
    op_case_ints(&c, "nodes_missing_value_tracks_true", 2, (int64_t[]){1, 0});
    op_case_in(&c, T_F32(DIMS(3, 2), 5, 5, 5, 4, NAN, 0));
    op_case_out(&c, T_F32(DIMS(3, 2), 20, 0, 0, 40, 10, 0));
    op_case_check(&c);
}

static void forests_are_hostile(void **state) {
    (void)state;
    static const struct {
        uint8_t mode;
        int64_t target, next;
        enum code code;
        const char *text;
    } wrong[] = {{9, 1, 1, ERR_FORMAT, "node 1 has mode 9"},
                 {0, 7, 1, ERR_FORMAT, "leaf_targetids[2] is 7"},
                 {0, 1, 5, ERR_FORMAT, "node 0 leads to 5 of 2"},
                 {0, 1, 0, ERR_INVALID, "in a circle"}};
    for (int k = 0; k < 4; k++) {
        struct op_case c = forest(wrong[k].mode, 2, wrong[k].target, wrong[k].next);
        op_case_in(&c, T_F32(DIMS(1, 2), 5, 5));
        op_case_out(&c, T_F32(DIMS(1, 2), 0, 0));
        op_case_refuse(&c, wrong[k].code, wrong[k].text);
    }
    struct op_case narrow = forest(0, 2, 1, 1);
    op_case_in(&narrow, T_F32(DIMS(1, 1), 5));
    op_case_out(&narrow, T_F32(DIMS(1, 2), 0, 0));
    op_case_refuse(&narrow, ERR_INVALID, "asks for feature 1 of 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode),
        cmocka_unit_test(set_membership_and_missing_values),
        cmocka_unit_test(forests_are_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
