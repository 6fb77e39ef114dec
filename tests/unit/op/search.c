/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of non_zero, unique, top_k. */
#include "op/search.c"

#include "op_case.h"

static void non_zero_lists_coordinates(void **state) {
    (void)state;
    struct op_case c = op_case("non_zero", 13), scalar = op_case("non_zero", 13),
                   none = op_case("non_zero", 13);
    op_case_in(&c, T_F32(DIMS(2, 2), 1, 0, -0.0F, NAN));
    op_case_out(&c, T_I64(DIMS(2, 2), 0, 1, 0, 1));
    op_case_check(&c);
    op_case_in(&scalar, T_BOOL(SCALAR, 1));
    op_case_out(&scalar, T_I64(DIMS(1, 1), 0));
    op_case_check(&scalar);
    op_case_in(&none, T_I32(DIMS(3), 0, 0, 0));
    op_case_out(&none, T_EMPTY(DT_I64, DIMS(1, 0)));
    op_case_check(&none);
}

static void unique_of_a_list(void **state) {
    (void)state;
    for (int sorted = 0; sorted < 2; sorted++) {
        struct op_case c = op_case("unique", 11);
        op_case_int(&c, "sorted", sorted);
        op_case_in(&c, T_F32(DIMS(6), 2, 1, 1, 3, 4, 3));
        if (sorted) {
            op_case_out(&c, T_F32(DIMS(4), 1, 2, 3, 4));
            op_case_out(&c, T_I64(DIMS(4), 1, 0, 3, 4));
            op_case_out(&c, T_I64(DIMS(6), 1, 0, 0, 2, 3, 2));
            op_case_out(&c, T_I64(DIMS(4), 2, 1, 2, 1));
        } else {
            op_case_out(&c, T_F32(DIMS(4), 2, 1, 3, 4));
            op_case_out(&c, T_I64(DIMS(4), 0, 1, 3, 4));
            op_case_out(&c, T_I64(DIMS(6), 0, 1, 1, 2, 3, 2));
            op_case_out(&c, T_I64(DIMS(4), 1, 2, 2, 1));
        }
        op_case_check(&c);
    }
}

static void unique_along_an_axis(void **state) {
    (void)state;
    struct op_case c = op_case("unique", 11), text = op_case("unique", 11),
                   none = op_case("unique", 11);
    op_case_int(&c, "axis", -1);
    op_case_in(&c, T_I64(DIMS(2, 3), 1, 0, 1, 2, 3, 2));
    op_case_out(&c, T_I64(DIMS(2, 2), 0, 1, 3, 2));
    op_case_out(&c, T_ABSENT);
    op_case_out(&c, T_I64(DIMS(3), 1, 0, 1));
    op_case_check(&c);
    op_case_in(&text, T_STR(DIMS(3), LIT("b"), LIT("a"), LIT("b")));
    op_case_out(&text, T_STR(DIMS(2), LIT("a"), LIT("b")));
    op_case_check(&text);
    op_case_in(&none, T_EMPTY(DT_F32, DIMS(0)));
    op_case_out(&none, T_EMPTY(DT_F32, DIMS(0)));
    op_case_out(&none, T_EMPTY(DT_I64, DIMS(0)));
    op_case_check(&none);
}

static void top_k_orders(void **state) {
    (void)state;
    struct op_case c = op_case("top_k", 11), small = op_case("top_k", 11),
                   old = op_case("top_k", 1);
    op_case_in(&c, T_F32(DIMS(2, 4), 0, 3, 3, 1, -1, -2, -1, -4));
    op_case_in(&c, T_I64(DIMS(1), 3));
    op_case_out(&c, T_F32(DIMS(2, 3), 3, 3, 1, -1, -1, -2));
    op_case_out(&c, T_I64(DIMS(2, 3), 1, 2, 3, 0, 2, 1));
    op_case_check(&c);
    op_case_int(&small, "axis", 0);
    op_case_int(&small, "largest", 0);
    op_case_in(&small, T_I64(DIMS(3, 2), 1, INT64_MAX, 2, INT64_MAX - 1, 0, INT64_MIN));
    op_case_in(&small, T_I64(DIMS(1), 2));
    op_case_out(&small, T_I64(DIMS(2, 2), 0, INT64_MIN, 1, INT64_MAX - 1));
    op_case_out(&small, T_I64(DIMS(2, 2), 2, 2, 0, 1));
    op_case_check(&small);
    op_case_int(&old, "k", 1);
    op_case_in(&old, T_F32(DIMS(3), 1, NAN, 2));
    op_case_out(&old, T_F32(DIMS(1), NAN));
    op_case_out(&old, T_I64(DIMS(1), 1));
    op_case_check(&old);
}

static void top_k_agrees_with_sorting(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 127};
    for (int s = 0; s < 10; s++)
        for (int64_t k = 0; k <= sizes[s]; k += sizes[s] > 17 ? 9 : 1) {
            struct op_case c = op_case("top_k", 11);
            struct tensor in = op_case_random(&c, DT_I32, DIMS(sizes[s]), (uint64_t)s);
            const int32_t *v = in.data;
            int32_t *values = op_case_keep(&c, v, (size_t)sizes[s] * 4);
            int64_t *order = arena_push(&c.arena, 8 * 128);
            for (int64_t i = 0; i < sizes[s]; i++) { /* insertion, stable */
                int64_t at = i;
                for (; at > 0 && v[order[at - 1]] < v[i]; at--)
                    order[at] = order[at - 1];
                order[at] = i;
            }
            for (int64_t i = 0; i < k; i++)
                values[i] = v[order[i]];
            op_case_in(&c, in);
            op_case_in(&c, T_I64(DIMS(1), k));
            op_case_out(&c, (struct tensor){.dtype = DT_I32, .shape = DIMS(k), .data = values});
            op_case_out(&c, (struct tensor){.dtype = DT_I64, .shape = DIMS(k), .data = order});
            op_case_check(&c);
        }
    struct op_case wrong = op_case("top_k", 11);
    op_case_in(&wrong, T_F32(DIMS(2), 1, 2));
    op_case_in(&wrong, T_I64(DIMS(1), 3));
    op_case_out(&wrong, T_F32(DIMS(2), 1, 2));
    op_case_refuse(&wrong, ERR_INVALID, "k is 3 for an axis of 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(non_zero_lists_coordinates), cmocka_unit_test(unique_of_a_list),
        cmocka_unit_test(unique_along_an_axis),       cmocka_unit_test(top_k_orders),
        cmocka_unit_test(top_k_agrees_with_sorting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
