/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/trail.c"

#include "../base/check.h"

#include <fcntl.h>

static int pair[2];
static char got[1 << 17];

static size_t collect(void) {
    ssize_t n = read(pair[0], got, sizeof got - 1);
    got[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static int open_pipe(void **state) {
    (void)state;
    return pipe2(pair, O_NONBLOCK);
}

static int close_pipe(void **state) {
    (void)state;
    close(pair[0]);
    return close(pair[1]);
}

static struct trail_line line(void) {
    return (struct trail_line){.request_id = LIT("id-1"),
                               .peer = LIT("127.0.0.1:9"),
                               .method = LIT("POST"),
                               .target = LIT("/predict/m?\"x\"\n"),
                               .protocol = LIT("predict"),
                               .status = 200,
                               .bytes_in = 12,
                               .bytes_out = 34,
                               .total_ns = 1234567,
                               .model = LIT("m"),
                               .version = 3,
                               .queue_ns = 1000,
                               .compute_ns = 2000,
                               .batch_rows = 4};
}

static void test_line(void **state) {
    (void)state;
    struct trail t;
    struct trail_line l = line();
    trail_init(&t, pair[1], true, 0);
    trail_put(&t, &l, false);
    trail_put(&t, &l, true); /* quiet */
    assert_int_equal(collect(), 0);
    trail_flush(&t);
    collect();
    const char *rest = strstr(got, ",\"id\"");
    assert_non_null(rest);
    assert_string_equal(rest,
                        ",\"id\":\"id-1\",\"peer\":\"127.0.0.1:9\",\"method\":\"POST\",\"path\":\"/"
                        "predict/m?\\\"x\\\"\\n\",\"protocol\":\"predict\",\"model\":\"m\","
                        "\"version\":3,\"status\":200,\"bytes_in\":12,\"bytes_out\":34,\"ms\":1."
                        "234,\"queue_ms\":0.001,\"compute_ms\":0.002,\"batch\":4}\n");
    l = (struct trail_line){.status = 404, .error = LIT("why"), .total_ns = 999};
    trail_put(&t, &l, false);
    trail_deinit(&t);
    collect();
    assert_non_null(strstr(
        got, "\"status\":404,\"bytes_in\":0,\"bytes_out\":0,\"ms\":0.000,\"error\":\"why\"}\n"));
    assert_null(strstr(got, "batch"));
}

static void test_gathers(void **state) {
    (void)state;
    struct trail t;
    struct trail_line l = line();
    trail_init(&t, pair[1], true, 0);
    int n = 0;
    while (t.lines.n || n == 0) { /* until the first write by itself */
        trail_put(&t, &l, false);
        n++;
    }
    assert_true(n > 50);
    size_t bytes = collect();
    assert_true(bytes >= FLUSH_BYTES && got[bytes - 1] == '\n');
    trail_deinit(&t);
}

static void test_a_full_pipe_drops(void **state) {
    (void)state;
    struct trail t;
    struct trail_line l = line();
    trail_init(&t, pair[1], true, 0);
    for (int i = 0; i < 2000; i++)
        trail_put(&t, &l, false);
    assert_true(t.dropped > 0);
    assert_true(t.lines.n < 2 * FLUSH_BYTES);
    trail_deinit(&t);
    while (collect())
        ;
}

static void test_slow(void **state) {
    (void)state;
    struct trail t;
    struct trail_line l = line();
    log_setup(LOG_WARN, LOG_JSON, pair[1]);
    trail_init(&t, pair[1], false, 1);
    l.total_ns = 999999;
    trail_put(&t, &l, true);
    assert_int_equal(collect(), 0);
    l.total_ns = 1000000;
    trail_put(&t, &l, true);
    collect();
    assert_non_null(strstr(got, "slow request"));
    assert_non_null(strstr(got, "\"id\":\"id-1\""));
    trail_deinit(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_line, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_gathers, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_a_full_pipe_drops, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_slow, open_pipe, close_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
