/* SPDX-License-Identifier: Apache-2.0 */
/* Splits: text and back, refused texts, who goes where. */
#include "host/rollout.c"

#include "../base/check.h"

static void test_round_trip(void **state) {
    (void)state;
    struct err e;
    struct rollout r;
    struct buf b;
    const char *text =
        "{\"arms\":[{\"version\":4,\"percent\":10.0},{\"version\":5,\"percent\":0.25}],"
        "\"sticky\":\"header:x-user\","
        "\"shadow\":{\"version\":6,\"percent\":50.0,\"relative\":0.01,\"absolute\":0.0}}";
    buf_init(&b, 1 << 16);
    assert_ok(rollout_parse(str_of(text), &r, &e));
    assert_true(r.arms[1].share == 25 && r.shadow_share == 5000);
    rollout_write(&r, &b);
    assert_true(str_is(buf_str(&b), text));
    buf_deinit(&b);
    assert_ok(rollout_parse(LIT("{}"), &r, &e));
    assert_true(rollout_empty(&r));
}

static void test_refused(void **state) {
    (void)state;
    struct err e;
    struct rollout r;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", ""},
        {"[]", ""},
        {"{\"arms\": [{\"percent\": 1}]}", "\"version\" is missing"},
        {"{\"arms\": [{\"version\": 0}]}", "from 1"},
        {"{\"arms\": [{\"version\": 1, \"percent\": 101}]}", "not a percentage"},
        {"{\"arms\": [{\"version\": 1, \"percent\": 60}, {\"version\": 2, \"percent\": 60}]}",
         "120 %"},
        {"{\"arms\": [{\"version\": 1}, {\"version\": 1}]}", "twice"},
        {"{\"sticky\": \"ip\"}", "header:NAME"},
        {"{\"shadow\": {\"version\": 2, \"absolute\": -1}}", "negative"},
        {"{\"arms\": [{\"version\": 1, \"relative\": 1}]}", "\"relative\""},
        {"{\"leg\": 1}", "\"leg\""},
        {"{} x", ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(rollout_parse(str_of(bad[i].text), &r, &e), INVALID, bad[i].says);
}

/* The function is written down for others: these buckets stay. */
static void test_buckets(void **state) {
    (void)state;
    int counts[10] = {0};
    char key[16];
    assert_int_equal(rollout_bucket(LIT("ocr"), LIT("ann")),
                     rollout_bucket(LIT("ocr"), LIT("ann")));
    for (int i = 0; i < 10000; i++) {
        int n = snprintf(key, sizeof key, "u%d", i);
        counts[rollout_bucket(LIT("m"), (struct str){key, (size_t)n}) / 1000]++;
    }
    for (int i = 0; i < 10; i++)
        assert_true(counts[i] > 850 && counts[i] < 1150);
}

static void test_arms(void **state) {
    (void)state;
    struct rollout r = {.arms = {{4, 1000}, {5, 500}}, .n_arms = 2};
    assert_int_equal(rollout_arm(&r, 0), 0);
    assert_int_equal(rollout_arm(&r, 999), 0);
    assert_int_equal(rollout_arm(&r, 1000), 1);
    assert_int_equal(rollout_arm(&r, 1499), 1);
    assert_int_equal(rollout_arm(&r, 1500), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_arms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
