/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of if, loop, scan. The bodies are C functions here, chosen by the graph's name: the
 * executor's own tests, and the ONNX cases, run real ones. */
#include "op/control.c"

#include "op_case.h"

static value_id body_ids[8] = {0, 1, 2, 3, 4, 5, 6, 7};
static struct value body_values[8];

static struct graph *body(const char *name, int n_in, int n_out) {
    static struct graph graphs[2];
    static int next;
    struct graph *g = &graphs[next++ % 2];
    for (int i = 0; i < 8; i++)
        body_values[i] = (struct value){.dtype = DT_F32,
                                        .ranked = true,
                                        .shape = {.rank = 1, .dims = {-1}},
                                        .capture = VALUE_NONE};
    *g = (struct graph){.name = str_of(name),
                        .values = body_values,
                        .n_values = 8,
                        .inputs = body_ids,
                        .outputs = body_ids,
                        .n_inputs = n_in,
                        .n_outputs = n_out};
    return g;
}

static enum code give_f32(struct op_host *h, struct tensor *out, struct shape shape, float v,
                          struct err *e) {
    size_t n = 0;
    assert_true(shape_count(&shape, &n));
    float *p = h->alloc(h, n * sizeof *p + 1);
    (void)e;
    for (size_t k = 0; k < n; k++)
        p[k] = v;
    *out = (struct tensor){.dtype = DT_F32, .shape = shape, .data = p};
    return OK;
}

static enum code give_bool(struct op_host *h, struct tensor *out, bool v, struct err *e) {
    uint8_t *p = h->alloc(h, 1);
    if (!p)
        return err_set(e, ERR_LIMIT, __FILE__, __LINE__, "no memory");
    *p = v;
    *out = (struct tensor){.dtype = DT_BOOL, .data = p};
    return OK;
}

static float first(const struct tensor *t) { return *(const float *)t->data; }

static enum code run_body(struct op_host *h, const struct op_call *call, const struct graph *g,
                          const struct tensor *const *in, struct tensor *out, struct err *e) {
    (void)call;
    if (str_is(g->name, "yes") || str_is(g->name, "no"))
        return give_f32(h, out, DIMS(1), str_is(g->name, "yes") ? 1 : 2, e);
    if (str_is(g->name, "count")) { /* (i, go, sum) -> (i < 3, sum + i, stacked sum) */
        int64_t i = *(const int64_t *)in[0]->data;
        TRY(give_bool(h, &out[0], i < 3, e));
        give_f32(h, &out[1], DIMS(1), first(in[2]) + (float)i, e);
        return give_f32(h, &out[2], DIMS(1), first(&out[1]), e);
    }
    if (str_is(g->name, "grow")) { /* the stacked shape changes */
        TRY(give_bool(h, &out[0], true, e));
        return give_f32(h, &out[1], DIMS(*(const int64_t *)in[0]->data + 1), 0, e);
    }
    if (str_is(g->name, "forever"))
        return give_bool(h, &out[0], true, e);
    give_f32(h, &out[0], SCALAR, first(in[0]) + first(in[1]),
             e); /* "sum": (state, x) -> (state, state) */
    return give_f32(h, &out[1], SCALAR, first(&out[0]), e);
}

static struct op_case with_body(const char *op, int opset) {
    struct op_case c = op_case(op, opset);
    c.run_graph = run_body;
    return c;
}

static void if_takes_a_branch(void **state) {
    (void)state;
    for (int yes = 0; yes < 2; yes++) {
        struct op_case c = with_body("if", 21);
        op_case_graph(&c, "then_branch", body("yes", 0, 1));
        op_case_graph(&c, "else_branch", body("no", 0, 1));
        op_case_in(&c, T_BOOL(DIMS(1), (uint8_t)yes));
        op_case_out(&c, T_F32(DIMS(1), yes ? 1 : 2));
        op_case_check(&c);
    }
    struct op_case wrong = with_body("if", 21);
    op_case_graph(&wrong, "then_branch", body("yes", 0, 1));
    op_case_in(&wrong, T_BOOL(SCALAR, 1));
    op_case_out(&wrong, T_F32(DIMS(1), 1));
    op_case_refuse(&wrong, ERR_FORMAT, "'else_branch' is missing");
}

