/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of zip_map, dict_vectorizer and cast_map. */
#include "op/maps.c"

#include "op_case.h"

/* A map of two lists; the case keeps it. */
static struct tensor map(struct op_case *c, struct tensor keys, struct tensor values) {
    struct tensor sides[] = {op_case_tensor(c, keys), op_case_tensor(c, values)};
    struct sequence s = {.n = 2, .items = op_case_keep(c, sides, sizeof sides), .map = true};
    return (struct tensor){.dtype = DT_SEQUENCE, .data = op_case_keep(c, &s, sizeof s)};
}

static void a_map_per_row(void **state) {
    (void)state;
    struct op_case c = op_case("zip_map", 1), n = op_case("zip_map", 1);
    const struct str words[] = {LIT("a"), LIT("b")};
    op_case_strs(&c, "classlabels_strings", 2, words);
    op_case_in(&c, T_F32(DIMS(2, 2), 1, 2, 3, 4));
    struct tensor keys = T_STR(DIMS(2), LIT("a"), LIT("b"));
    struct tensor maps[] = {map(&c, keys, T_F32(DIMS(2), 1, 2)),
                            map(&c, keys, T_F32(DIMS(2), 3, 4))};
    struct sequence all = {.n = 2, .items = maps};
    op_case_out(&c, (struct tensor){.dtype = DT_SEQUENCE, .data = &all});
    op_case_check(&c);
    op_case_ints(&n, "classlabels_int64s", 1, (int64_t[]){5});
    op_case_in(&n, T_F32(DIMS(1), 9)); /* one row */
    struct tensor one[] = {map(&n, T_I64(DIMS(1), 5), T_F32(DIMS(1), 9))};
    struct sequence single = {.n = 1, .items = one};
    op_case_out(&n, (struct tensor){.dtype = DT_SEQUENCE, .data = &single});
    op_case_run(&n);
    const struct sequence *got = n.got[0].data;
    assert_int_equal(got->n, 1);
    assert_false(got->map);
    assert_true(((const struct sequence *)got->items[0].data)->map);
    arena_deinit(&n.arena);
}

static void columns_are_labels(void **state) {
    (void)state;
    struct op_case c = op_case("zip_map", 1);
    op_case_ints(&c, "classlabels_int64s", 1, (int64_t[]){5});
    op_case_in(&c, T_F32(DIMS(1, 2), 1, 2));
    op_case_out(&c, (struct tensor){.dtype = DT_SEQUENCE});
    op_case_refuse(&c, ERR_INVALID, "2 columns for 1 labels");
}

static void words_to_columns(void **state) {
    (void)state;
    struct op_case c = op_case("dict_vectorizer", 1), n = op_case("dict_vectorizer", 1),
                   no = op_case("dict_vectorizer", 1);
    op_case_strs(&c, "string_vocabulary", 3, (struct str[]){LIT("a"), LIT("b"), LIT("c")});
    op_case_in(&c, map(&c, T_STR(DIMS(2), LIT("z"), LIT("b")), T_F32(DIMS(2), 9, 2)));
    op_case_out(&c, T_F32(DIMS(1, 3), 0, 2, 0));
    op_case_check(&c);
    op_case_ints(&n, "int64_vocabulary", 2, (int64_t[]){-1, 1});
    op_case_in(&n, map(&n, T_I64(DIMS(1), -1), T_STR(DIMS(1), LIT("low"))));
    op_case_out(&n, T_STR(DIMS(1, 2), LIT("low"), LIT("")));
    op_case_check(&n);
    op_case_ints(&no, "int64_vocabulary", 1, (int64_t[]){1});
    op_case_in(&no, T_F32(DIMS(1), 1));
    op_case_out(&no, T_F32(DIMS(1, 1), 0));
    op_case_refuse(&no, ERR_INVALID, "the input is not a map");
}

static struct op_case cast(const char *to, const char *form, int64_t most) {
    struct op_case c = op_case("cast_map", 1);
    op_case_str(&c, "cast_to", to);
    op_case_str(&c, "map_form", form);
    op_case_int(&c, "max_map", most);
    return c;
}

static void keys_in_order(void **state) {
    (void)state;
    struct op_case c = cast("TO_FLOAT", "DENSE", 1), s = cast("TO_INT64", "SPARSE", 4),
                   t = cast("TO_STRING", "DENSE", INT64_MAX);
    op_case_in(&c,
               map(&c, T_I64(DIMS(3), 30, -2, 7), T_STR(DIMS(3), LIT("3"), LIT("1.5"), LIT("x"))));
    op_case_out(&c, T_F32(DIMS(1, 3), 1.5F, 0, 3));
    op_case_check(&c);
    op_case_in(&s, map(&s, T_I64(DIMS(2), 3, 1), T_F32(DIMS(2), 8, 9)));
    op_case_out(&s, T_I64(DIMS(1, 4), 0, 9, 0, 8));
    op_case_check(&s);
    op_case_in(&t, map(&t, T_I64(DIMS(1), 0), T_F32(DIMS(1), 0.5F)));
    op_case_out(&t, T_STR(DIMS(1, 1), LIT("0.500000")));
    op_case_check(&t);
}

/* The longest number written out has more than 300 digits. */
static void a_long_number(void **state) {
    (void)state;
    struct op_case c = cast("TO_STRING", "DENSE", 1);
    op_case_in(&c, map(&c, T_I64(DIMS(1), 0), T_F64(DIMS(1), -1.7e308)));
    op_case_out(&c, T_STR(DIMS(1, 1), LIT("")));
    op_case_run(&c);
    struct str s = *(const struct str *)c.got[0].data;
    assert_int_equal(s.n, 1 + 309 + 7);
    assert_memory_equal(s.p + s.n - 7, ".000000", 7);
    arena_deinit(&c.arena);
}

static void keys_outside(void **state) {
    (void)state;
    struct op_case high = cast("TO_FLOAT", "SPARSE", 2), low = cast("TO_FLOAT", "SPARSE", 2);
    op_case_in(&high, map(&high, T_I64(DIMS(1), 2), T_F32(DIMS(1), 1)));
    op_case_out(&high, T_F32(DIMS(1, 2), 0, 0));
    op_case_refuse(&high, ERR_INVALID, "key 2, max_map is 2");
    op_case_in(&low, map(&low, T_I64(DIMS(1), -1), T_F32(DIMS(1), 1)));
    op_case_out(&low, T_F32(DIMS(1, 2), 0, 0));
    op_case_refuse(&low, ERR_INVALID, "key -1, max_map is 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_per_row),    cmocka_unit_test(columns_are_labels),
        cmocka_unit_test(words_to_columns), cmocka_unit_test(keys_in_order),
        cmocka_unit_test(a_long_number),    cmocka_unit_test(keys_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
