/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of n_gram_repeat_block. */
#include "op/repeat.c"

#include "op_case.h"

static struct op_case block(int64_t size) {
    struct op_case c = op_case("n_gram_repeat_block", 1);
    op_case_int(&c, "ngram_size", size);
    return c;
}

static void what_would_repeat_is_blocked(void **state) {
    (void)state;
    struct op_case two = block(2), one = block(1), longer = block(9);
    struct op_case *each[] = {&two, &one, &longer};
    for (int k = 0; k < 3; k++) {
        op_case_in(each[k], T_I64(DIMS(2, 4), 1, 0, 2, 1, 3, 3, 3, 3));
        op_case_in(each[k], T_F32(DIMS(2, 4), 1, 2, 3, 4, 5, 6, 7, 8));
    }
    op_case_out(&two, T_F32(DIMS(2, 4), -INFINITY, 2, 3, 4, 5, 6, 7, -INFINITY));
    op_case_check(&two);
    op_case_out(&one, T_F32(DIMS(2, 4), -INFINITY, -INFINITY, -INFINITY, 4, 5, 6, 7, -INFINITY));
    op_case_check(&one);
    op_case_out(&longer, T_F32(DIMS(2, 4), 1, 2, 3, 4, 5, 6, 7, 8));
    op_case_check(&longer);
}

static void refuses(void **state) {
    (void)state;
    struct op_case none = block(0), far = block(1);
    struct op_case *both[] = {&none, &far};
    for (int k = 0; k < 2; k++) {
        op_case_in(both[k], T_I64(DIMS(1, 1), 4));
        op_case_in(both[k], T_F32(DIMS(1, 4), 1, 2, 3, 4));
        op_case_out(both[k], T_F32(DIMS(1, 4), 1, 2, 3, 4));
    }
    op_case_refuse(&none, ERR_INVALID, "ngram_size must be 1 or more");
    op_case_refuse(&far, ERR_INVALID, "token 4 of a vocabulary of 4");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_would_repeat_is_blocked),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