static void loop_stops_by_count_or_condition(void **state) {
    (void)state;
    for (int limited = 0; limited < 2; limited++) {
        struct op_case c = with_body("loop", 21);
        op_case_graph(&c, "body", body("count", 3, 3));
        op_case_in(&c, limited ? T_I64(SCALAR, 2) : T_ABSENT);
        op_case_in(&c, T_BOOL(SCALAR, 1));
        op_case_in(&c, T_F32(DIMS(1), 10));
        op_case_out(&c, T_F32(DIMS(1), limited ? 11 : 16));
        op_case_out(&c, limited ? T_F32(DIMS(2, 1), 10, 11) : T_F32(DIMS(4, 1), 10, 11, 13, 16));
        op_case_check(&c);
    }
}

static void a_loop_may_not_run_at_all(void **state) {
    (void)state;
    struct op_case c = with_body("loop", 21);
    op_case_graph(&c, "body", body("count", 3, 3));
    op_case_in(&c, T_I64(SCALAR, 5));
    op_case_in(&c, T_BOOL(SCALAR, 0));
    op_case_in(&c, T_F32(DIMS(1), 10));
    op_case_out(&c, T_F32(DIMS(1), 10));
    op_case_out(&c, T_EMPTY(DT_F32, DIMS(0, 0)));
    op_case_check(&c);
}

static void loop_refuses(void **state) {
    (void)state;
    struct op_case grow = with_body("loop", 21), shape = with_body("loop", 21);
    op_case_graph(&grow, "body", body("grow", 2, 2));
    op_case_in(&grow, T_I64(SCALAR, 3));
    op_case_in(&grow, T_ABSENT);
    op_case_out(&grow, T_F32(DIMS(1), 0));
    op_case_refuse(&grow, ERR_INVALID, "iteration 1 gives f32 [2] where others gave f32 [1]");
    op_case_graph(&shape, "body", body("count", 3, 2));
    op_case_in(&shape, T_I64(SCALAR, 3));
    op_case_in(&shape, T_ABSENT);
    op_case_in(&shape, T_F32(DIMS(1), 0));
    op_case_out(&shape, T_F32(DIMS(1), 0));
    op_case_out(&shape, T_F32(DIMS(1), 0));
    op_case_refuse(&shape, ERR_FORMAT, "'body' has 3 inputs and 2 outputs, expected 3 and 3");
    struct op_case missing = with_body("loop", 21);
    op_case_graph(&missing, "body", body("count", 3, 3));
    op_case_in(&missing, T_I64(SCALAR, 3));
    op_case_in(&missing, T_ABSENT);
    op_case_in(&missing, T_ABSENT);
    op_case_out(&missing, T_F32(DIMS(1), 0));
    op_case_out(&missing, T_F32(DIMS(1), 0));
    op_case_refuse(&missing, ERR_FORMAT, "input 2, a carried value, is missing");
}

static void a_loop_without_end_stops(void **state) {
    (void)state;
    struct op_case c = with_body("loop", 21);
    op_case_graph(&c, "body", body("forever", 2, 1));
    op_case_in(&c, T_ABSENT);
    op_case_in(&c, T_ABSENT);
    op_case_out(&c, T_ABSENT);
    c.n_out = 0;
    struct op_case_stage *s = calloc(1, sizeof *s);
    struct op_case_way way = {.threads = 1};
    struct err e = {0};
    arena_deinit(&c.arena);
    arena_init(&c.arena, 1 << 20); /* each iteration takes memory: the limit ends it */
    op_case_build(s, &c);
    s->node.attrs = c.attrs;
    op_case_load(s, &way);
    s->host.arena = &c.arena;
    assert_int_equal(op_case_execute(s, &way, &e), ERR_LIMIT); /* of memory */
    s->host.host.loop_limit = 3;
    arena_deinit(&c.arena);
    assert_int_equal(op_case_execute(s, &way, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "more than 3 iterations"));
    arena_deinit(&c.arena);
    free(s);
}

