/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/expose.c"

#include "../base/check.h"

static char *text(void) {
    static struct buf b;
    if (!b.cap_bytes)
        buf_init(&b, 1 << 20);
    buf_clear(&b);
    expose_text(&b);
    buf_put_byte(&b, '\0');
    assert_int_equal(b.code, OK);
    return b.p;
}

static void has(const char *all, const char *part) {
    if (!strstr(all, part))
        stop("no \"%s\" in:\n%s", part, all);
}

static const struct counter_family total = {.name = "t_total",
                                            .help = "Two\nlines \\ and \"quotes\".",
                                            .kind = COUNTER_TOTAL,
                                            .n_labels = 1,
                                            .labels = {"who"}};
static const struct counter_family level = {.name = "t_level", .help = "L.", .kind = COUNTER_GAUGE};
static const struct counter_family spread = {.name = "t_seconds",
                                             .help = "S.",
                                             .kind = COUNTER_HISTOGRAM,
                                             .n_labels = 1,
                                             .labels = {"m"},
                                             .n_buckets = 2,
                                             .buckets = {0.005, 2}};

static void test_families(void **state) {
    (void)state;
    struct counter *t = counter_get(&total, &LIT("a\"b\\c\nd")), *g = counter_get(&level, NULL),
                   *h = counter_get(&spread, &LIT("x"));
    counter_add(t, 41);
    counter_add(t, 1);
    counter_set(g, -7);
    counter_observe(h, 0.0);
    counter_observe(h, 1.5);
    counter_observe(h, 3);
    counter_observe(h, 3);
    const char *all = text();
    has(all, "# HELP t_total Two\\nlines \\\\ and \"quotes\".\n# TYPE t_total "
             "counter\nt_total{who=\"a\\\"b\\\\c\\nd\"} 42\n");
    has(all, "# TYPE t_level gauge\nt_level -7\n");
    has(all, "# TYPE t_seconds histogram\nt_seconds_bucket{m=\"x\",le=\"0.005\"} "
             "1\nt_seconds_bucket{m=\"x\",le=\"2\"} 2\n"
             "t_seconds_bucket{m=\"x\",le=\"+Inf\"} 4\nt_seconds_sum{m=\"x\"} "
             "7.5\nt_seconds_count{m=\"x\"} 4\n");
    counter_drop(g);
    assert_null(strstr(text(), "t_level -7"));
}

static void test_process(void **state) {
    (void)state;
    static const char *const names[] = {"process_cpu_seconds_total",
                                        "process_resident_memory_bytes",
                                        "process_virtual_memory_bytes",
                                        "process_open_fds",
                                        "process_max_fds",
                                        "process_start_time_seconds"};
    const char *all = text();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char line[80];
        snprintf(line, sizeof line, "\n%s ", names[i]);
        const char *at = strstr(all, line);
        assert_non_null(at);
        assert_true(strtod(at + strlen(line), NULL) > 0);
    }
    const char *at = strstr(all, "\nprocess_start_time_seconds ");
    double now = (double)clock_wall_us() * 1e-6, start = strtod(at + 28, NULL);
    assert_true(now - start >= -0.1 && now - start < 600);
    at = strstr(all, "\nprocess_open_fds ");
    double before = strtod(at + 18, NULL);
    int fd = open("/dev/null", O_RDONLY);
    at = strstr(text(), "\nprocess_open_fds ");
    assert_true(strtod(at + 18, NULL) == before + 1);
    close(fd);
}

static void test_numbers(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    const double values[] = {0, -3, 0.1, 1e21, NAN, INFINITY, -INFINITY, 123456789012};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        expose_sample(&b, "x", &(struct expose_label){"l", LIT("v")}, 1, values[i]);
    buf_put_byte(&b, '\0');
    assert_string_equal(b.p, "x{l=\"v\"} 0\nx{l=\"v\"} -3\nx{l=\"v\"} 0.1\nx{l=\"v\"} "
                             "1e21\nx{l=\"v\"} NaN\nx{l=\"v\"} +Inf\nx{l=\"v\"} -Inf\n"
                             "x{l=\"v\"} 123456789012\n");
    buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
