/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/session.c"

#include "base/cpu.h"
#include "toy.h"

#include <pthread.h>

/* y = relu(x * w + b) + x over (N, 8), with rows of every kind. */
static void two_layers(struct toy *t) {
    toy_init(t);
    value_id x = toy_input(t, "x", DT_F32, SHAPE(-1, 8));
    value_id m = toy_node(t, "mul", IDS(x, toy_weights(t, SHAPE(8), 1)));
    value_id a = toy_node(t, "add", IDS(m, toy_weights(t, SHAPE(1, 8), 2)));
    value_id y = toy_node(t, "add", IDS(toy_node(t, "relu", IDS(a)), x));
    toy_output(t, y);
}

static void check_two_layers(const struct tensor *x, const struct tensor *y,
                             const struct graph *g) {
    const float *w = NULL, *b = NULL, *in = x->data, *out = y->data;
    for (int v = 0; v < g->n_values; v++)
        if (g->values[v].constant) {
            if (!w)
                w = g->values[v].constant->data;
            else
                b = g->values[v].constant->data;
        }
    for (size_t i = 0; i < tensor_count(x); i++) {
        float v = in[i] * w[i % 8] + b[i % 8];
        assert_true(fabsf(out[i] - ((v > 0 ? v : 0) + in[i])) < 1e-5F);
    }
}

/* Whoever makes inputs up has to know what picks rows of a table, and of the shortest. */
static void tables_are_found(void **unused) {
    (void)unused;
    struct toy t;
    const struct session_io *io;
    toy_init(&t);
    value_id ids = toy_input(&t, "ids", DT_I64, SHAPE(1, 4)),
             free = toy_input(&t, "free", DT_I64, SHAPE(1, 4));
    value_id same = toy_node(&t, "identity", IDS(ids));
    toy_output(&t, toy_node(&t, "gather", IDS(toy_weights(&t, SHAPE(9, 2), 1), ids)));
    toy_output(&t, toy_node(&t, "gather", IDS(toy_weights(&t, SHAPE(3, 2), 1), same)));
    toy_output(&t, toy_node(&t, "neg", IDS(free)));
    struct session *s = toy_open(&t, 0);
    assert_int_equal(session_inputs(s, &io), 2);
    assert_int_equal(io[0].rows, 3);
    assert_int_equal(io[1].rows, 0);
    session_close(s);
    toy_deinit(&t);
}

static void answers(void **unused) {
    (void)unused;
    struct toy t;
    two_layers(&t);
    struct session *s = toy_open(&t, 0);
    for (int64_t n = 1; n <= 64; n *= 4) {
        struct tensor x = toy_tensor(&t, SHAPE(n, 8), (unsigned)n), y = toy_answer(&t, s, &x);
        check_two_layers(&x, &y, t.g);
    }
    session_close(s);
    toy_deinit(&t);
}

/* What is read again after writing began must not lie under the result: -x, some of it replaced by
 * itself elsewhere. */
static void read_after_written(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(4)), n = toy_node(&t, "neg", IDS(x));
    toy_output(&t, toy_node(&t, "scatter_elements", IDS(n, INTS(&t, 3, 2, 1, 0), n)));
    struct session *s = toy_open(&t, 0);
    struct tensor in = toy_tensor(&t, SHAPE(4), 5), y = toy_answer(&t, s, &in);
    for (size_t k = 0; k < 4; k++)
        assert_true(((const float *)y.data)[3 - k] == -((const float *)in.data)[k]);
    session_close(s);
    toy_deinit(&t);
}

static void ends(void **unused) {
    (void)unused;
    struct toy t;
    two_layers(&t);
    struct session *s = toy_open(&t, 0);
    const struct session_io *io;
    assert_int_equal(session_inputs(s, &io), 1);
    assert_true(str_is(io[0].name, "x"));
    assert_int_equal(io[0].shape.dims[0], -1);
    assert_int_equal(session_outputs(s, &io), 1);
    session_close(s);
    toy_deinit(&t);
}

