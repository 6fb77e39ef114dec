/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/meter.c"

#include "../base/check.h"

static struct meter m;

struct sum {
    const char *family, *model, *code;
    int64_t value;
    size_t series;
};

static void visit(void *ctx, const struct counter_family *f, const struct str *labels,
                  const int64_t *values, double total) {
    struct sum *s = ctx;
    (void)total;
    if (strcmp(f->name, s->family) != 0)
        return;
    s->series++;
    if (str_is(labels[0], s->model) && (!s->code || str_is(labels[3], s->code)))
        s->value += values[0];
}

static struct sum look(const char *family, const char *model, const char *code) {
    struct sum s = {.family = family, .model = model, .code = code};
    counter_visit(visit, &s);
    return s;
}

static void test_counts(void **state) {
    (void)state;
    static const char oip[] = "oip", tf[] = "tfserving";
    for (int i = 0; i < 5; i++)
        meter_request(&m, LIT("a"), 1, oip, 200, 1000);
    meter_request(&m, LIT("a"), 1, oip, 404, 1000);
    meter_request(&m, LIT("a"), 2, oip, 200, 1000);
    meter_request(&m, LIT("a"), 1, tf, 200, 1000);
    meter_request(&m, LIT(""), 0, "", 404, 1000);
    assert_int_equal(look("slipway_requests_total", "a", "200").value, 7);
    assert_int_equal(look("slipway_requests_total", "a", "404").value, 1);
    assert_int_equal(look("slipway_requests_total", "", "404").value, 1);
    assert_int_equal(look("slipway_requests_total", "a", "200").series, 5);
    assert_int_equal(look("slipway_request_duration_seconds", "a", NULL).series, 4);
}

static void test_series_are_bounded(void **state) {
    (void)state;
    char name[32];
    for (int i = 0; i < 4 * METER_ROWS; i++) {
        snprintf(name, sizeof name, "model-%d", i);
        meter_request(&m, str_of(name), 1, "oip", 200, 1000);
    }
    assert_true(m.n < METER_ROWS);
    struct sum s = look("slipway_requests_total", "_other", "200");
    assert_true(s.value >= 3 * METER_ROWS && s.series <= METER_ROWS);
    meter_request(&m, LIT("model-0"), 1, "oip", 200, 1000); /* those known before keep their own */
    assert_int_equal(look("slipway_requests_total", "model-0", "200").value, 2);
}

static void test_more_codes_than_room(void **state) {
    (void)state;
    for (int code = 400; code < 440; code++)
        meter_request(&m, LIT("a"), 1, "oip", code, 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_series_are_bounded),
        cmocka_unit_test(test_more_codes_than_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
