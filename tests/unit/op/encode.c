/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of label_encoder, category_mapper and binarizer. */
#include "op/encode.c"

#include "op_case.h"

static void lists_of_keys_and_values(void **state) {
    (void)state;
    struct op_case c = op_case("label_encoder", 2), back = op_case("label_encoder", 2),
                   nan = op_case("label_encoder", 2);
    op_case_strs(&c, "keys_strings", 3, (struct str[]){LIT("b"), LIT("a"), LIT("b")});
    op_case_ints(&c, "values_int64s", 3, (int64_t[]){1, 2, 3});
    op_case_in(&c, T_STR(DIMS(3), LIT("a"), LIT("b"), LIT("?")));
    op_case_out(&c, T_I64(DIMS(3), 2, 1, -1));
    op_case_check(&c);
    op_case_ints(&back, "keys_int64s", 2, (int64_t[]){7, INT64_MIN});
    op_case_strs(&back, "values_strings", 2, (struct str[]){LIT("x"), LIT("y")});
    op_case_str(&back, "default_string", "none");
    op_case_in(&back, T_I64(DIMS(1, 3), INT64_MIN, 7, 8));
    op_case_out(&back, T_STR(DIMS(1, 3), LIT("y"), LIT("x"), LIT("none")));
    op_case_check(&back);
    op_case_floats(&nan, "keys_floats", 2, (float[]){NAN, 1});
    op_case_floats(&nan, "values_floats", 2, (float[]){5, 6});
    op_case_in(&nan, T_F32(DIMS(3), 1, NAN, 2));
    op_case_out(&nan, T_F32(DIMS(3), 6, 5, 0));
    op_case_check(&nan);
}

static void classes_of_opset_1(void **state) {
    (void)state;
    struct op_case c = op_case("label_encoder", 1), back = op_case("label_encoder", 1);
    struct op_case *both[] = {&c, &back};
    for (int k = 0; k < 2; k++)
        op_case_strs(both[k], "classes_strings", 2, (struct str[]){LIT("a"), LIT("b")});
    op_case_in(&c, T_STR(DIMS(2), LIT("b"), LIT("c")));
    op_case_out(&c, T_I64(DIMS(2), 1, -1));
    op_case_check(&c);
    op_case_in(&back, T_I64(DIMS(3), 1, 2, -1));
    op_case_out(&back, T_STR(DIMS(3), LIT("b"), LIT("_Unused"), LIT("_Unused")));
    op_case_check(&back);
}

static void lists_must_fit(void **state) {
    (void)state;
    struct op_case c = op_case("label_encoder", 2);
    op_case_ints(&c, "keys_int64s", 2, (int64_t[]){7, 8});
    op_case_ints(&c, "values_int64s", 1, (int64_t[]){7});
    op_case_in(&c, T_I64(DIMS(1), 7));
    op_case_out(&c, T_I64(DIMS(1), 7));
    op_case_refuse(&c, ERR_FORMAT, "2 keys of i64, 1 values of i64");
}

/* One list of names and one of numbers, read in the direction that the input asks for. */
static void categories_both_ways(void **state) {
    (void)state;
    struct op_case c = op_case("category_mapper", 1), back = op_case("category_mapper", 1);
    struct op_case *both[] = {&c, &back};
    for (int k = 0; k < 2; k++) {
        op_case_strs(both[k], "cats_strings", 2, (struct str[]){LIT("a"), LIT("b")});
        op_case_ints(both[k], "cats_int64s", 2, (int64_t[]){7, 8});
    }
    op_case_int(&c, "default_int64", -5);
    op_case_in(&c, T_STR(DIMS(3), LIT("b"), LIT("a"), LIT("c")));
    op_case_out(&c, T_I64(DIMS(3), 8, 7, -5));
    op_case_check(&c);
    op_case_in(&back, T_I64(DIMS(2), 7, 9));
    op_case_out(&back, T_STR(DIMS(2), LIT("a"), LIT("_Unused")));
    op_case_check(&back);
}

static void binarizer(void **state) {
    (void)state;
    struct op_case c = op_case("binarizer", 1);
    op_case_float(&c, "threshold", 1);
    op_case_in(&c, T_F32(DIMS(3), 0, 1, 2));
    op_case_out(&c, T_F32(DIMS(3), 0, 0, 1));
    op_case_check(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_keys_and_values), cmocka_unit_test(classes_of_opset_1),
        cmocka_unit_test(lists_must_fit),           cmocka_unit_test(binarizer),
        cmocka_unit_test(categories_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