/* The second run of a plan, and every later one, takes nothing from the heap. */
static void steady_runs_allocate_nothing(void **unused) {
    (void)unused;
    struct toy t;
    two_layers(&t);
    struct session *s = toy_open(&t, 0);
    struct tensor x[2] = {toy_tensor(&t, SHAPE(3, 8), 1), toy_tensor(&t, SHAPE(5, 8), 1)};
    struct session_run run;
    struct err e;
    struct session_ask ask = {.threads = 1};
    uint64_t before = 0;
    for (int i = 0; i < 1000; i++) {
        if (i == 2)
            before = mem_count();
        ask.inputs = &x[i % 2];
        assert_int_equal(session_begin(s, &ask, &run, &e), OK);
        session_end(s, &run);
    }
    assert_int_equal(mem_count() - before, 0);
    session_close(s);
    toy_deinit(&t);
}

/* Ever new shapes: plans stay within the limit, and so do slabs. */
static void plans_are_bounded(void **unused) {
    (void)unused;
    struct toy t;
    two_layers(&t);
    struct session *s;
    struct session_memory m;
    struct err e;
    assert_int_equal(session_open(t.g->model, &(struct session_options){.plans = 4}, &s, &e), OK);
    for (int64_t n = 1; n < 40; n++) {
        struct tensor x = toy_tensor(&t, SHAPE(n, 8), 1), y = toy_answer(&t, s, &x);
        check_two_layers(&x, &y, t.g);
    }
    session_memory(s, &m);
    assert_int_equal(m.plans, 4);
    assert_true(m.slab_bytes < 16384);
    session_close(s);
    toy_deinit(&t);
}

static void refuses(struct session *s, const struct tensor *x, const char *text) {
    struct session_run run;
    struct err e;
    struct session_ask ask = {.inputs = x, .threads = 1};
    assert_int_equal(session_begin(s, &ask, &run, &e), ERR_INVALID);
    assert_string_equal(e.text, text);
}

static void wrong_inputs(void **unused) {
    (void)unused;
    struct toy t;
    two_layers(&t);
    struct session *s = toy_open(&t, 0);
    struct tensor x = toy_tensor(&t, SHAPE(2, 7), 1);
    refuses(s, &x, "input 'x': expected f32 [-1,8], got f32 [2,7]");
    x = toy_tensor(&t, SHAPE(8), 1);
    refuses(s, &x, "input 'x': expected f32 [-1,8], got f32 [8]");
    x = toy_tensor(&t, SHAPE(2, 8), 1);
    x.dtype = DT_I32;
    refuses(s, &x, "input 'x': expected f32 [-1,8], got i32 [2,8]");
    x.dtype = DT_NONE;
    refuses(s, &x, "input 'x' is missing");
    x.dtype = DT_F32;
    x.data = NULL;
    refuses(s, &x, "input 'x': f32 [2,8] is not a tensor");
    session_close(s);
    toy_deinit(&t);
}

static void no_rows(void **unused) {
    (void)unused;
    struct toy t;
    two_layers(&t);
    struct session *s = toy_open(&t, 0);
    struct tensor x = toy_tensor(&t, SHAPE(0, 8), 1), y = toy_answer(&t, s, &x);
    assert_int_equal(tensor_count(&y), 0);
    session_close(s);
    toy_deinit(&t);
}

/* Bytes at an odd address, as they lie in a message. */
static void misaligned_input(void **unused) {
    (void)unused;
    struct toy t;
    two_layers(&t);
    struct session *s = toy_open(&t, 0);
    struct tensor x = toy_tensor(&t, SHAPE(4, 8), 1), odd = x;
    char *bytes = arena_push(&t.arena, tensor_bytes(&x) + 1);
    odd.data = bytes + 1;
    memcpy(odd.data, x.data, tensor_bytes(&x));
    struct tensor y = toy_answer(&t, s, &odd);
    check_two_layers(&x, &y, t.g);
    session_close(s);
    toy_deinit(&t);
}

