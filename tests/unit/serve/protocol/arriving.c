/* SPDX-License-Identifier: Apache-2.0 */
/* What a Triton load brings: a file, a configuration. What a configuration becomes, and what is
 * refused by name. The load itself is tests/clients/test_triton_client.py's. */
#include "serve/protocol/arriving.c"

#include "../stand.h"

static struct stand s;
static struct err e;
static struct arriving *in;

static int begin(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    return 0;
}

static int end(void **state) {
    (void)state;
    stand_close(&s);
    return 0;
}

static enum code config(const char *text) {
    struct request *r = stand_text(&s, "");
    in = arriving_new(r, &e);
    in->config = str_of(text);
    return take_config(r, in, &e);
}

static void test_advice(void **state) {
    (void)state;
    assert_ok(config(""));
    assert_false(policy_advises(&in->advice));
    assert_ok(config("{\"name\": \"m\", \"backend\": \"onnxruntime\", \"x\": [{}]}"));
    assert_false(policy_advises(&in->advice));
    assert_ok(config("{\"max_batch_size\": \"16\", \"instance_group\": [{\"count\": 2, \"kind\": "
                     "\"KIND_CPU\"}, {\"count\": \"1\"}, {}], \"dynamic_batching\": "
                     "{\"max_queue_delay_microseconds\": \"100\", \"default_queue_policy\": "
                     "{\"max_queue_size\": 7, \"x\": 1}, \"preferred_batch_size\": [4]}}"));
    assert_true(in->advice.batch == 16 && in->advice.instances == 3);
    assert_true(in->advice.wait_us == 100 && in->advice.queue == 7);
    assert_ok(config("{\"dynamic_batching\": {}}")); /* Triton's default: nothing waits */
    assert_true(in->advice.wait_us == 0 && in->advice.batch < 0);
    assert_null(in->guise);
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *config, *why;
    } cases[] = {
        {"{\"name\": \"n\"}", "the config is of model 'n', not 'm'"},
        {"{\"max_batch_size\": -1}", "max_batch_size may not be negative"},
        {"{\"max_batch_size\": \"many\"}", "max_batch_size is a number"},
        {"{\"max_batch_size\": 1.5}", ""},
        {"{\"instance_group\": {}}", "expected an array"},
        {"{\"instance_group\": [{\"kind\": \"KIND_GPU\"}]}", "on a GPU"},
        {"{\"instance_group\": [{\"count\": \"9223372036854775807\"}, {\"count\": 1}]}",
         "count is too large"},
        {"{\"ensemble_scheduling\": {}}", "\"ensemble_scheduling\" is not supported"},
        {"{\"sequence_batching\": {}}", "\"sequence_batching\" is not supported"},
        {"{\"dynamic_batching\": {\"max_queue_delay_microseconds\": \"soon\"}}", "is a number"},
        {"{\"input\": {}}", "expected an array"},
        {"{\"input\": [{\"name\": \"x\", \"dims\": [-2], \"reshape\": {}}]}", "-1 or more"},
        {"{\"input\": [{\"name\": \"x\", \"dims\": [\"a\"], \"reshape\": {}}]}", "is a number"},
        {"{\"input\": [{\"name\": \"x\", \"dims\": [1,1,1,1,1,1,1,1], \"reshape\": {}}]}",
         "more than 7 dims"},
        {"{\"input\": [{\"name\": \"x\", \"dims\": [4], \"reshape\": {\"shape\": [3]}}]}",
         "'x': [4] cannot be reshaped to [3]"},
        {"{\"input\": [{\"name\": \"x\", \"reshape\": {\"size\": 3}}]}", "no member \"size\""},
        {"{\"input\": [{\"name\": \"x\", \"reshape\": 3}]}", "expected an object"},
        {"{} {}", ""},
        {"[]", ""},
        {"{", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum code code = config(cases[i].config);
        if (code != ERR_INVALID || !strstr(e.text, cases[i].why))
            stop("%s: %s \"%s\"", cases[i].config, err_name(code), e.text);
    }
}

/* Dims with a reshape are a guise; the batch is in front exactly when max_batch_size is above 0,
 * wherever that stands. */
static void test_guise(void **state) {
    (void)state;
    struct guise g;
    static const char tensors[] =
        "\"input\": [{\"name\": \"x\", \"data_type\": \"TYPE_FP32\", \"dims\": [\"2\", 2], "
        "\"reshape\": {\"shape\": [4]}}, {\"name\": \"plain\", \"dims\": [1]}], "
        "\"output\": [{\"name\": \"y\", \"dims\": [1], \"reshape\": {\"shape\": []}}]";
    char text[400];
    static const char *const heads[] = {"{%s, \"max_batch_size\": 8}", "{%s}",
                                        "{\"max_batch_size\": 0, %s}"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(text, sizeof text, i == 0 ? heads[0] : i == 1 ? heads[1] : heads[2], tensors);
        assert_ok(config(text));
        assert_ok(guise_parse(in->arrival.guise, s.r.arena, &g, &e));
        assert_int_equal(g.n_tensors, 2);
        assert_true(g.tensors[1].output && str_is(g.tensors[1].name, "y"));
        assert_int_equal(g.batch, i == 0 ? 8 : 0);
        if (i == 0)
            assert_true(shape_eq(&g.tensors[0].wire, &(struct shape){3, {-1, 2, 2}}));
    }
}

static void test_a_file(void **state) {
    (void)state;
    struct request *r = stand_text(&s, "");
    const struct span bytes = {(const uint8_t *)"abc", 3};
    in = arriving_new(r, &e);
    assert_ptr_equal(r->notes, in);
    assert_ok(arriving_file(r, in, LIT("file:1/model.onnx"), bytes, &e));
    assert_str(in->arrival.origin, "1/model.onnx");
    assert_str(in->arrival.model, "m");
    assert_fails(arriving_file(r, in, LIT("file:1/model.bin"), bytes, &e), INVALID,
                 "one file is taken");
}

static void test_words(void **state) {
    (void)state;
    assert_string_equal(arriving_state(LIVE_READY), "READY");
    assert_string_equal(arriving_state(LIVE_LOADING), "LOADING");
    assert_string_equal(arriving_state(LIVE_DRAINING), "UNLOADING");
    assert_string_equal(arriving_state(LIVE_FAILED), "UNAVAILABLE");
    assert_string_equal(arriving_state(LIVE_UNLOADED), "UNAVAILABLE");
    /* what is said to be joined: the policy's, else the host's; nothing where it does not batch */
    struct request *r = stand_text(&s, "");
    struct guise g = {.batch = 0};
    r->ask.live = &s.live;
    s.host.options.batch = 32;
    assert_int_equal(arriving_batch(r), 32);
    atomic_store(&s.live.batch_limit, 5);
    assert_int_equal(arriving_batch(r), 5);
    s.live.guise = &g;
    assert_int_equal(arriving_batch(r), 0);
    s.live.guise = NULL;
    s.live.batches = false;
    assert_int_equal(arriving_batch(r), 0);
    r->ask.live = NULL;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_advice), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_guise),  cmocka_unit_test(test_a_file),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
