/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of transpose, over every permutation of up to four dims and sizes around the blocks of
 * stride.c. */
#include "op/transpose.c"

#include "op_case.h"

/* The definition, element by element. */
static struct tensor expected(struct op_case *c, const struct tensor *in, const int64_t *perm) {
    struct tensor out;
    struct err e;
    struct shape shape = {.rank = in->shape.rank};
    int64_t strides[SHAPE_MAX];
    for (int k = 0; k < shape.rank; k++)
        shape.dims[k] = in->shape.dims[perm[k]];
    assert_int_equal(tensor_new(&c->arena, in->dtype, &shape, &out, &e), OK);
    shape_strides(&in->shape, strides);
    size_t bytes = dtype_size(in->dtype);
    for (size_t k = 0; k < tensor_count(&out); k++) {
        size_t rest = k, from = 0;
        for (int d = shape.rank - 1; d >= 0; d--) {
            from += rest % (size_t)shape.dims[d] * (size_t)strides[perm[d]];
            rest /= (size_t)shape.dims[d];
        }
        memcpy((char *)out.data + k * bytes, (const char *)in->data + from * bytes, bytes);
    }
    return out;
}

static void check(enum dtype dtype, struct shape shape, const int64_t *perm) {
    struct op_case c = op_case("transpose", 13);
    struct tensor in = op_case_random(&c, dtype, shape, 7);
    op_case_ints(&c, "perm", (size_t)shape.rank, perm);
    op_case_in(&c, in);
    op_case_out(&c, expected(&c, &in, perm));
    op_case_check(&c);
}

static void every_permutation(void **state) {
    (void)state;
    struct shape shapes[] = {DIMS(3, 4, 5, 7), DIMS(1, 17, 1, 16), DIMS(2, 8, 4, 4),
                             DIMS(2, 0, 3, 4)};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int code = 0; code < 256; code++) {
            int64_t perm[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
            unsigned seen = 0;
            for (int k = 0; k < 4; k++)
                seen |= 1u << perm[k];
            if (seen == 15)
                check(DT_F32, shapes[s], perm);
        }
}

static void sizes_and_element_types(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 127};
    static const enum dtype types[] = {DT_U8, DT_F16, DT_F32, DT_I64};
    for (int a = 0; a < 10; a++)
        for (int b = 0; b < 10; b++) {
            check(types[(a + b) % 4], DIMS(sizes[a], sizes[b]), (int64_t[]){1, 0});
            check(types[a % 4], DIMS(2, sizes[b], sizes[a]), (int64_t[]){2, 0, 1});
        }
    check(DT_F32, DIMS(3, 260, 300), (int64_t[]){0, 2, 1}); /* large enough for a team */
    check(DT_C64, DIMS(5, 6), (int64_t[]){1, 0});
}

static void strings_and_the_default(void **state) {
    (void)state;
    struct op_case c = op_case("transpose", 13);
    op_case_in(&c, T_STR(DIMS(1, 2), LIT("a"), LIT("b")));
    op_case_out(&c, T_STR(DIMS(2, 1), LIT("a"), LIT("b")));
    op_case_check(&c);
    struct op_case wrong = op_case("transpose", 13);
    op_case_ints(&wrong, "perm", 2, (int64_t[]){0, 0});
    op_case_in(&wrong, T_F32(DIMS(1, 2), 1, 2));
    op_case_out(&wrong, T_F32(DIMS(1, 2), 1, 2));
    op_case_refuse(&wrong, ERR_INVALID, "axis 0 is named twice");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_permutation),
        cmocka_unit_test(sizes_and_element_types),
        cmocka_unit_test(strings_and_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
