/* SPDX-License-Identifier: Apache-2.0 */
/* Kept requests: in the order of their files, until it is enough; damaged files; inputs by name;
 * what a classifier's user would see. */
#include "job/samples.c"

#include "../host/shelf.h"

static uint64_t seen[8];
static size_t n_seen, most;

/* A file of captures/m with a tape for each time; `cut` bytes are missing at its end. */
static void keep(const char *name, const uint64_t *at, size_t n, size_t cut) {
    char path[160];
    struct buf b;
    float x[1] = {1};
    struct ask_tensor in = {LIT("x"), {DT_F32, LAYOUT_PLAIN, {1, {1}}, x}, NULL};
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        struct tape t = {.at_us = at[i], .version = 1, .inputs = &in, .n_inputs = 1};
        tape_put(&b, &t);
    }
    snprintf(path, sizeof path, "%s/captures/m", folder);
    assert_ok(file_mkdirs(path, &e));
    snprintf(path, sizeof path, "%s/captures/m/%s", folder, name);
    assert_ok(file_publish(path, (struct span){(const uint8_t *)b.p, b.n - cut}, 0600, &e));
    buf_deinit(&b);
}

static bool note(void *ctx, const struct tape *t, struct arena *a) {
    (void)ctx;
    (void)a;
    assert_true(n_seen < 8 && t->n_inputs == 1);
    seen[n_seen++] = t->at_us;
    return n_seen < most;
}

static enum code each(const char *model, size_t limit) {
    n_seen = 0;
    most = limit;
    return samples_each(store, str_of(model), note, NULL, &e);
}

static void in_order(void **state) {
    (void)state;
    assert_fails(each("m", 8), NOT_FOUND, "nothing was kept of 'm': `slipway policy m capture=1%`");
    keep("00000000000000000020.tape", (uint64_t[]){20, 21}, 2, 0);
    keep("00000000000000000003.tape", (uint64_t[]){3, 4}, 2, 0);
    keep("notes.txt", (uint64_t[]){1}, 1, 0);
    assert_ok(each("m", 8));
    assert_int_equal(n_seen, 4);
    assert_memory_equal(seen, ((uint64_t[]){3, 4, 20, 21}), 32);
    assert_ok(each("m", 3)); /* enough */
    assert_int_equal(n_seen, 3);
    assert_fails(each("other", 8), NOT_FOUND, "'other'");
}

/* One that was being written when the machine went down: what is whole is used, the rest said. */
static void cut_short(void **state) {
    (void)state;
    keep("00000000000000000030.tape", (uint64_t[]){30, 31}, 2, 3);
    enum code code = each("m", 8);
    assert_true(n_seen == 5 && seen[4] == 30);
    if (code != OK)
        assert_non_null(strstr(e.text, "00000000000000000030.tape"));
}

static void by_their_names(void **state) {
    (void)state;
    const struct session_io io[] = {{.name = LIT("a")}, {.name = LIT("b")}};
    struct ask_tensor in[2] = {{.name = LIT("b")}, {.name = LIT("a")}};
    struct tensor out[2] = {0};
    in[0].tensor.dtype = DT_I8;
    in[1].tensor.dtype = DT_F32;
    struct tape t = {.inputs = in, .n_inputs = 2};
    assert_ok(samples_bind(&t, io, 2, out, &e));
    assert_true(out[0].dtype == DT_F32 && out[1].dtype == DT_I8);
    in[0].name = LIT("c");
    assert_fails(samples_bind(&t, io, 2, out, &e), INVALID, "there is no input 'c'");
}

static void what_moved(void **state) {
    (void)state;
    float x[] = {1, 5, 2, 9, 0, 3}, y[] = {1, 5, 2, 0, 9, 3};
    uint64_t rows = 0, moved = 0;
    struct tensor a = {DT_F32, LAYOUT_PLAIN, {2, {2, 3}}, x}, b = a;
    b.data = y;
    samples_top(&a, &b, &rows, &moved);
    assert_true(rows == 2 && moved == 1);
    a.shape = b.shape = (struct shape){2, {6, 1}}; /* no classes */
    samples_top(&a, &b, &rows, &moved);
    a.shape = b.shape = (struct shape){0, {0}};
    samples_top(&a, &b, &rows, &moved);
    a.shape = b.shape = (struct shape){2, {0, 3}};
    samples_top(&a, &b, &rows, &moved);
    assert_true(rows == 2 && moved == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(by_their_names),
        cmocka_unit_test(what_moved),
    };
    return cmocka_run_group_tests(tests, shelf_open, shelf_close);
}
