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

static value_id value(struct graph *g, const char *name, int rank) {
    value_id id = graph_add_value(g, str_of(name));
    g->values[id].dtype = DT_F32;
    g->values[id].ranked = true;
    g->values[id].shape = (struct shape){rank, {-1, -1}};
    return id;
}

/* y = OP(x, 1): "Add" keeps the columns apart, "Softmax" looks at all of a row. */
static enum code open_live(const char *type, const char *name, int inputs) {
    struct model *m = model_new(&arena);
    struct graph *g = graph_new(m, NULL);
    value_id x = value(g, "x", 2), one = value(g, "one", 1), y = value(g, "y", 2);
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
    x_io = (struct live_io){.name = LIT("x"), .dtype = DT_F32, .shape = {2, {-1, -1}}};
    y_io = (struct live_io){.name = LIT("y"), .dtype = DT_F32, .shape = {2, {-1, -1}}};
    arena_init(&live.loaded.arena, 1 << 20);
    return session_open(m, &(struct session_options){0}, &live.loaded.session, &e);
}

static void close_live(void) {
    session_close(live.loaded.session);
    arena_deinit(&live.loaded.arena);
}

static struct ask *ask_of(int64_t rows, int64_t length, float first) {
    struct ask *a = ARENA_NEW(&arena, struct ask);
    *a = (struct ask){.arena = &arena, .rows = rows, .bound = ARENA_NEW(&arena, struct tensor)};
    assert_ok(tensor_new(&arena, DT_F32, &(struct shape){2, {rows, length}}, a->bound, &e));
    for (int64_t i = 0; i < rows * length; i++)
        ((float *)a->bound->data)[i] = first + (float)i;
    return a;
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
    assert_true(out[0].dim == 1 && out[0].value == -2.5 && out[1].dim == 2 && out[1].value == 0);
    assert_true(out[2].dim == 0 && out[3].dim == 0);
    static const char *const wrong[] = {"a", "m=x", "two=0", "fixed=0", "text=0", "=0", ",m"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(pad_parse(str_of(wrong[i]), io, 5, out, &e), ERR_INVALID);
}

/* Three requests of one run: filled up, computed, cut back. */
static void a_run_is_padded_and_cut(void **state) {
    struct batch b = {.n_asks = 3, .rows = 4};
    struct batch_memory memory = {0};
    struct session_run run;
    int64_t row = 0;
    (void)state;
    assert_ok(open_live("Add", "add", 2));
    assert_ok(pad_open(&live, true, 1, &e));
    assert_true(live.padding.on);
    assert_int_equal(live.padding.follow[0], 1u << 1);
    b.first = ask_of(1, 3, 10);
    b.first->next = ask_of(2, 9, 20);
    b.first->next->next = ask_of(1, 9, 50);
    assert_true(joins(&live, b.first, b.first->next));
    assert_false(joins(&live, b.first, ask_of(1, 17, 0))); /* more than twice as wide */
    assert_ok(batch_compute(&live, &b, 1, &memory, &run, &e));
    assert_int_equal(b.width, 16);
    assert_int_equal(run.outputs[0].shape.dims[1], 16);
    for (struct ask *a = b.first; a; a = a->next) {
        assert_ok(batch_give(&live, &run, a, row, &b, &e));
        const struct tensor *y = &a->outputs[0].tensor;
        assert_true(shape_eq(&y->shape, &a->bound->shape));
        for (size_t i = 0; i < tensor_count(y); i++)
            assert_true(((float *)y->data)[i] == ((float *)a->bound->data)[i] + 1);
        row += a->rows;
    }
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
    assert_int_equal(pad_width(&live, &b), 0);
    b.first->next = ask_of(1, 6, 9);
    assert_int_equal(pad_width(&live, &b), 8);
    close_live();
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
    static const int32_t middle[] = {1, 2, 3, 4, -7, -7}, last[] = {1, 2, -7, 3, 4, -7};
    (void)state;
    assert_ptr_equal(pad_copy(&(struct pad_input){1, -7}, &t, 3, (char *)out), out + 6);
    assert_memory_equal(out, middle, sizeof middle);
    assert_ptr_equal(pad_copy(&(struct pad_input){2, -7}, &t, 3, (char *)out), out + 6);
    assert_memory_equal(out, last, sizeof last);
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
        cmocka_unit_test_setup_teardown(a_run_is_padded_and_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_length_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_would_change_is_not_padded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_filling_is_of_the_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_allowed_sizes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
