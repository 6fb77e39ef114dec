/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of sequences and optionals. */
#include "op/sequence.c"

#include "op_case.h"

#define ITEMS(...)                                                                                 \
    ((struct sequence){.n = sizeof((struct tensor[]){__VA_ARGS__}) / sizeof(struct tensor),        \
                       .items = (struct tensor[]){__VA_ARGS__}})
#define T_SEQ(s) ((struct tensor){.dtype = DT_SEQUENCE, .data = (struct sequence[]){s}})
#define ONE T_F32(DIMS(1), 1)
#define TWO T_F32(DIMS(2), 2, 2)
#define THREE T_F32(DIMS(1), 3)

static void construct_length_at(void **state) {
    (void)state;
    struct op_case c = op_case("sequence_construct", 11), n = op_case("sequence_length", 11),
                   at = op_case("sequence_at", 11), empty = op_case("sequence_empty", 11);
    op_case_in(&c, ONE);
    op_case_in(&c, TWO);
    op_case_out(&c, T_SEQ(ITEMS(ONE, TWO)));
    op_case_check(&c);
    op_case_in(&n, T_SEQ(ITEMS(ONE, TWO)));
    op_case_out(&n, T_I64(SCALAR, 2));
    op_case_check(&n);
    op_case_in(&at, T_SEQ(ITEMS(ONE, TWO)));
    op_case_in(&at, T_I32(SCALAR, -1));
    op_case_out(&at, TWO);
    op_case_check(&at);
    op_case_out(&empty, T_SEQ(((struct sequence){.n = 0})));
    op_case_check(&empty);
}

static void insert_and_erase(void **state) {
    (void)state;
    struct op_case end = op_case("sequence_insert", 11), front = op_case("sequence_insert", 11),
                   erase = op_case("sequence_erase", 11);
    op_case_in(&end, T_SEQ(ITEMS(ONE)));
    op_case_in(&end, TWO);
    op_case_out(&end, T_SEQ(ITEMS(ONE, TWO)));
    op_case_check(&end);
    op_case_in(&front, T_SEQ(ITEMS(ONE, THREE)));
    op_case_in(&front, TWO);
    op_case_in(&front, T_I64(SCALAR, -2));
    op_case_out(&front, T_SEQ(ITEMS(TWO, ONE, THREE)));
    op_case_check(&front);
    op_case_in(&erase, T_SEQ(ITEMS(ONE, TWO, THREE)));
    op_case_in(&erase, T_I64(SCALAR, 1));
    op_case_out(&erase, T_SEQ(ITEMS(ONE, THREE)));
    op_case_check(&erase);
}

static void positions_are_hostile(void **state) {
    (void)state;
    static const char *const ops[] = {"sequence_at", "sequence_erase", "sequence_insert"};
    static const int64_t wrong[] = {2, -2, INT64_MIN, INT64_MAX};
    for (int o = 0; o < 3; o++)
        for (int k = 0; k < 4; k++) {
            struct op_case c = op_case(ops[o], 11);
            op_case_in(&c, T_SEQ(ITEMS(ONE)));
            if (o == 2)
                op_case_in(&c, TWO);
            op_case_in(&c, T_I64(SCALAR, wrong[k]));
            op_case_out(&c, ONE);
            op_case_refuse(&c, ERR_INVALID, "of a sequence of 1");
        }
    struct op_case type = op_case("sequence_insert", 11), not = op_case("sequence_length", 11);
    op_case_in(&type, T_SEQ(ITEMS(ONE)));
    op_case_in(&type, T_I32(DIMS(1), 1));
    op_case_out(&type, ONE);
    op_case_refuse(&type, ERR_INVALID, "a i32 tensor into a sequence of f32");
    op_case_in(&not, ONE);
    op_case_out(&not, T_I64(SCALAR, 1));
    op_case_refuse(&not, ERR_INVALID, "input 0 is not a sequence");
}