/* Outputs that are views of inputs are copies; one that is a constant stays. */
static void outputs_of_inputs(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1, 6));
    toy_output(&t, x);
    toy_output(&t, toy_node(&t, "reshape", IDS(x, INTS(&t, -1, 3))));
    toy_output(&t, toy_weights(&t, SHAPE(3), 5));
    struct session *s = toy_open(&t, 0);
    struct tensor in = toy_tensor(&t, SHAPE(4, 6), 1);
    struct session_run run;
    struct err e;
    struct session_ask ask = {.inputs = &in, .threads = 1};
    assert_int_equal(session_begin(s, &ask, &run, &e), OK);
    for (int i = 0; i < 2; i++) {
        assert_ptr_not_equal(run.outputs[i].data, in.data);
        assert_memory_equal(run.outputs[i].data, in.data, tensor_bytes(&in));
    }
    assert_int_equal(run.outputs[1].shape.dims[0], 8);
    assert_int_equal(run.outputs[2].shape.dims[0], 3);
    session_end(s, &run);
    session_close(s);
    toy_deinit(&t);
}

/* What is not wanted is not computed. */
static void wanted_outputs(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(4));
    toy_output(&t, toy_node(&t, "exp", IDS(x)));
    toy_output(&t, toy_node(&t, "neg", IDS(x)));
    struct session *s = toy_open(&t, 0);
    struct tensor in = toy_tensor(&t, SHAPE(4), 1);
    struct session_run run;
    struct session_step *rows;
    size_t n;
    struct err e;
    struct session_ask ask = {.inputs = &in, .threads = 1, .want = (bool[]){false, true}};
    assert_int_equal(session_begin(s, &ask, &run, &e), OK);
    assert_int_equal(run.outputs[0].dtype, DT_NONE);
    assert_int_equal(run.outputs[1].dtype, DT_F32);
    session_end(s, &run);
    assert_int_equal(session_explain(s, &ask, &t.arena, &rows, &n, &e), OK);
    assert_int_equal(n, 1);
    session_close(s);
    toy_deinit(&t);
}

/* An input with a default may be given or not. */
static void default_input(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(3)), d = toy_input(&t, "d", DT_F32, SHAPE(3));
    struct tensor def = toy_tensor(&t, SHAPE(3), 9), in[2] = {toy_tensor(&t, SHAPE(3), 1)};
    t.g->values[d].constant = &def;
    toy_output(&t, toy_node(&t, "add", IDS(x, d)));
    struct session *s = toy_open(&t, 0);
    const struct session_io *io;
    (void)session_inputs(s, &io);
    assert_true(io[1].optional);
    struct tensor y = toy_answer(&t, s, in);
    assert_true(tensor_f64(&y, 0) == tensor_f64(&in[0], 0) + tensor_f64(&def, 0));
    in[1] = toy_tensor(&t, SHAPE(3), 4);
    y = toy_answer(&t, s, in);
    assert_true(tensor_f64(&y, 1) == tensor_f64(&in[0], 1) + tensor_f64(&in[1], 1));
    session_close(s);
    toy_deinit(&t);
}

static void stopped_runs(void **unused) {
    (void)unused;
    struct toy t;
    two_layers(&t);
    struct session *s = toy_open(&t, 0);
    struct tensor x = toy_tensor(&t, SHAPE(2, 8), 1);
    bool cancel = true;
    struct session_run run;
    struct err e;
    struct session_ask ask = {.inputs = &x, .threads = 1, .cancel = &cancel};
    assert_int_equal(session_begin(s, &ask, &run, &e), ERR_CANCELLED);
    ask = (struct session_ask){.inputs = &x, .threads = 1, .deadline_ns = 1};
    assert_int_equal(session_begin(s, &ask, &run, &e), ERR_TIMEOUT);
    ask.deadline_ns = clock_ns() + 10000000000u;
    cancel = false;
    ask.cancel = &cancel;
    assert_int_equal(session_begin(s, &ask, &run, &e), OK);
    session_end(s, &run);
    session_close(s);
    toy_deinit(&t);
}

