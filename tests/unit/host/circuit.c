/* SPDX-License-Identifier: Apache-2.0 */
/* When a version that fails is taken out of traffic, and what the store says then. */
#include "host/circuit.c"

#include "table.h"
#include "tiny_model.h"

static struct host h;
static struct live *l;
static struct err failure;

static int begin(void **state) {
    (void)state;
    table_open(&h);
    l = table_add(&h, "m", 2)->lives[0];
    failure = (struct err){.code = ERR_INTERNAL, .text = "it broke"};
    return 0;
}

static int end(void **state) {
    (void)state;
    table_close(&h);
    return 0;
}

static void note(enum code code, int times) {
    for (int i = 0; i < times; i++)
        circuit_note(&h, l, code, &failure);
}

static void five_in_a_row(void **state) {
    (void)state;
    atomic_store(&l->success, 1);
    note(ERR_INTERNAL, STREAK - 1);
    note(OK, 1); /* it starts again */
    note(ERR_NOMEM, STREAK - 1);
    assert_int_equal(l->withdrawn, NOT_WITHDRAWN);
    note(ERR_IO, 1);
    assert_int_equal(l->withdrawn, BY_CIRCUIT);
    assert_true(h.commands && h.commands->kind == COMMAND_WITHDRAW && h.commands->version == 2);
    assert_string_equal(h.commands->reason, "5 runs in a row failed: it broke");
    note(ERR_INTERNAL, STREAK); /* once is enough */
    assert_null(h.commands->next);
}

/* Nor is it to blame for deadlines, or for those who went. */
static void what_the_asker_sent_is_no_fault(void **state) {
    (void)state;
    atomic_store(&l->success, 1);
    note(ERR_INVALID, 100);
    note(ERR_TIMEOUT, 100);
    note(ERR_CANCELLED, 100);
    assert_true(l->withdrawn == NOT_WITHDRAWN && l->streak == 0);
}

static void one_that_never_answered(void **state) {
    (void)state;
    note(ERR_TIMEOUT, 100);
    note(ERR_INVALID, EARLY - 1);
    assert_int_equal(l->withdrawn, NOT_WITHDRAWN);
    note(ERR_INVALID, 1);
    assert_int_equal(l->withdrawn, BY_CIRCUIT);
}

static void one_that_took_the_process_down(void **state) {
    (void)state;
    circuit_bar(&h, l, &failure);
    assert_true(l->withdrawn == BY_CIRCUIT && strstr(h.commands->reason, "died of it"));
}

static uint64_t alias_of(struct store *s, const char *name, struct arena *a) {
    struct store_alias *all;
    struct err e;
    size_t n;
    assert_ok(store_aliases(s, LIT("m"), a, &all, &n, &e));
    for (size_t i = 0; i < n; i++)
        if (str_is(all[i].name, name))
            return all[i].version;
    return 0;
}

/* Aliases go back where they came from, arms of the split and the shadow go, signed. */
static void the_store_follows(void **state) {
    char folder[64], removal[96];
    struct store_setting *settings;
    struct store_event *events;
    struct arena a;
    struct err e;
    size_t n;
    (void)state;
    snprintf(folder, sizeof folder, "%s/slipway-circuit-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(folder));
    assert_ok(store_open(folder, true, &h.options.store, &e));
    struct store *s = h.options.store;
    arena_init(&a, 1 << 20);
    assert_ok(tiny_add(s, "m", 1, NULL, &e));
    assert_ok(tiny_add(s, "m", 2, NULL, &e));
    for (uint64_t v = 1; v <= 2; v++)
        assert_ok(store_alias_set(s, LIT("m"), LIT("prod"), v, &e));
    assert_ok(store_alias_set(s, LIT("m"), LIT("stays"), 2, &e)); /* it never was elsewhere */
    struct rollout r = {.arms = {{1, 1000}, {2, 2000}}, .n_arms = 2, .shadow = 2};
    struct buf text;
    buf_init(&text, STORE_SETTING_MAX);
    rollout_write(&r, &text);
    assert_ok(store_setting_put(s, LIT("m"), ROLLOUT_SETTING, buf_str(&text), &e));
    struct command c = {.kind = COMMAND_WITHDRAW, .model = "m", .version = 2, .reason = "why"};
    assert_ok(circuit_obey(&h, &c, &e));
    assert_int_equal(alias_of(s, "prod", &a), 1);
    assert_int_equal(alias_of(s, "stays", &a), 2);
    assert_ok(store_settings(s, LIT("m"), &a, &settings, &n, &e));
    assert_int_equal(n, 1);
    assert_ok(rollout_parse(settings[0].value, &r, &e));
    assert_true(r.n_arms == 1 && r.arms[0].version == 1 && r.shadow == 0);
    assert_ok(store_log(s, LIT("m"), &a, &events, &n, &e));
    assert_true(n > 0 && str_is(events[0].who, "circuit"));
    buf_deinit(&text);
    arena_deinit(&a);
    store_close(s);
    snprintf(removal, sizeof removal, "rm -rf %s", folder);
    assert_int_equal(system(removal), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(five_in_a_row, begin, end),
        cmocka_unit_test_setup_teardown(what_the_asker_sent_is_no_fault, begin, end),
        cmocka_unit_test_setup_teardown(one_that_never_answered, begin, end),
        cmocka_unit_test_setup_teardown(one_that_took_the_process_down, begin, end),
        cmocka_unit_test_setup_teardown(the_store_follows, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
