/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of murmur_hash3: published vectors of MurmurHash3_x86_32, and numbers by their bytes. */
#include "op/hash.c"

#include "op_case.h"

#define T_U32(dims, ...) T_OF(DT_U32, uint32_t, dims, __VA_ARGS__)

static void texts(void **state) {
    (void)state;
    struct op_case c = op_case("murmur_hash3", 1), seeded = op_case("murmur_hash3", 1);
    op_case_in(&c, T_STR(DIMS(4), LIT(""), LIT("test"), LIT("Hello, world!"), LIT("abc")));
    op_case_out(&c, T_U32(DIMS(4), 0, 0xba6bd213, 0xc0363e43, 0xb3dd93fa));
    op_case_check(&c);
    op_case_int(&seeded, "seed", 0x9747b28c);
    op_case_in(&seeded, T_STR(DIMS(6), LIT(""), LIT("a"), LIT("aa"), LIT("abc"), LIT("aaaa"),
                              LIT("Hello, world!")));
    op_case_out(&seeded, T_U32(DIMS(6), 0xebb6c228, 0x7fa09ea6, 0x5d211726, 0xc84a62dd, 0x5a97808a,
                               0x24884cba));
    op_case_check(&seeded);
}

/* A number is the text of its bytes. */
static void numbers(void **state) {
    (void)state;
    struct op_case c = op_case("murmur_hash3", 1), wide = op_case("murmur_hash3", 1);
    op_case_in(&c, T_I32(DIMS(1, 1), 0x74736574)); /* "test" */
    op_case_out(&c, T_U32(DIMS(1, 1), 0xba6bd213));
    op_case_check(&c);
    op_case_int(&wide, "positive", 0);
    op_case_in(&wide, T_I64(DIMS(1), 0)); /* eight zeros */
    op_case_out(&wide, T_I32(DIMS(1), 0x63852afc));
    op_case_check(&wide);
}

static void refuses(void **state) {
    (void)state;
    struct op_case c = op_case("murmur_hash3", 1);
    op_case_in(&c, T_U8(DIMS(1), 1));
    op_case_out(&c, T_U32(DIMS(1), 1));
    op_case_refuse(&c, ERR_INVALID, "elements of type u8");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(numbers),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
