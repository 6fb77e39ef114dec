/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are kept: which, what of them, in which files, and which files go. The writing
 * thread is this one. */
#include "host/capture.c"

#include "table.h"

static char folder[64];
static struct host h;
static struct live *l;
static struct arena arena;
static struct err e;
static float values[8192];

static int begin(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/slipway-capture-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    table_open(&h);
    l = table_add(&h, "m", 1)->lives[0];
    l->capture_share = 1000000;
    l->keep_bytes = 1 << 20;
    l->keep_days = 7;
    arena_init(&arena, 64 << 20);
    pthread_mutex_init(&h.captures.lock, NULL);
    pthread_cond_init(&h.captures.work, NULL);
    return !mkdtemp(folder) || store_open(folder, true, &h.options.store, &e) != OK;
}

static int end(void **state) {
    char command[96];
    (void)state;
    pthread_mutex_destroy(&h.captures.lock);
    pthread_cond_destroy(&h.captures.work);
    store_close(h.options.store);
    arena_deinit(&arena);
    table_close(&h);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* One request of n floats; how it ended. */
static void ask_one(int64_t n, enum code code, int priority) {
    struct ask_tensor input = {{0}, {DT_F32, LAYOUT_PLAIN, {1, {n}}, values}, NULL};
    struct ask_tensor output = {LIT("y"), {DT_F32, LAYOUT_PLAIN, {1, {1}}, values}, NULL};
    static struct live_io io = {.name = LIT("x"), .dtype = DT_F32};
    struct ask a = {.inputs = &input, .n_inputs = 1, .arena = &arena, .priority = priority};
    l->inputs = &io;
    l->n_inputs = 1;
    values[0] = (float)n;
    capture_begin(&h, l, &a);
    values[0] = -1; /* what was kept is a copy */
    a.outputs = &output;
    a.n_outputs = 1;
    a.code = code;
    if (a.capture)
        capture_answer(&a);
}

/* All that waits is written; how many. */
static int write_all(void) {
    struct files *f = mem_zalloc(1, sizeof *f);
    struct buf b;
    int n = 0;
    buf_init(&b, 64 << 20);
    for (; h.captures.first; n++) {
        struct capture *c = next_capture(&h);
        assert_true(write_out(&h, c, f, &b));
        drop(c);
    }
    buf_deinit(&b);
    mem_free(f);
    return n;
}

static void list(struct files *f) {
    char path[96];
    snprintf(path, sizeof path, "%s/captures/m", folder);
    list_files(path, f);
}

static void what_is_kept(void **state) {
    struct files f;
    struct tape t;
    struct span bytes;
    bool found;
    char path[160];
    (void)state;
    ask_one(3, OK, PRIORITY_NORMAL);
    ask_one(4, ERR_INVALID, PRIORITY_NORMAL); /* there is nothing to compare with */
    ask_one(5, OK, PRIORITY_SHADOW);
    assert_int_equal(write_all(), 1);
    assert_int_equal(atomic_load(&h.captures.n), 0);
    list(&f);
    assert_int_equal(f.n, 1);
    snprintf(path, sizeof path, "%s/captures/m/%s", folder, f.names[0]);
    assert_ok(file_read(path, 1 << 20, &arena, &bytes, &e));
    assert_ok(tape_next(&bytes, &arena, &t, &found, &e));
    assert_true(found && t.version == 1 && t.n_inputs == 1 && t.n_outputs == 1);
    assert_true(str_is(t.inputs[0].name, "x")); /* it came by its place */
    assert_true(((const float *)t.inputs[0].tensor.data)[0] == 3);
    assert_ok(tape_next(&bytes, &arena, &t, &found, &e));
    assert_false(found);
}

static void a_share(void **state) {
    (void)state;
    l->capture_share = 0;
    for (int i = 0; i < 100; i++)
        assert_false(chosen(l));
    l->capture_share = 100000;
    int n = 0;
    for (int i = 0; i < 1000; i++)
        n += chosen(l);
    assert_in_range(n, 95, 105);
}

/* Nobody waits for the writer, and memory has an end. */
static void what_there_is_no_room_for(void **state) {
    (void)state;
    for (int i = 0; i < IN_FLIGHT + 5; i++)
        ask_one(1, OK, PRIORITY_NORMAL);
    assert_int_equal(atomic_load(&h.captures.n), IN_FLIGHT);
    assert_int_equal(write_all(), IN_FLIGHT);
    ask_one(COPY_BYTES / 4 + 1, OK, PRIORITY_NORMAL);
    assert_true(!h.captures.first && atomic_load(&h.captures.n) == 0);
}

/* Files of an eighth; the oldest go when there are more bytes, or days, than may be kept. */
static void old_files_go(void **state) {
    char first[160];
    struct files f;
    (void)state;
    l->keep_bytes = 4 * FILE_MIN;
    for (int i = 0; i < 20; i++) { /* 32 KiB and a head: one a file, which may have FILE_MIN */
        ask_one(8192, OK, PRIORITY_NORMAL);
        write_all();
    }
    list(&f);
    assert_in_range(f.n, 7, 9);
    off_t bytes = 0;
    for (size_t i = 0; i < f.n; i++) {
        snprintf(first, sizeof first, "%s/captures/m/%s", folder, f.names[i]);
        bytes += size_of(first);
    }
    assert_in_range(bytes, 3 * FILE_MIN, 5 * FILE_MIN);
    snprintf(first, sizeof first, "%s/captures/m/%s", folder, f.names[0]);
    char older[160];
    snprintf(older, sizeof older, "%s/captures/m/%020llu.tape", folder,
             (unsigned long long)(clock_wall_us() - 8 * 86400000000u));
    assert_int_equal(rename(first, older), 0);
    struct capture of_days = {.keep_bytes = 1 << 30, .keep_days = 7};
    snprintf(first, sizeof first, "%s/captures/m", folder);
    list(&f);
    size_t before = f.n;
    thin_out(first, &f, &of_days);
    list(&f);
    assert_true(size_of(older) == 0 && f.n == before - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_kept, begin, end),
        cmocka_unit_test_setup_teardown(a_share, begin, end),
        cmocka_unit_test_setup_teardown(what_there_is_no_room_for, begin, end),
        cmocka_unit_test_setup_teardown(old_files_go, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
