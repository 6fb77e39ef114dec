/* SPDX-License-Identifier: Apache-2.0 */
/* What is serving: the server, our services, models. */
#include "serve/protocol/grpc_health.c"

#include "../stand.h"

static struct stand s;
static struct err e;

static int begin(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    s.server.host = &s.host;
    atomic_store(&s.host.ready, true);
    return 0;
}

static int end(void **state) {
    (void)state;
    stand_close(&s);
    return 0;
}

/* The status answered; -1: none, e says why. */
static int ask(const char *service) {
    struct buf b;
    buf_init(&b, 1 << 10);
    pb_put_str(&b, 1, str_of(service));
    struct request *r = stand_ask(&s, b.p, b.n);
    int status = -1;
    if (check(r, &e) == OK) {
        const char *text = stand_answer(&s);
        assert_true(answer_bytes(r) == 2 && text[0] == 1 << 3);
        status = text[1];
    }
    buf_deinit(&b);
    return status;
}

static void services_and_models(void **state) {
    (void)state;
    for (size_t i = 0; i < SERVICES; i++)
        assert_int_equal(ask(services[i]), SERVING);
    assert_int_equal(ask("m"), SERVING);
    assert_int_equal(ask("nobody"), -1);
    assert_true(e.code == ERR_NOT_FOUND && strstr(e.text, "'nobody'"));
    atomic_store(&s.live.state, LIVE_LOADING);
    assert_int_equal(ask("m"), NOT_SERVING);
    assert_int_equal(ask(""), SERVING);
    atomic_store(&s.server.unready, true);
    assert_int_equal(ask(""), NOT_SERVING);
    assert_int_equal(ask("inference.GRPCInferenceService"), NOT_SERVING);
    stand_ask(&s, "\xa\x7f", 2); /* a name that is not there */
    assert_true(check(&s.r, &e) != OK);
}

static void all_of_them(void **state) {
    struct pb_field f;
    struct pb p;
    bool more = true;
    size_t n = 0;
    (void)state;
    struct request *r = stand_text(&s, "");
    assert_ok(list(r, &e));
    pb_init(&p, r->response.parts[0]);
    for (; more; n++)
        assert_ok(pb_next(&p, &f, &more, &e));
    assert_int_equal(n, SERVICES + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(services_and_models, begin, end),
        cmocka_unit_test_setup_teardown(all_of_them, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
