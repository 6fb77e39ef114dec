/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the shape operators. */
#include "op/shape.c"

#include "op_case.h"

#define SIX 1, 2, 3, 4, 5, 6

static void reshape_case(int opset, struct tensor want, bool allow_zero, struct shape in,
                         struct shape out) {
    struct op_case c = op_case("reshape", opset);
    if (allow_zero)
        op_case_int(&c, "allowzero", 1);
    size_t n;
    assert_true(shape_count(&out, &n));
    op_case_in(&c, n ? T_F32(in, SIX) : T_EMPTY(DT_F32, in));
    op_case_in(&c, want);
    op_case_out(&c, n ? T_F32(out, SIX) : T_EMPTY(DT_F32, out));
    op_case_check(&c);
}

static void reshape_follows_its_list(void **state) {
    (void)state;
    reshape_case(13, T_I64(DIMS(2), 3, 2), false, DIMS(2, 3), DIMS(3, 2));
    reshape_case(13, T_I64(DIMS(2), -1, 2), false, DIMS(2, 3), DIMS(3, 2));
    reshape_case(13, T_I64(DIMS(3), 0, -1, 1), false, DIMS(2, 3), DIMS(2, 3, 1));
    reshape_case(14, T_I64(DIMS(2), 0, 5), true, DIMS(0, 3), DIMS(0, 5));
    reshape_case(14, T_I64(DIMS(2), 0, -1), false, DIMS(0, 3), DIMS(0, 0));
}

static void reshape_takes_an_attribute_before_5(void **state) {
    (void)state;
    struct op_case c = op_case("reshape", 1);
    op_case_ints(&c, "shape", 2, (int64_t[]){3, 2});
    op_case_in(&c, T_F32(DIMS(6), SIX));
    op_case_out(&c, T_F32(DIMS(3, 2), SIX));
    op_case_check(&c);
}

static void reshape_refuses(void **state) {
    (void)state;
    static const struct {
        int64_t want[2];
        const char *text;
    } wrong[] = {{{4, 2}, "cannot view [2,3] as [4,2]"},
                 {{-1, -1}, "dim 1"},
                 {{4, -1}, "do not divide"},
                 {{-5, 2}, "dim 0"}};
    for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
        struct op_case c = op_case("reshape", 13);
        op_case_in(&c, T_F32(DIMS(2, 3), SIX));
        op_case_in(&c, T_I64(DIMS(2), wrong[k].want[0], wrong[k].want[1]));
        op_case_out(&c, T_F32(DIMS(6), SIX));
        op_case_refuse(&c, ERR_INVALID, wrong[k].text);
    }
}

static void a_missing_operand_is_named(void **state) {
    (void)state;
    struct op_case c = op_case("reshape", 13);
    op_case_in(&c, T_F32(DIMS(6), SIX));
    op_case_out(&c, T_F32(DIMS(6), SIX));
    op_case_refuse(&c, ERR_FORMAT, "node 'case' (reshape): input 1 is missing");
}

static void flatten_joins_around_its_axis(void **state) {
    (void)state;
    static const int64_t axes[] = {0, 1, 2, 3, -1, -3};
    struct shape want[] = {DIMS(1, 24), DIMS(2, 12), DIMS(6, 4),
                           DIMS(24, 1), DIMS(6, 4),  DIMS(1, 24)};
    for (int k = 0; k < 6; k++) {
        struct op_case c = op_case("flatten", 13);
        op_case_int(&c, "axis", axes[k]);
        struct tensor t = op_case_random(&c, DT_F32, DIMS(2, 3, 4), 1);
        op_case_in(&c, t);
        t.shape = want[k];
        op_case_out(&c, t);
        op_case_check(&c);
    }
}

static void squeeze_and_unsqueeze(void **state) {
    (void)state;
    for (int opset = 11; opset <= 13; opset += 2) { /* attribute, then input */
        struct op_case c = op_case("squeeze", opset), back = op_case("unsqueeze", opset);
        op_case_in(&c, T_F32(DIMS(1, 6, 1), SIX));
        op_case_in(&back, T_F32(DIMS(6), SIX));
        if (opset < 13) {
            op_case_ints(&c, "axes", 1, (int64_t[]){-1});
            op_case_ints(&back, "axes", 2, (int64_t[]){0, -1});
        } else {
            op_case_in(&c, T_I64(DIMS(1), -1));
            op_case_in(&back, T_I64(DIMS(2), 0, -1));
        }
        op_case_out(&c, T_F32(DIMS(1, 6), SIX));
        op_case_out(&back, T_F32(DIMS(1, 6, 1), SIX));
        op_case_check(&c);
        op_case_check(&back);
    }
    struct op_case all = op_case("squeeze", 13);
    op_case_in(&all, T_F32(DIMS(1, 6, 1), SIX));
    op_case_out(&all, T_F32(DIMS(6), SIX));
    op_case_check(&all);
    struct op_case wrong = op_case("squeeze", 13);
    op_case_in(&wrong, T_F32(DIMS(1, 6), SIX));
    op_case_in(&wrong, T_I64(DIMS(1), 1));
    op_case_out(&wrong, T_F32(DIMS(1), 1));
    op_case_refuse(&wrong, ERR_INVALID, "axis 1 to be squeezed has 6 elements");
}

