/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the string operators. */
#include "op/text.c"

#include "op_case.h"

static void concat_broadcasts(void **state) {
    (void)state;
    struct op_case c = op_case("string_concat", 20), wrong = op_case("string_concat", 20);
    op_case_in(&c, T_STR(DIMS(2, 1), LIT("a"), LIT("")));
    op_case_in(&c, T_STR(DIMS(2), LIT("x"), LIT("\xc3\xa9")));
    op_case_out(&c, T_STR(DIMS(2, 2), LIT("ax"), LIT("a\xc3\xa9"), LIT("x"), LIT("\xc3\xa9")));
    op_case_check(&c);
    op_case_in(&wrong, T_STR(DIMS(2), LIT("a"), LIT("b")));
    op_case_in(&wrong, T_STR(DIMS(3), LIT("a"), LIT("b"), LIT("c")));
    op_case_out(&wrong, T_STR(DIMS(1), LIT("")));
    op_case_refuse(&wrong, ERR_INVALID, "do not broadcast");
}

static void check_split(const char *delimiter, int64_t most, struct str text, int n,
                        const struct str *want) {
    struct op_case c = op_case("string_split", 20);
    if (delimiter)
        op_case_str(&c, "delimiter", delimiter);
    if (most >= 0)
        op_case_int(&c, "maxsplit", most);
    op_case_in(&c, T_STR(DIMS(1), text));
    op_case_out(&c, (struct tensor){.dtype = DT_STRING,
                                    .shape = DIMS(1, n),
                                    .data = (struct str *)(uintptr_t)want});
    op_case_out(&c, T_I64(DIMS(1), n));
    op_case_check(&c);
}

static void split_as_python_does(void **state) {
    (void)state;
    check_split(NULL, -1, LIT("  a b\t c  "), 3, (struct str[]){LIT("a"), LIT("b"), LIT("c")});
    check_split(NULL, 1, LIT(" a  b c "), 2, (struct str[]){LIT("a"), LIT("b c ")});
    check_split(NULL, -1, LIT("   "), 0, NULL);
    check_split(",", -1, LIT("a,,b"), 3, (struct str[]){LIT("a"), LIT(""), LIT("b")});
    check_split(",", -1, LIT(""), 1, (struct str[]){LIT("")});
    check_split(",", -1, LIT("a,"), 2, (struct str[]){LIT("a"), LIT("")});
    check_split("--", 1, LIT("a--b--c"), 2, (struct str[]){LIT("a"), LIT("b--c")});
    check_split("abc", -1, LIT("ab"), 1, (struct str[]){LIT("ab")});
}

static void normalizer_drops_and_changes(void **state) {
    (void)state;
    struct op_case c = op_case("string_normalizer", 10), all = op_case("string_normalizer", 10),
                   case_matters = op_case("string_normalizer", 10);
    op_case_str(&c, "case_change_action", "UPPER");
    op_case_strs(&c, "stopwords", 1, (struct str[]){LIT("MONDAY")});
    op_case_in(&c, T_STR(DIMS(1, 3), LIT("monday"),
                         LIT("stra\xc3\x9f"
                             "e"),
                         LIT("\xce\xb1\xd1\x8f\xc4\x81")));
    op_case_out(&c, T_STR(DIMS(1, 2),
                          LIT("STRA\xc3\x9f"
                              "E"),
                          LIT("\xce\x91\xd0\xaf\xc4\x80")));
    op_case_check(&c);
    op_case_strs(&all, "stopwords", 1, (struct str[]){LIT("a")});
    op_case_in(&all, T_STR(DIMS(2), LIT("a"), LIT("A")));
    op_case_out(&all, T_STR(DIMS(1), LIT("")));
    op_case_check(&all);
    op_case_int(&case_matters, "is_case_sensitive", 1);
    op_case_strs(&case_matters, "stopwords", 1, (struct str[]){LIT("a")});
    op_case_in(&case_matters, T_STR(DIMS(2), LIT("a"), LIT("A\xff")));
    op_case_out(&case_matters, T_STR(DIMS(1), LIT("A\xff")));
    op_case_check(&case_matters);
}

static void full_match(void **state) {
    (void)state;
    struct op_case c = op_case("regex_full_match", 20), wrong = op_case("regex_full_match", 20);
    op_case_str(&c, "pattern", "\\d+");
    op_case_in(&c, T_STR(DIMS(3), LIT("12"), LIT("1a"), LIT("")));
    op_case_out(&c, T_BOOL(DIMS(3), 1, 0, 0));
    op_case_check(&c);
    op_case_str(&wrong, "pattern", "(");
    op_case_in(&wrong, T_STR(DIMS(1), LIT("")));
    op_case_out(&wrong, T_BOOL(DIMS(1), 0));
    op_case_refuse(&wrong, ERR_INVALID, "node 'case'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(concat_broadcasts),
        cmocka_unit_test(split_as_python_does),
        cmocka_unit_test(normalizer_drops_and_changes),
        cmocka_unit_test(full_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
