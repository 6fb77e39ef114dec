/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of flex_attention; the graphs are a C function here. */
#include "op/flex.c"

#include "op_case.h"

/* Score -inf for the first key. */
static enum code hide_first(struct op_host *h, const struct op_call *call, const struct graph *g,
                            const struct tensor *const *in, struct tensor *out, struct err *e) {
    size_t n = tensor_count(in[0]), keys = (size_t)in[0]->shape.dims[3];
    float *p = h->alloc(h, n * sizeof *p);
    (void)call;
    (void)g;
    (void)e;
    for (size_t k = 0; k < n; k++)
        p[k] = k % keys == 0 ? -INFINITY : ((const float *)in[0]->data)[k];
    *out = *in[0];
    out->data = p;
    return OK;
}

static void attends(void **state) {
    (void)state;
    struct graph hide = {.n_inputs = 1, .n_outputs = 1};
    for (int hidden = 0; hidden < 2; hidden++) {
        struct op_case c = op_case("flex_attention", 1);
        c.run_graph = hide_first;
        if (hidden)
            op_case_graph(&c, "score_mod", &hide);
        op_case_in(&c, T_F32(DIMS(1, 2, 1, 1), 0, 0)); /* two query heads share a key head */
        op_case_in(&c, T_F32(DIMS(1, 1, 3, 1), 1, 2, 3));
        op_case_in(&c, T_F32(DIMS(1, 1, 3, 1), 3, 6, 12));
        op_case_out(&c, hidden ? T_F32(DIMS(1, 2, 1, 1), 9, 9) : T_F32(DIMS(1, 2, 1, 1), 7, 7));
        op_case_check(&c);
    }
    struct op_case wrong = op_case("flex_attention", 1);
    op_case_in(&wrong, T_F32(DIMS(1, 3, 1, 1), 0, 0, 0));
    op_case_in(&wrong, T_F32(DIMS(1, 2, 1, 1), 1, 2));
    op_case_in(&wrong, T_F32(DIMS(1, 2, 1, 1), 1, 2));
    op_case_out(&wrong, T_F32(DIMS(1, 3, 1, 1), 0, 0, 0));
    op_case_refuse(&wrong, ERR_INVALID, "the shapes of Q, K and V");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(attends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