static void shape_and_size(void **state) {
    (void)state;
    struct op_case c = op_case("shape", 15), part = op_case("shape", 15),
                   size = op_case("size", 13);
    op_case_in(&c, T_F32(DIMS(2, 3), SIX));
    op_case_out(&c, T_I64(DIMS(2), 2, 3));
    op_case_check(&c);
    op_case_int(&part, "start", -1);
    op_case_int(&part, "end", 9);
    op_case_in(&part, T_F32(DIMS(2, 3), SIX));
    op_case_out(&part, T_I64(DIMS(1), 3));
    op_case_check(&part);
    op_case_in(&size, T_F32(DIMS(2, 3), SIX));
    op_case_out(&size, T_I64(SCALAR, 6));
    op_case_check(&size);
}

static void expand_repeats(void **state) {
    (void)state;
    struct op_case c = op_case("expand", 13);
    op_case_in(&c, T_I16(DIMS(2, 1), 1, 2));
    op_case_in(&c, T_I64(DIMS(3), 2, 1, 3));
    op_case_out(&c, T_I16(DIMS(2, 2, 3), 1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2));
    op_case_check(&c);
    struct op_case wrong = op_case("expand", 13);
    op_case_in(&wrong, T_F32(DIMS(2), 1, 2));
    op_case_in(&wrong, T_I64(DIMS(1), 3));
    op_case_out(&wrong, T_F32(DIMS(3), 1, 1, 1));
    op_case_refuse(&wrong, ERR_INVALID, "cannot expand [2] to [3]");
    struct op_case bomb = op_case("expand", 13);
    op_case_in(&bomb, T_F32(DIMS(1), 1));
    op_case_in(&bomb, T_I64(DIMS(2), INT64_C(1) << 40, INT64_C(1) << 40));
    op_case_out(&bomb, T_F32(DIMS(1), 1));
    op_case_refuse(&bomb, ERR_LIMIT, "too large");
}

static void tile_repeats_each_axis(void **state) {
    (void)state;
    struct op_case c = op_case("tile", 13);
    op_case_in(&c, T_U8(DIMS(2, 2), 1, 2, 3, 4));
    op_case_in(&c, T_I64(DIMS(2), 2, 2));
    op_case_out(&c, T_U8(DIMS(4, 4), 1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4));
    op_case_check(&c);
    struct op_case old = op_case("tile", 1);
    op_case_in(&old, T_F32(DIMS(1, 2), 1, 2));
    op_case_in(&old, T_F32(DIMS(1), 2));
    op_case_in(&old, T_F32(DIMS(1), 1));
    op_case_out(&old, T_F32(DIMS(1, 4), 1, 2, 1, 2));
    op_case_check(&old);
    struct op_case wrong = op_case("tile", 13);
    op_case_in(&wrong, T_F32(DIMS(2), 1, 2));
    op_case_in(&wrong, T_I64(DIMS(1), -1));
    op_case_out(&wrong, T_F32(DIMS(2), 1, 2));
    op_case_refuse(&wrong, ERR_INVALID, "repeats of axis 0: -1");
}

static void identity_changes_nothing(void **state) {
    (void)state;
    struct op_case c = op_case("identity", 21), text = op_case("identity", 13);
    op_case_in(&c, T_F32(DIMS(2, 3), SIX));
    op_case_out(&c, T_F32(DIMS(2, 3), SIX));
    op_case_check(&c);
    op_case_in(&text, T_STR(DIMS(2), LIT("a"), LIT("")));
    op_case_out(&text, T_STR(DIMS(2), LIT("a"), LIT("")));
    op_case_check(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reshape_follows_its_list),
        cmocka_unit_test(reshape_takes_an_attribute_before_5),
        cmocka_unit_test(reshape_refuses),
        cmocka_unit_test(a_missing_operand_is_named),
        cmocka_unit_test(flatten_joins_around_its_axis),
        cmocka_unit_test(squeeze_and_unsqueeze),
        cmocka_unit_test(shape_and_size),
        cmocka_unit_test(expand_repeats),
        cmocka_unit_test(tile_repeats_each_axis),
        cmocka_unit_test(identity_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