static void split_and_join(void **state) {
    (void)state;
    struct op_case sizes = op_case("split_to_sequence", 11),
                   each = op_case("split_to_sequence", 11),
                   single = op_case("split_to_sequence", 11),
                   join = op_case("concat_from_sequence", 11),
                   stack = op_case("concat_from_sequence", 11),
                   wrong = op_case("split_to_sequence", 11);
    op_case_int(&sizes, "axis", 1);
    op_case_in(&sizes, T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
    op_case_in(&sizes, T_I64(DIMS(2), 1, 2));
    op_case_out(&sizes, T_SEQ(ITEMS(T_F32(DIMS(2, 1), 1, 4), T_F32(DIMS(2, 2), 2, 3, 5, 6))));
    op_case_check(&sizes);
    op_case_in(&each, T_F32(DIMS(3), 1, 2, 3));
    op_case_in(&each, T_I64(SCALAR, 2));
    op_case_out(&each, T_SEQ(ITEMS(T_F32(DIMS(2), 1, 2), THREE)));
    op_case_check(&each);
    op_case_int(&single, "keepdims", 0);
    op_case_in(&single, T_F32(DIMS(2, 2), 1, 2, 3, 4));
    op_case_out(&single, T_SEQ(ITEMS(T_F32(DIMS(2), 1, 2), T_F32(DIMS(2), 3, 4))));
    op_case_check(&single);
    op_case_int(&join, "axis", -1);
    op_case_in(&join, T_SEQ(ITEMS(T_F32(DIMS(2, 1), 1, 4), T_F32(DIMS(2, 2), 2, 3, 5, 6))));
    op_case_out(&join, T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
    op_case_check(&join);
    op_case_int(&stack, "axis", 1);
    op_case_int(&stack, "new_axis", 1);
    op_case_in(&stack, T_SEQ(ITEMS(T_F32(DIMS(2), 1, 2), T_F32(DIMS(2), 3, 4))));
    op_case_out(&stack, T_F32(DIMS(2, 2), 1, 3, 2, 4));
    op_case_check(&stack);
    op_case_in(&wrong, T_F32(DIMS(2), 1, 2));
    op_case_in(&wrong, T_I64(DIMS(2), 1, 2));
    op_case_out(&wrong, T_SEQ(ITEMS(ONE)));
    op_case_refuse(&wrong, ERR_INVALID, "size 1 of the split is 2");
}

static void optionals(void **state) {
    (void)state;
    struct op_case none = op_case("optional", 15), some = op_case("optional", 15),
                   has = op_case("optional_has_element", 18),
                   not = op_case("optional_has_element", 18),
                   get = op_case("optional_get_element", 18),
                   empty = op_case("optional_get_element", 18);
    struct sequence absent = {.absent = true};
    op_case_out(&none, T_SEQ(absent));
    op_case_check(&none);
    op_case_in(&some, ONE);
    op_case_out(&some, ONE);
    op_case_check(&some);
    op_case_in(&has, ONE);
    op_case_out(&has, T_BOOL(SCALAR, 1));
    op_case_check(&has);
    op_case_in(&not, T_SEQ(absent));
    op_case_out(&not, T_BOOL(SCALAR, 0));
    op_case_check(&not );
    op_case_in(&get, T_SEQ(ITEMS(ONE)));
    op_case_out(&get, T_SEQ(ITEMS(ONE)));
    op_case_check(&get);
    op_case_in(&empty, T_SEQ(absent));
    op_case_out(&empty, ONE);
    op_case_refuse(&empty, ERR_INVALID, "the optional has no value");
}

static enum code double_it(struct op_host *h, const struct op_call *call, const struct graph *g,
                           const struct tensor *const *in, struct tensor *out, struct err *e) {
    (void)call;
    (void)g;
    (void)e;
    float *p = h->alloc(h, tensor_bytes(in[0]));
    for (size_t k = 0; k < tensor_count(in[0]); k++)
        p[k] = 2 * ((const float *)in[0]->data)[k];
    *out = *in[0];
    out->data = p;
    return OK;
}

static void map_runs_a_body_over_items(void **state) {
    (void)state;
    struct op_case c = op_case("sequence_map", 17);
    struct graph body = {.n_inputs = 1, .n_outputs = 1};
    c.run_graph = double_it;
    op_case_graph(&c, "body", &body);
    op_case_in(&c, T_SEQ(ITEMS(ONE, TWO)));
    op_case_out(&c, T_SEQ(ITEMS(T_F32(DIMS(1), 2), T_F32(DIMS(2), 4, 4))));
    op_case_check(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(construct_length_at),
        cmocka_unit_test(insert_and_erase),
        cmocka_unit_test(positions_are_hostile),
        cmocka_unit_test(split_and_join),
        cmocka_unit_test(optionals),
        cmocka_unit_test(map_runs_a_body_over_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
