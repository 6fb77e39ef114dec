/* SPDX-License-Identifier: Apache-2.0 */
#include "host/policy.c"

#include "../base/check.h"

static void test_round_trip(void **state) {
    (void)state;
    struct err e;
    struct policy p;
    struct buf b;
    const char *text =
        "{\"pin\":true,\"priority\":\"low\",\"weight\":2.0,\"batch\":16,\"queue\":64,"
        "\"instances\":2,\"wait\":500.0,\"precision\":\"auto\",\"draft\":\"small@2\",\"capture\":{"
        "\"percent\":1.0,"
        "\"bytes\":1000,\"days\":2}}";
    buf_init(&b, 1 << 16);
    assert_ok(policy_parse(str_of(text), &p, &e));
    policy_write(&p, &b);
    assert_true(str_is(buf_str(&b), text));
    assert_ok(policy_parse(LIT("{}"), &p, &e));
    assert_true(policy_is_default(&p));
    buf_clear(&b);
    policy_write(&p, &b);
    assert_true(str_is(buf_str(&b), "{}"));
    buf_deinit(&b);
}

static void test_words(void **state) {
    (void)state;
    struct err e;
    struct policy p;
    policy_default(&p);
    assert_ok(policy_set(&p, LIT("pin=yes"), &e));
    assert_ok(policy_set(&p, LIT("priority=high"), &e));
    assert_ok(policy_set(&p, LIT("capture=5%"), &e));
    assert_ok(policy_set(&p, LIT("keep-bytes=1e6"), &e));
    assert_true(p.pin && p.priority == PRIORITY_HIGH && p.capture == 0.05 &&
                p.keep_bytes == 1000000);
    assert_ok(policy_set(&p, LIT("precision=bf16"), &e));
    assert_true(p.precision == CHOOSE_BF16);
    assert_ok(policy_set(&p, LIT("draft=small@prod"), &e));
    assert_string_equal(p.draft, "small@prod");
    assert_fails(policy_set(&p, LIT("draft=no such"), &e), INVALID, "no such");
    assert_ok(policy_set(&p, LIT("draft=auto"), &e));
    assert_string_equal(p.draft, "");
    assert_ok(policy_set(&p, LIT("instances=3"), &e));
    assert_ok(policy_set(&p, LIT("wait=0"), &e));
    assert_true(p.instances == 3 && p.wait == 0 && !policy_is_default(&p));
    assert_ok(policy_set(&p, LIT("wait=-1"), &e));
    assert_true(p.wait < 0);
    assert_fails(policy_set(&p, LIT("instances=-1"), &e), INVALID, "instances");
    assert_fails(policy_set(&p, LIT("precision=f8"), &e), INVALID, "'f8'");
    assert_fails(policy_set(&p, LIT("pin"), &e), USAGE, "NAME=VALUE");
    assert_fails(policy_set(&p, LIT("pin=maybe"), &e), INVALID, "yes or no");
    assert_fails(policy_set(&p, LIT("weight=0"), &e), INVALID, "weight");
    assert_fails(policy_set(&p, LIT("colour=1"), &e), USAGE, "'colour'");
    assert_fails(policy_set(&p, LIT("weight=much"), &e), INVALID, "'much'");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