static void memory_limit(void **unused) {
    (void)unused;
    struct toy t;
    two_layers(&t);
    struct session *s;
    struct session_run run;
    struct err e;
    assert_int_equal(
        session_open(t.g->model, &(struct session_options){.memory_bytes = 1 << 16}, &s, &e), OK);
    struct tensor x = toy_tensor(&t, SHAPE(10000, 8), 1);
    struct session_ask ask = {.inputs = &x, .threads = 1};
    assert_int_equal(session_begin(s, &ask, &run, &e), ERR_LIMIT);
    x = toy_tensor(&t, SHAPE(10, 8), 1);
    assert_int_equal(session_begin(s, &ask, &run, &e), OK);
    session_end(s, &run);
    session_close(s);
    toy_deinit(&t);
}

/* Shapes that only data tells: non-zero positions, and what follows from them. */
static void late_steps(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1));
    value_id at = toy_node(&t, "non_zero", IDS(x)); /* (1, n) */
    value_id flat = toy_node(&t, "reshape", IDS(at, INTS(&t, -1)));
    toy_output(&t, toy_node(&t, "gather", IDS(x, flat)));
    for (unsigned off = 0; off <= 1; off++) {
        struct session *s = toy_open(&t, off ? ~0u : 0);
        float data[6] = {0, 1, 0, 2, 3, 0};
        for (int round = 0; round < 3; round++) {
            data[0] = (float)round;
            struct tensor in = {DT_F32, LAYOUT_PLAIN, {1, {6}}, data}, y = toy_answer(&t, s, &in);
            assert_int_equal(tensor_count(&y), round ? 4 : 3);
            assert_true(tensor_f64(&y, tensor_count(&y) - 1) == 3);
        }
        session_close(s);
    }
    toy_deinit(&t);
}

struct crowd {
    struct session *s;
    struct toy *t;
    const struct tensor *x;
    bool right;
};

static void *crowd_member(void *arg) {
    struct crowd *c = arg;
    c->right = true;
    for (int i = 0; i < 200; i++) {
        const struct tensor *x = &c->x[i % 5];
        struct session_run run;
        struct err e;
        struct session_ask ask = {.inputs = x, .threads = 1};
        if (session_begin(c->s, &ask, &run, &e) != OK) {
            c->right = false;
            break;
        }
        check_two_layers(x, &run.outputs[0], c->t->g);
        session_end(c->s, &run);
    }
    return NULL;
}

