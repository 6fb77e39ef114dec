/* SPDX-License-Identifier: Apache-2.0 */
/* What models take and give, as Triton's messages: metadata, readiness, the configuration with what
 * a config.pbtxt said. */
#include "serve/protocol/catalog_grpc.c"

#include "../stand.h"

static struct stand s;
static struct err e;
static struct live_io x_io, y_io;

static int set_up(void **state) {
    (void)state;
    x_io = stand_io("x", DT_F32, STAND_DIMS(-1, 4));
    y_io = stand_io("y", DT_I64, STAND_DIMS(-1));
    x_io.optional = true;
    stand_open(&s, &x_io, 1, &y_io, 1);
    s.host.options.batch = 32;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    ask_end(&s.r.ask);
    stand_close(&s);
    return 0;
}

static enum code ask(enum code (*page)(struct request *, struct err *), const char *name,
                     const char *version) {
    static struct buf b;
    buf_init(&b, 1 << 10);
    pb_put_str(&b, 1, str_of(name));
    pb_put_str(&b, 2, str_of(version));
    ask_end(&s.r.ask);
    struct request *r = stand_ask(&s, NULL, 0);
    struct str body = arena_str(r->arena, buf_str(&b));
    buf_deinit(&b);
    r->body = (struct span){(const uint8_t *)body.p, body.n};
    return page(r, &e);
}

static struct span answer(void) { return s.r.response.parts[0]; }

static bool is(struct span bytes, const char *text) {
    return bytes.n == strlen(text) && memcmp(bytes.p, text, bytes.n) == 0;
}

/* false is nothing on the wire */
static bool is_ready(const char *model, const char *version) {
    assert_ok(ask(model_ready, model, version));
    return s.r.response.n_parts && stand_field(answer(), 1, 0).n == 1;
}

static void which_models(void **state) {
    (void)state;
    assert_true(is_ready("m", "") && is_ready("m", "3"));
    assert_false(is_ready("m", "4") || is_ready("z", "")); /* not an error: as Triton */
    assert_fails(ask(model_ready, "m", "x"), INVALID, "'x' is not a version");
    assert_fails(ask(model_metadata, "m", "4"), NOT_FOUND, "version 4");
    assert_fails(ask(model_metadata, "z", ""), NOT_FOUND, "'z'");
    atomic_store(&s.live.state, LIVE_LOADING);
    assert_false(is_ready("m", ""));
    atomic_store(&s.live.state, LIVE_READY);
    assert_ok(ask(model_metadata, "m", ""));
    assert_true(is(stand_field(answer(), 1, 0), "m") && is(stand_field(answer(), 2, 0), "3"));
    struct span x = stand_field(answer(), 4, 0), y = stand_field(answer(), 5, 0);
    assert_true(is(stand_field(x, 1, 0), "x") && is(stand_field(x, 2, 0), "FP32"));
    assert_true(is(stand_field(y, 1, 0), "y") && is(stand_field(y, 2, 0), "INT64"));
    assert_true(is(stand_field(y, 3, 0), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1")); /* -1 */
}

static void a_plain_configuration(void **state) {
    (void)state;
    assert_ok(ask(model_config, "m", ""));
    struct span c = stand_field(answer(), 1, 0), x = stand_field(c, 5, 0);
    assert_true(is(stand_field(c, 1, 0), "m") && stand_field(c, 4, 0).n == 32);
    assert_true(is(stand_field(x, 4, 0), "\4") && stand_field(x, 8, 0).n == 1); /* dims, optional */
    assert_null(stand_field(x, 5, 0).p);
    assert_null(stand_field(c, 14, 0).p);
    atomic_store(&s.live.batch_limit, 8);
    atomic_store(&s.live.run_limit, 2);
    assert_ok(ask(model_config, "m", ""));
    c = stand_field(answer(), 1, 0);
    assert_true(stand_field(c, 4, 0).n == 8 && stand_field(stand_field(c, 7, 0), 2, 0).n == 2);
}

static void what_a_configuration_said(void **state) {
    static const struct guise_tensor t = {LIT("x"), false, {2, {-1, 4}}, {3, {-1, 2, 2}}};
    static struct guise g = {.n_tensors = 1,
                             .batch = 8,
                             .preferred = {4, 8},
                             .n_preferred = 2,
                             .levels = 3,
                             .level = 1,
                             .pairs = {{LIT("k"), LIT("v")}},
                             .n_pairs = 1};
    const struct guise_tensor *in[] = {&t}, *out[] = {NULL};
    (void)state;
    s.live.guise = &g;
    s.live.input_guises = in;
    s.live.output_guises = out;
    assert_ok(ask(model_config, "m", ""));
    struct span c = stand_field(answer(), 1, 0), batching = stand_field(c, 11, 0);
    assert_true(is(stand_field(stand_field(stand_field(c, 5, 0), 5, 0), 1, 0), "\2\2"));
    assert_null(stand_field(stand_field(c, 6, 0), 5, 0).p);
    assert_true(is(stand_field(batching, 1, 0), "\4\10"));
    assert_true(stand_field(batching, 4, 0).n == 3 && stand_field(batching, 5, 0).n == 1);
    struct span pair = stand_field(c, 14, 0);
    assert_true(is(stand_field(pair, 1, 0), "k") &&
                is(stand_field(stand_field(pair, 2, 0), 1, 0), "v"));
    g.batch = 0; /* dims are whole, and nothing is batched */
    assert_ok(ask(model_config, "m", ""));
    c = stand_field(answer(), 1, 0);
    assert_true(!stand_field(c, 4, 0).p && !stand_field(c, 11, 0).p);
    assert_true(
        is(stand_field(stand_field(c, 5, 0), 4, 0), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\4"));
    s.live.guise = NULL;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(which_models, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plain_configuration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_configuration_said, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
