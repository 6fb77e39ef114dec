/* SPDX-License-Identifier: Apache-2.0 */
/* What one node may take while a session opens. */
#include "plan/trial.c"

#include "toy.h"

static struct trial product(struct toy *t, const struct tensor **in, struct op_value *values) {
    value_id w = toy_weights(t, SHAPE(4, 4), 1);
    (void)toy_node(t, "mat_mul", IDS(w, w));
    const struct tensor *x = t->g->values[w].constant;
    for (int i = 0; i < 3; i++) {
        in[i] = x;
        values[i] = (struct op_value){
            .dtype = DT_F32, .known = true, .shape = x->shape, .data = i < 2 ? x : NULL};
    }
    return (struct trial){.graph = t->g,
                          .node = &t->g->nodes[0],
                          .in = in,
                          .in_values = values,
                          .out_values = values + 2,
                          .keep = &t->arena};
}

static void work_is_counted_before_it_is_done(void **unused) {
    (void)unused;
    struct toy t;
    struct op_value values[3];
    const struct tensor *in[3];
    struct tensor out;
    struct err e;
    toy_init(&t);
    struct trial trial = product(&t, in, values);
    trial.most = 127;
    assert_int_equal(trial_run(&trial, &out, &e), ERR_LIMIT);
    assert_float_equal(trial.flops, 128, 0);
    trial.most = 128;
    assert_int_equal(trial_run(&trial, &out, &e), OK);
    assert_int_equal(tensor_count(&out), 16);
    toy_deinit(&t);
}

/* Operators whose work only their data tells ask whether they should go on. */
static void moments_end(void **unused) {
    (void)unused;
    struct trial_host host = {.end = UINT64_MAX};
    struct err e;
    assert_int_equal(go_on(&host.host, &e), OK);
    host.end = 0;
    assert_int_equal(go_on(&host.host, &e), ERR_TIMEOUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_is_counted_before_it_is_done),
        cmocka_unit_test(moments_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
