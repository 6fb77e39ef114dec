/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of tokenizer. */
#include "op/tokenizer.c"

#include "op_case.h"

static struct op_case begin(int64_t mark, int64_t least) {
    struct op_case c = op_case("tokenizer", 1);
    op_case_int(&c, "mark", mark);
    op_case_int(&c, "mincharnum", least);
    op_case_str(&c, "pad_value", "#");
    return c;
}

static void separated(void **state) {
    (void)state;
    struct op_case c = begin(1, 2);
    op_case_strs(&c, "separators", 2, (struct str[]){LIT("\\s+"), LIT(",|;")});
    op_case_in(&c, T_STR(DIMS(3), LIT("a bc  def,gh"), LIT(";"), LIT("ij")));
    op_case_out(&c, T_STR(DIMS(3, 5), LIT("\x02"), LIT("bc"), LIT("def"), LIT("gh"), LIT("\x03"),
                          LIT("\x02"), LIT("\x03"), LIT("#"), LIT("#"), LIT("#"), LIT("\x02"),
                          LIT("ij"), LIT("\x03"), LIT("#"), LIT("#")));
    op_case_check(&c);
}

static void matched(void **state) {
    (void)state;
    struct op_case c = begin(0, 1);
    op_case_str(&c, "tokenexp", "\\ba|aa|aaa");
    op_case_in(&c, T_STR(DIMS(1, 2), LIT("aaaaa aa"), LIT("xa")));
    op_case_out(
        &c, T_STR(DIMS(1, 2, 3), LIT("aaa"), LIT("aa"), LIT("aa"), LIT("#"), LIT("#"), LIT("#")));
    op_case_check(&c);
}

static void characters(void **state) {
    (void)state;
    struct op_case c = begin(0, 1);
    op_case_str(&c, "tokenexp", ".");
    op_case_in(&c, T_STR(DIMS(2), LIT("a\xc3\xb1"), LIT("\xff")));
    op_case_out(&c, T_STR(DIMS(2, 2), LIT("a"), LIT("\xc3\xb1"), LIT("\xff"), LIT("#")));
    op_case_check(&c);
}

static void nothing(void **state) {
    (void)state;
    struct op_case c = begin(1, 1);
    op_case_str(&c, "tokenexp", "x*"); /* of nothing: no match */
    op_case_in(&c, T_STR(DIMS(2), LIT(""), LIT("abc")));
    op_case_out(&c, (struct tensor){.dtype = DT_STRING, .shape = DIMS(2, 0)});
    op_case_check(&c);
    struct op_case both = begin(0, 1);
    op_case_in(&both, T_STR(DIMS(1), LIT("a")));
    op_case_out(&both, T_STR(DIMS(1), LIT("a")));
    op_case_refuse(&both, ERR_INVALID, "either separators or tokenexp");
    struct op_case bad = begin(0, 1);
    op_case_str(&bad, "tokenexp", "(");
    op_case_in(&bad, T_STR(DIMS(1), LIT("a")));
    op_case_out(&bad, T_STR(DIMS(1), LIT("a")));
    op_case_refuse(&bad, ERR_INVALID, "tokenizer");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(separated), cmocka_unit_test(matched),
                                       cmocka_unit_test(characters), cmocka_unit_test(nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