static void scan_carries_and_stacks(void **state) {
    (void)state;
    static const struct {
        int in_axis, in_turn, out_turn;
        float final, sums[3];
    } ways[] = {{0, 0, 0, 16, {11, 13, 16}},
                {0, 1, 0, 16, {13, 15, 16}},
                {0, 0, 1, 16, {16, 13, 11}},
                {1, 0, 0, 16, {11, 13, 16}}};
    for (size_t k = 0; k < sizeof ways / sizeof ways[0]; k++) {
        struct op_case c = with_body("scan", 21);
        op_case_graph(&c, "body", body("sum", 2, 2));
        op_case_int(&c, "num_scan_inputs", 1);
        op_case_ints(&c, "scan_input_axes", 1, (int64_t[]){ways[k].in_axis});
        op_case_ints(&c, "scan_input_directions", 1, (int64_t[]){ways[k].in_turn});
        op_case_ints(&c, "scan_output_directions", 1, (int64_t[]){ways[k].out_turn});
        op_case_in(&c, T_F32(SCALAR, 10));
        op_case_in(&c, ways[k].in_axis ? T_F32(DIMS(1, 3), 1, 2, 3) : T_F32(DIMS(3), 1, 2, 3));
        op_case_out(&c, T_F32(SCALAR, ways[k].final));
        op_case_out(&c, T_F32(DIMS(3), ways[k].sums[0], ways[k].sums[1], ways[k].sums[2]));
        op_case_check(&c);
    }
}

static void scan_8_has_a_batch(void **state) {
    (void)state;
    struct op_case c = with_body("scan", 8);
    op_case_graph(&c, "body", body("sum", 2, 2));
    op_case_int(&c, "num_scan_inputs", 1);
    op_case_in(&c, T_I64(DIMS(2), 3, 1));
    op_case_in(&c, T_F32(DIMS(2), 0, 10));
    op_case_in(&c, T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
    op_case_out(&c, T_F32(DIMS(2), 6, 14));
    op_case_out(&c, T_F32(DIMS(2, 3), 1, 3, 6, 14, 0, 0));
    op_case_check(&c);
}

static void scan_refuses(void **state) {
    (void)state;
    struct op_case steps = with_body("scan", 21), none = with_body("scan", 21);
    op_case_graph(&steps, "body", body("sum", 2, 2));
    op_case_int(&steps, "num_scan_inputs", 2);
    op_case_in(&steps, T_F32(DIMS(2), 1, 2));
    op_case_in(&steps, T_F32(DIMS(3), 1, 2, 3));
    op_case_out(&steps, T_F32(DIMS(1), 0));
    op_case_out(&steps, T_F32(DIMS(1), 0));
    op_case_refuse(&steps, ERR_INVALID, "scanned input 1 has 3 steps, input 0 has 2");
    op_case_graph(&none, "body", body("sum", 2, 2));
    op_case_in(&none, T_F32(DIMS(2), 1, 2));
    op_case_out(&none, T_F32(DIMS(1), 0));
    op_case_refuse(&none, ERR_FORMAT, "num_scan_inputs is 0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(if_takes_a_branch),
        cmocka_unit_test(loop_stops_by_count_or_condition),
        cmocka_unit_test(a_loop_may_not_run_at_all),
        cmocka_unit_test(loop_refuses),
        cmocka_unit_test(a_loop_without_end_stops),
        cmocka_unit_test(scan_carries_and_stacks),
        cmocka_unit_test(scan_8_has_a_batch),
        cmocka_unit_test(scan_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
