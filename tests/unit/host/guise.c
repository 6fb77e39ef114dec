/* SPDX-License-Identifier: Apache-2.0 */
#include "host/guise.c"

#include "../base/check.h"

static struct arena arena;
static struct err e;

static void a_round_trip(void **state) {
    static struct guise g;
    struct buf b;
    (void)state;
    const char *text =
        "{\"tensors\":[{\"name\":\"x\",\"wire\":[-1,4],\"model\":[-1,2,2]},"
        "{\"name\":\"y\",\"output\":true,\"wire\":[-1],\"model\":[-1,1]}],\"batch\":0,"
        "\"preferred\":[4,8],\"levels\":3,\"level\":1,\"parameters\":{\"a\":\"b\",\"c\":\"\"}}";
    buf_init(&b, GUISE_BYTES);
    assert_ok(guise_parse(str_of(text), &arena, &g, &e));
    assert_true(g.n_tensors == 2 && g.tensors[1].output && g.tensors[0].model.rank == 3);
    guise_write(&g, &b);
    assert_true(str_is(buf_str(&b), text));
    buf_clear(&b);
    assert_ok(guise_parse(LIT("{}"), &arena, &g, &e));
    guise_write(&g, &b);
    assert_true(b.n == 0 && g.batch == -1);
    buf_deinit(&b);
}

static void what_is_wrong(void **state) {
    static struct guise g;
    static const char *const texts[][2] = {
        {"{\"colour\":1}", "\"colour\""},
        {"{\"tensors\":[{\"wire\":[-2]}]}", "a dim is -1 or more"},
        {"{\"tensors\":[{\"wire\":[1,1,1,1,1,1,1,1,1]}]}", "more than 8 dims"},
        {"{\"tensors\":[{\"name\":\"x\",\"wire\":[4],\"model\":[3]}]}", "'x': [4] cannot be"},
        {"{\"batch\":\"1\"}", "guise"},
        {"{} {}", "guise"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_fails(guise_parse(str_of(texts[i][0]), &arena, &g, &e), INVALID, texts[i][1]);
}

/* From [2, 4, -1, 6] to [8, -1, 1, 6], as Triton's own check has it. */
static void shapes(void **state) {
    static struct guise g;
    static const struct {
        struct shape wire, model;
        bool fits;
    } cases[] = {
        {{4, {2, 4, -1, 6}}, {4, {8, -1, 1, 6}}, true},
        {{4, {2, 4, -1, 6}}, {4, {4, -1, 2, 6}}, false},
        {{1, {1}}, {0, {0}}, true},
        {{1, {2}}, {0, {0}}, false},
        {{2, {-1, -1}}, {2, {-1, -1}}, true},
        {{2, {-1, -1}}, {1, {-1}}, false},
        {{1, {-1}}, {2, {-1, 2}}, false},
        {{3, {1LL << 40, 1LL << 40, 1}}, {1, {1}}, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guise_tensor t = {LIT("t"), false, cases[i].wire, cases[i].model};
        guise_init(&g);
        assert_true((guise_add(&g, &t, &e) == OK) == cases[i].fits);
        assert_int_equal(g.n_tensors, cases[i].fits);
    }
    const struct guise_tensor one = {LIT("t"), false, {1, {4}}, {2, {2, 2}}};
    for (guise_init(&g); g.n_tensors < GUISE_TENSORS;)
        assert_ok(guise_add(&g, &one, &e));
    assert_fails(guise_add(&g, &one, &e), LIMIT, "more than 64");
    guise_batched(&g);
    assert_true(shape_eq(&g.tensors[63].wire, &(struct shape){2, {-1, 4}}));
    assert_true(shape_eq(&g.tensors[63].model, &(struct shape){3, {-1, 2, 2}}));
}

/* A tensor's place among a session's, which has the shape that it says. */
static void places(void **state) {
    const struct live_io io[] = {{.name = LIT("a"), .shape = {2, {-1, 4}}},
                                 {.name = LIT("b"), .shape = {1, {3}}}};
    struct guise_tensor t = {.name = LIT("a"), .model = {2, {7, 4}}};
    size_t at = 9;
    (void)state;
    assert_ok(guise_place(&t, io, 2, &at, &e));
    assert_int_equal(at, 0);
    t.model = (struct shape){2, {-1, 5}};
    assert_fails(guise_place(&t, io, 2, &at, &e), INVALID,
                 "reshape of 'a' to [-1,5]: the model has [-1,4]");
    t.model = (struct shape){1, {4}};
    assert_fails(guise_place(&t, io, 2, &at, &e), INVALID, "the model has [-1,4]");
    t.name = LIT("c");
    assert_fails(guise_place(&t, io, 2, &at, &e), INVALID, "the model has no input 'c'");
    t.output = true;
    assert_fails(guise_place(&t, io, 2, &at, &e), INVALID, "the model has no output 'c'");
    assert_int_equal(at, 0);
}

static void turning(void **state) {
    struct shape wire = {3, {-1, 4, -1}}, model = {4, {-1, 2, 2, -1}}, out;
    (void)state;
    assert_true(guise_turn(&wire, &model, &(struct shape){3, {7, 4, 5}}, &out));
    assert_true(shape_eq(&out, &(struct shape){4, {7, 2, 2, 5}}));
    assert_true(guise_turn(&model, &wire, &out, &out));
    assert_true(shape_eq(&out, &(struct shape){3, {7, 4, 5}}));
    assert_false(guise_turn(&wire, &model, &(struct shape){3, {7, 3, 5}}, &out));
    assert_false(guise_turn(&wire, &model, &(struct shape){2, {7, 4}}, &out));
    assert_false(guise_turn(&wire, &(struct shape){1, {-1}}, &(struct shape){3, {7, 4, 5}}, &out));
}

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_trip), cmocka_unit_test(what_is_wrong), cmocka_unit_test(shapes),
        cmocka_unit_test(places),       cmocka_unit_test(turning),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