/* Many threads, more shapes than plans: every answer is its own. */
static void concurrent_runs(void **unused) {
    (void)unused;
    struct toy t;
    struct err e;
    struct session *s;
    two_layers(&t);
    assert_int_equal(session_open(t.g->model, &(struct session_options){.plans = 2}, &s, &e), OK);
    struct tensor x[5];
    for (int i = 0; i < 5; i++)
        x[i] = toy_tensor(&t, SHAPE(1 + 7 * i, 8), (unsigned)i);
    pthread_t threads[4];
    struct crowd crowd[4];
    for (int i = 0; i < 4; i++) {
        crowd[i] = (struct crowd){s, &t, x, false};
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, &crowd[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(crowd[i].right);
    }
    session_close(s);
    toy_deinit(&t);
}

/* The last byte of the session's only slab that a run writes. */
static size_t written(struct toy *t, struct session *s, const struct tensor *in) {
    (void)toy_answer(t, s, in);
    struct slab *slab = s->shop.slabs.idle;
    assert_non_null(slab);
    assert_null(slab->next);
    memset(slab->data, 0xA5, slab->bytes);
    (void)toy_answer(t, s, in);
    size_t n = slab->bytes;
    while (n && ((unsigned char *)slab->data)[n - 1] == 0xA5)
        n--;
    return n;
}

/* What the plan foretells is what the run takes, to the last cache line. */
static void memory_foretold(void **unused) {
    (void)unused;
    struct toy t;
    struct err e;
    struct session_needs needs = {0};
    struct session_run run;
    two_layers(&t);
    struct session *s = toy_open(&t, ~0u);
    for (int64_t rows = 1; rows < 100; rows += 7) {
        struct tensor x = toy_tensor(&t, SHAPE(rows, 8), 1);
        struct session_ask ask = {.inputs = &x, .threads = 2}; /* as toy_answer asks */
        assert_int_equal(session_predict(s, &ask, &needs, &e), OK);
        assert_int_equal(needs.late, 0);
        assert_true(needs.live_bytes <= needs.slab_bytes);
        assert_int_equal(session_begin(s, &ask, &run, &e), OK);
        assert_int_equal(run.memory_bytes, needs.slab_bytes);
        session_end(s, &run);
        size_t top = written(&t, s, &x);
        assert_true(top <= needs.slab_bytes && top + MEM_LINE > needs.slab_bytes);
    }
    session_close(s);
    toy_deinit(&t);
}

/* Late steps take more, as much as the data asks for. */
static void memory_of_late_steps(void **unused) {
    (void)unused;
    struct toy t;
    struct err e;
    struct session_needs needs;
    struct session_run run;
    toy_init(&t);
    value_id n = toy_input(&t, "n", DT_I64, SHAPE(1));
    toy_output(&t, toy_node(&t, "constant_of_shape", IDS(n)));
    struct session *s = toy_open(&t, 0);
    for (int64_t k = 1; k < 10000; k *= 10) {
        struct tensor in = {DT_I64, LAYOUT_PLAIN, *SHAPE(1), &k};
        struct session_ask ask = {.inputs = &in, .threads = 1};
        assert_int_equal(session_predict(s, &ask, &needs, &e), OK);
        assert_int_equal(needs.late, 1);
        assert_int_equal(session_begin(s, &ask, &run, &e), OK);
        assert_int_equal(run.memory_bytes,
                         needs.slab_bytes + mem_round_up((size_t)k * sizeof(float), MEM_LINE));
        session_end(s, &run);
    }
    session_close(s);
    toy_deinit(&t);
}

/* x + 3, limited, times x: the product is a post that reads x after the sum has been written. */
static void posts_read_what_was(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id in = toy_input(&t, "x", DT_F32, SHAPE(-1, 8)), x = toy_node(&t, "exp", IDS(in));
    value_id sum = toy_node(&t, "add", IDS(x, toy_number(&t, 3)));
    value_id y = toy_node(&t, "clip", IDS(sum, toy_number(&t, 0), toy_number(&t, 5)));
    toy_output(&t, toy_node(&t, "mul", IDS(x, y)));
    struct tensor data = toy_tensor(&t, SHAPE(2, 8), 1);
    toy_equivalent(&t, &data, 1e-6);
    toy_deinit(&t);
}

/* A constant that is only reshaped, and nothing is folded. */
static void views_of_constants(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(-1, 3, 2));
    value_id b = toy_node(&t, "reshape", IDS(toy_weights(&t, SHAPE(3), 1), INTS(&t, 1, 3, 1)));
    toy_output(&t, toy_node(&t, "add", IDS(x, b)));
    struct tensor data = toy_tensor(&t, SHAPE(2, 3, 2), 1);
    toy_equivalent(&t, &data, 0);
    toy_deinit(&t);
}

static void pass_names(void **unused) {
    (void)unused;
    assert_true(pass_count() > 5);
    for (size_t i = 0; i < pass_count(); i++)
        assert_non_null(pass_name(i));
    assert_null(pass_name(pass_count()));
}

