/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of tree_ensemble_classifier and _regressor; many more are in tests/golden/test_classic.py.
 */
#include "op/tree_classic.c"

#include "op_case.h"

#include <math.h>

static struct str words[] = {{"BRANCH_LEQ", 10}, {"LEAF", 4}, {"LEAF", 4}};

/* x0 <= 1 ? leaf 1 : leaf 2, in one tree. */
static struct op_case stump(const char *op, int64_t yes, int64_t no) {
    struct op_case c = op_case(op, 3);
    op_case_ints(&c, "nodes_treeids", 3, (int64_t[]){7, 7, 7});
    op_case_ints(&c, "nodes_nodeids", 3, (int64_t[]){0, 1, 2});
    op_case_ints(&c, "nodes_featureids", 3, (int64_t[]){0, 0, 0});
    op_case_ints(&c, "nodes_truenodeids", 3, (int64_t[]){yes, 0, 0});
    op_case_ints(&c, "nodes_falsenodeids", 3, (int64_t[]){no, 0, 0});
    op_case_floats(&c, "nodes_values", 3, (float[]){1, 0, 0});
    op_case_strs(&c, "nodes_modes", 3, words);
    return c;
}

static void regressor(void **state) {
    (void)state;
    struct op_case c = stump("tree_ensemble_regressor", 1, 2);
    op_case_ints(&c, "target_treeids", 3, (int64_t[]){7, 7, 7});
    op_case_ints(&c, "target_nodeids", 3, (int64_t[]){2, 1, 2});
    op_case_ints(&c, "target_ids", 3, (int64_t[]){0, 1, 1});
    op_case_floats(&c, "target_weights", 3, (float[]){3, 5, 7});
    op_case_floats(&c, "base_values", 2, (float[]){100, 200});
    op_case_int(&c, "n_targets", 2);
    op_case_in(&c, T_F32(DIMS(3, 1), 1, 2, NAN));
    op_case_out(&c, T_F32(DIMS(3, 2), 100, 205, 103, 207, 103, 207));
    op_case_check(&c);
}

static void binary_classifier(void **state) {
    (void)state;
    struct op_case c = stump("tree_ensemble_classifier", 1, 2);
    op_case_ints(&c, "class_treeids", 2, (int64_t[]){7, 7});
    op_case_ints(&c, "class_nodeids", 2, (int64_t[]){1, 2});
    op_case_ints(&c, "class_ids", 2, (int64_t[]){0, 0});
    op_case_floats(&c, "class_weights", 2, (float[]){0.25F, 0.75F});
    op_case_ints(&c, "classlabels_int64s", 2, (int64_t[]){30, 40});
    op_case_in(&c, T_F32(DIMS(2, 1), 0, 9));
    op_case_out(&c, T_I64(DIMS(2), 30, 40));
    op_case_out(&c, T_F32(DIMS(2, 2), 0.75F, 0.25F, 0.25F, 0.75F));
    op_case_check(&c);
}

static void refuse(int64_t yes, int64_t no, int64_t leaf, int64_t target, enum code code,
                   const char *why) {
    struct op_case c = stump("tree_ensemble_regressor", yes, no);
    op_case_ints(&c, "target_treeids", 1, (int64_t[]){7});
    op_case_ints(&c, "target_nodeids", 1, &leaf);
    op_case_ints(&c, "target_ids", 1, &target);
    op_case_floats(&c, "target_weights", 1, (float[]){3});
    op_case_in(&c, T_F32(DIMS(1, 1), 1));
    op_case_out(&c, T_F32(DIMS(1, 1), 0));
    op_case_refuse(&c, code, why);
}

static void hostile_forests(void **state) {
    (void)state;
    refuse(1, 9, 1, 0, ERR_FORMAT, "has no node 9");
    refuse(1, 2, 5, 0, ERR_FORMAT, "has no node 5");
    refuse(1, 2, 1, 1, ERR_FORMAT, "gives to 1 of 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(regressor),
                                       cmocka_unit_test(binary_classifier),
                                       cmocka_unit_test(hostile_forests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
