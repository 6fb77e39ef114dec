/* SPDX-License-Identifier: Apache-2.0 */
/* Padding: what is declared, who joins whom, what a padded run takes and gives back. The model is
 * y = x + 1 over [-1, -1], in a real session. */
#include "host/batch.c"
#include "host/pad.c"
#include "op/op_list.h"

#include "../base/check.h"

static struct arena arena;
static struct live live;
static struct live_io x_io, y_io;
static struct err e;

static int rank = 2; /* of x and y */

static value_id value(struct graph *g, const char *name, int dims) {
    value_id id = graph_add_value(g, str_of(name));
    g->values[id].dtype = DT_F32;
    g->values[id].ranked = true;
    g->values[id].shape = (struct shape){dims, {-1, -1, -1}};
    return id;
}

/* y = OP(x, 1): "Add" keeps the columns apart, "Softmax" looks at all of a row. */
static enum code open_live(const char *type, const char *name, int inputs) {
    struct model *m = model_new(&arena);
    struct graph *g = graph_new(m, NULL);
    value_id x = value(g, "x", rank), one = value(g, "one", 1), y = value(g, "y", rank);
    static value_id io[2];
    m->main = g;
    m->opset = 17;
    g->values[one].shape.dims[0] = 1;
    g->values[one].constant = ARENA_NEW(&arena, struct tensor);
    TRY(tensor_new(&arena, DT_F32, &g->values[one].shape, g->values[one].constant, &e));
    ((float *)g->values[one].constant->data)[0] = 1;
    struct node *n = graph_add_node(g, inputs, 1, 0);
    n->op_type = str_of(type);
    n->op_name = str_of(name);
    n->opset = 17;
    n->in[0] = x;
    if (inputs > 1)
        n->in[1] = one;
    n->out[0] = y;
    g->values[y].producer = 0;
    io[0] = x;
    io[1] = y;
    g->inputs = &io[0];
    g->outputs = &io[1];
    g->n_inputs = g->n_outputs = 1;
    TRY(graph_verify(m, &e));
    TRY(op_resolve(m, &e));
    static char model[] = "m";
    live = (struct live){.model = model,
                         .version = 1,
                         .inputs = &x_io,
                         .n_inputs = 1,
                         .outputs = &y_io,
                         .n_outputs = 1,
                         .batches = true};
    x_io = (struct live_io){.name = LIT("x"), .dtype = DT_F32, .shape = {rank, {-1, -1, -1}}};
    y_io = (struct live_io){.name = LIT("y"), .dtype = DT_F32, .shape = {rank, {-1, -1, -1}}};
    arena_init(&live.loaded.arena, 1 << 20);
    return session_open(m, &(struct session_options){0}, &live.loaded.session, &e);
}

static void close_live(void) {
    session_close(live.loaded.session);
    arena_deinit(&live.loaded.arena);
}

static struct ask *ask_of_two(int64_t rows, int64_t length, int64_t depth, float first) {
    struct ask *a = ARENA_NEW(&arena, struct ask);
    *a = (struct ask){.arena = &arena, .rows = rows, .bound = ARENA_NEW(&arena, struct tensor)};
    assert_ok(
        tensor_new(&arena, DT_F32, &(struct shape){rank, {rows, length, depth}}, a->bound, &e));
    for (size_t i = 0; i < tensor_count(a->bound); i++)
        ((float *)a->bound->data)[i] = first + (float)i;
    return a;
}

static struct ask *ask_of(int64_t rows, int64_t length, float first) {
    return ask_of_two(rows, length, 0, first);
}