static bool steady(struct toy *t, value_id y, const struct tensor *in) {
    toy_output(t, y);
    struct session *s = toy_open(t, 0);
    toy_answer(t, s, in);
    bool yes = session_steady(s);
    session_close(s);
    toy_deinit(t);
    return yes;
}

/* A free dim, a shape that data decides, a branch: a run may cost anything. */
static void knows_what_costs_the_same(void **unused) {
    (void)unused;
    struct toy t;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(2, 3));
    struct tensor in = toy_tensor(&t, SHAPE(2, 3), 1);
    assert_true(steady(&t, toy_node(&t, "exp", IDS(x)), &in));
    toy_init(&t);
    x = toy_input(&t, "x", DT_F32, SHAPE(2, -1));
    in = toy_tensor(&t, SHAPE(2, 3), 1);
    assert_false(steady(&t, toy_node(&t, "exp", IDS(x)), &in));
    toy_init(&t);
    x = toy_input(&t, "n", DT_I64, SHAPE(1));
    int64_t three = 3;
    in = (struct tensor){DT_I64, LAYOUT_PLAIN, *SHAPE(1), &three};
    assert_false(steady(&t, toy_node(&t, "constant_of_shape", IDS(x)), &in));
}

/* How many steps of a run oneDNN does. */
static int generated(struct toy *t, struct session *s, const struct tensor *x) {
    struct session_step *rows;
    size_t n;
    struct err e;
    int sum = 0;
    struct session_ask ask = {.inputs = x, .threads = 1};
    assert_int_equal(session_explain(s, &ask, &t->arena, &rows, &n, &e), OK);
    for (size_t k = 0; k < n; k++)
        sum += str_starts(rows[k].kernel, "dnnl");
    return sum;
}

/* A brief session compiles nothing that one run cannot pay for, and answers the same. */
static void brief(void **unused) {
    (void)unused;
    struct toy t;
    struct session *brief, *usual;
    struct err e;
    toy_init(&t);
    value_id x = toy_input(&t, "x", DT_F32, SHAPE(1, 16, 24, 24));
    value_id y = toy_node(&t, "conv", IDS(x, toy_weights(&t, SHAPE(32, 16, 1, 1), 1)));
    toy_output(&t, toy_node(&t, "relu", IDS(y)));
    struct tensor in = toy_tensor(&t, SHAPE(1, 16, 24, 24), 2);
    usual = toy_open(&t, 0);
    assert_int_equal(session_open(t.g->model, &(struct session_options){.brief = true}, &brief, &e),
                     OK);
    struct tensor a = toy_answer(&t, usual, &in), b = toy_answer(&t, brief, &in);
    toy_same(&a, &b, 1e-5);
    assert_int_equal(generated(&t, brief, &in), 0);
    if (cpu_flags() & CPU_AVX512)
        assert_int_equal(generated(&t, usual, &in), 1);
    session_close(brief);
    session_close(usual);
    toy_deinit(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(tables_are_found),
        cmocka_unit_test(read_after_written),
        cmocka_unit_test(ends),
        cmocka_unit_test(plans_are_bounded),
        cmocka_unit_test(steady_runs_allocate_nothing),
        cmocka_unit_test(wrong_inputs),
        cmocka_unit_test(no_rows),
        cmocka_unit_test(misaligned_input),
        cmocka_unit_test(outputs_of_inputs),
        cmocka_unit_test(wanted_outputs),
        cmocka_unit_test(default_input),
        cmocka_unit_test(stopped_runs),
        cmocka_unit_test(memory_limit),
        cmocka_unit_test(late_steps),
        cmocka_unit_test(concurrent_runs),
        cmocka_unit_test(memory_foretold),
        cmocka_unit_test(memory_of_late_steps),
        cmocka_unit_test(posts_read_what_was),
        cmocka_unit_test(views_of_constants),
        cmocka_unit_test(pass_names),
        cmocka_unit_test(knows_what_costs_the_same),
        cmocka_unit_test(brief),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
