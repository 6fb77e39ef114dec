/* SPDX-License-Identifier: Apache-2.0 */
/* Files under failing calls: after any failed open, write, fsync, rename, read, mmap or allocation
 * a published path holds its old bytes or its new ones, whole, and no draft is left beside it. */
#include "fault_loop.h"

#include "base/file.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[128];

static const struct span old_bytes = {(const uint8_t *)"old", 3};
static uint8_t new_room[100000];
static const struct span new_bytes = {new_room, sizeof new_room};

static int setup(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/slipway-fault-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/object", folder);
    for (size_t at = 0; at < sizeof new_room; at++)
        new_room[at] = (uint8_t)(at * 7);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* Names in the folder other than "object": drafts that were left behind. */
static int strangers(void) {
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));)
        n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
             strcmp(entry->d_name, "object");
    closedir(d);
    return n;
}

static bool holds(struct span want) {
    struct arena a;
    struct span got;
    struct err e;
    arena_init(&a, 1 << 20);
    bool same = file_read(path, 1 << 20, &a, &got, &e) == OK && got.n == want.n &&
                memcmp(got.p, want.p, want.n) == 0;
    arena_deinit(&a);
    return same;
}

static void put_old(void) {
    struct err e;
    assert_int_equal(file_publish(path, old_bytes, 0644, &e), OK);
}

static void publish_replaces_whole_or_not(void **state) {
    (void)state;
    FAULT_LOOP(f) {
        struct err e = {0};
        enum code code = OK;
        put_old();
        FAULT_BODY(f) { code = file_publish(path, new_bytes, 0600, &e); }
        assert_int_equal(strangers(), 0);
        if (code == OK)
            assert_true(holds(new_bytes));
        else {
            assert_true(f.fired && e.text[0] && e.code == code);
            assert_true(holds(old_bytes) || holds(new_bytes));
        }
    }
}

static void publish_creates_whole_or_not(void **state) {
    (void)state;
    FAULT_LOOP(f) {
        struct err e = {0};
        enum code code = OK;
        unlink(path);
        FAULT_BODY(f) { code = file_publish(path, new_bytes, 0600, &e); }
        assert_int_equal(strangers(), 0);
        assert_true(code == OK || f.fired);
        assert_true(holds(new_bytes) || (code != OK && !file_exists(path)));
    }
}

static enum code draft_in_pieces(struct err *e) {
    struct file_draft d;
    TRY(file_draft_open(&d, path, 0644, e));
    enum code code = OK;
    for (size_t at = 0; at < new_bytes.n && code == OK; at += 25000)
        code = file_draft_write(&d, new_bytes.p + at, 25000, e);
    if (code == OK)
        code = file_draft_publish(&d, e);
    file_draft_drop(&d);
    return code;
}

static void draft_publishes_whole_or_not(void **state) {
    (void)state;
    FAULT_LOOP(f) {
        struct err e = {0};
        enum code code = OK;
        put_old();
        FAULT_BODY(f) { code = draft_in_pieces(&e); }
        assert_int_equal(strangers(), 0);
        assert_true(code == OK ? holds(new_bytes)
                               : f.fired && (holds(old_bytes) || holds(new_bytes)));
    }
}

static void read_gives_all_or_an_error(void **state) {
    (void)state;
    put_old();
    FAULT_LOOP(f) {
        struct arena a;
        struct err e = {0};
        struct span got = {(const uint8_t *)"untouched", 9};
        enum code code = OK;
        arena_init(&a, 1 << 20);
        FAULT_BODY(f) { code = file_read(path, 100, &a, &got, &e); }
        if (code == OK)
            assert_true(!f.fired && got.n == old_bytes.n);
        else
            assert_true(f.fired && got.n == 9 && e.text[0]);
        arena_deinit(&a);
    }
}

static void map_gives_all_or_an_error(void **state) {
    (void)state;
    put_old();
    FAULT_LOOP(f) {
        struct map_file m = {0};
        struct err e = {0};
        enum code code = OK;
        FAULT_BODY(f) { code = map_file_open(&m, path, &e); }
        if (code == OK)
            assert_memory_equal(m.bytes.p, old_bytes.p, old_bytes.n);
        else
            assert_true(f.fired && m.bytes.n == 0 && e.text[0]);
        map_file_close(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publish_replaces_whole_or_not),
        cmocka_unit_test(publish_creates_whole_or_not),
        cmocka_unit_test(draft_publishes_whole_or_not),
        cmocka_unit_test(read_gives_all_or_an_error),
        cmocka_unit_test(map_gives_all_or_an_error),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