static void declarations(void **state) {
    const struct live_io io[] = {
        {.name = LIT("a=b"), .dtype = DT_I64, .shape = {2, {-1, -1}}},
        {.name = LIT("m"), .dtype = DT_F32, .shape = {3, {-1, 4, -1}}},
        {.name = LIT("two"), .dtype = DT_F32, .shape = {3, {-1, -1, -1}}},
        {.name = LIT("fixed"), .dtype = DT_F32, .shape = {2, {-1, 4}}},
        {.name = LIT("text"), .dtype = DT_STRING, .shape = {2, {-1, -1}}},
    };
    struct pad_input out[5];
    (void)state;
    assert_ok(pad_parse(LIT("a=b=-2.5,m="), io, 5, out, &e));
    assert_true(out[0].on && out[0].axes[1] == 1 && out[0].value == -2.5);
    assert_true(out[1].on && out[1].axes[2] == 1 && out[1].axes[1] == 0 && out[1].value == 0);
    assert_true(!out[2].on && !out[3].on);
    assert_ok(pad_parse(LIT("m,two"), io, 5, out, &e)); /* the second of `two` is an axis more */
    assert_true(out[1].axes[2] == 1 && out[2].axes[1] == 1 && out[2].axes[2] == 2);
    static const char *const wrong[] = {"a", "m=x", "fixed=0", "text=0", "=0", ",m"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(pad_parse(str_of(wrong[i]), io, 5, out, &e), ERR_INVALID);
}

/* Dims of one name are one axis, wherever they are. */
static void named_axes(void **state) {
    struct live_io io[] = {
        {.name = LIT("ids"), .dtype = DT_I64, .shape = {2, {-1, -1}}},
        {.name = LIT("mask"), .dtype = DT_F32, .shape = {4, {-1, 1, -1, -1}}},
        {.name = LIT("other"), .dtype = DT_F32, .shape = {3, {-1, -1, 7}}},
        {.name = LIT("wide"), .dtype = DT_F32, .shape = {5, {-1, -1, -1, -1, -1}}},
    };
    struct pad_input out[4];
    (void)state;
    io[0].dim_names[1] = io[1].dim_names[2] = io[1].dim_names[3] = LIT("length");
    io[2].dim_names[1] = LIT("others");
    assert_ok(pad_parse(LIT("ids=1,mask,other"), io, 4, out, &e));
    assert_true(out[0].axes[1] == 1 && out[1].axes[2] == 1 && out[1].axes[3] == 1);
    assert_true(out[1].axes[1] == 0 && out[2].axes[1] == 2 && out[2].axes[2] == 0);
    assert_fails(pad_parse(LIT("ids,mask,other,wide"), io, 4, out, &e), INVALID,
                 "input 'wide': more than 4 lengths in all");
    const struct pad_lengths widths = {{8, 16}};
    struct shape s = pad_shape(&out[1], (struct shape){4, {2, 1, 5, 5}}, &widths);
    assert_true(shape_eq(&s, &(struct shape){4, {2, 1, 8, 8}}));
}

/* Three requests of one run: filled up, computed, cut back. */
/* y = x + 1: each ask gets its own shape back. */
static void all_have_their_answers(struct batch *b, struct session_run *run) {
    int64_t row = 0;
    for (struct ask *a = b->first; a; a = a->next) {
        assert_ok(batch_give(&live, run, a, row, b, &e));
        const struct tensor *y = &a->outputs[0].tensor;
        assert_true(shape_eq(&y->shape, &a->bound->shape));
        for (size_t i = 0; i < tensor_count(y); i++)
            assert_true(((float *)y->data)[i] == ((float *)a->bound->data)[i] + 1);
        row += a->rows;
    }
}

static void a_run_is_padded_and_cut(void **state) {
    struct batch b = {.n_asks = 3, .rows = 4};
    struct batch_memory memory = {0};
    struct session_run run;
    (void)state;
    assert_ok(open_live("Add", "add", 2));
    assert_ok(pad_open(&live, true, 1, &e));
    assert_true(live.padding.on);
    assert_true(live.padding.follow[0].axes[0] == 0 && live.padding.follow[0].axes[1] == 1);
    b.first = ask_of(1, 3, 10);
    b.first->next = ask_of(2, 9, 20);
    b.first->next->next = ask_of(1, 9, 50);
    assert_true(joins(&live, b.first, b.first->next));
    assert_false(joins(&live, b.first, ask_of(1, 17, 0))); /* more than twice as wide */
    assert_ok(batch_compute(&live, &b, 1, &memory, &run, &e));
    assert_true(b.padded && b.widths.n[0] == 16);
    assert_int_equal(run.outputs[0].shape.dims[1], 16);
    all_have_their_answers(&b, &run);
    session_end(live.loaded.session, &run);
    mem_free(memory.bytes);
    close_live();
}

static void one_length_is_left_alone(void **state) {
    struct batch b = {.n_asks = 2, .rows = 2};
    (void)state;
    assert_ok(open_live("Add", "add", 2));
    assert_ok(pad_open(&live, true, 1, &e));
    b.first = ask_of(1, 5, 0);
    b.first->next = ask_of(1, 5, 9);
    assert_false(pad_widths(&live, &b, &b.widths));
    b.first->next = ask_of(1, 6, 9);
    assert_true(pad_widths(&live, &b, &b.widths));
    assert_int_equal(b.widths.n[0], 8);
    b.first->next = ask_of(1, 0, 9); /* nothing to fill up */
    assert_false(pad_widths(&live, &b, &b.widths));
    assert_false(pad_joins(&live, b.first, b.first->next));
    close_live();
}

/* y = x + 1 over [-1, -1, -1]: both lengths are filled up, each to its own width. */
static void two_axes(void **state) {
    struct batch b = {.n_asks = 2, .rows = 3};
    struct batch_memory memory = {0};
    struct session_run run;
    (void)state;
    rank = 3;
    assert_ok(open_live("Add", "add", 2));
    assert_ok(pad_open(&live, true, 1, &e));
    assert_true(live.padding.on && live.padding.n_axes == 2);
    assert_true(live.padding.follow[0].axes[1] == 1 && live.padding.follow[0].axes[2] == 2);
    b.first = ask_of_two(1, 3, 20, 10);
    b.first->next = ask_of_two(2, 9, 20, 500);
    assert_true(joins(&live, b.first, b.first->next));
    assert_false(joins(&live, b.first, ask_of_two(1, 3, 40, 0))); /* one of them is too wide */
    assert_ok(batch_compute(&live, &b, 1, &memory, &run, &e));
    assert_true(b.padded && b.widths.n[0] == 16 && b.widths.n[1] == 20); /* alike: as it is */
    all_have_their_answers(&b, &run);
    session_end(live.loaded.session, &run);
    mem_free(memory.bytes);
    close_live();
    rank = 2;
}

static void nobody_asked(void **state) {
    (void)state;
    assert_ok(open_live("Add", "add", 2));
    assert_ok(pad_open(&live, false, 1, &e));
    assert_false(live.padding.on);
    assert_false(joins(&live, ask_of(1, 3, 0), ask_of(1, 4, 0)));
    assert_true(joins(&live, ask_of(1, 3, 0), ask_of(2, 3, 0)));
    close_live();
}

/* A softmax over the row: the filling counts, and the try shows it. */
static void what_would_change_is_not_padded(void **state) {
    (void)state;
    assert_ok(open_live("Softmax", "softmax", 1));
    assert_ok(pad_open(&live, true, 1, &e));
    assert_false(live.padding.on);
    assert_false(joins(&live, ask_of(1, 3, 0), ask_of(1, 4, 0)));
    close_live();
}

static void the_filling_is_of_the_type(void **state) {
    int32_t ids[] = {1, 2, 3, 4}, out[12];
    struct tensor t = {DT_I32, LAYOUT_PLAIN, {3, {1, 2, 2}}, ids};
    static const int32_t middle[] = {1, 2, 3, 4, -7, -7}, last[] = {1, 2, -7, 3, 4, -7},
                         both[] = {1, 2, -7, 3, 4, -7, -7, -7, -7};
    const struct pad_lengths three = {{3, 3}};
    struct pad_input p = {.on = true, .axes = {0, 1}, .value = -7};
    (void)state;
    assert_ptr_equal(pad_copy(&p, &t, &three, (char *)out), out + 6);
    assert_memory_equal(out, middle, sizeof middle);
    p.axes[1] = 0;
    p.axes[2] = 1;
    assert_ptr_equal(pad_copy(&p, &t, &three, (char *)out), out + 6);
    assert_memory_equal(out, last, sizeof last);
    p.axes[1] = 2;
    assert_ptr_equal(pad_copy(&p, &t, &three, (char *)out), out + 9);
    assert_memory_equal(out, both, sizeof both);
}

static void only_allowed_sizes(void **state) {
    static const uint64_t sizes[] = {1, 4, 6};
    static const int64_t want[] = {1, 1, 1, 4, 4, 6, 6};
    struct host h = {.options = {.batch_sizes = sizes, .n_batch_sizes = 3}};
    (void)state;
    for (int64_t rows = 1; rows <= 7; rows++)
        assert_int_equal(allowed(&h, rows), want[rows - 1]);
    h.options.n_batch_sizes = 0;
    assert_int_equal(allowed(&h, 5), 5);
}

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 16 << 20);
    cores_setup(1);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(declarations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(named_axes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_axes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_is_padded_and_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_length_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_would_change_is_not_padded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_filling_is_of_the_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_allowed_sizes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
