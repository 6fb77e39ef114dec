/* SPDX-License-Identifier: Apache-2.0 */
/* Verifying: each kind of damage is found, told once, in words that say where. */
#include "store/verify.c"

#include "shelf.h"

struct heard {
    int lines;
    char last[LINE];
};

static void hear(void *ctx, const char *line) {
    struct heard *h = ctx;
    h->lines++;
    snprintf(h->last, sizeof h->last, "%s", line);
    assert_null(strchr(line, '\n'));
}

static struct store_verdict verdict_of(struct shelf *sh, struct heard *h) {
    struct store_verdict v;
    *h = (struct heard){0};
    SHELF_OK(sh, store_verify(sh->s, hear, h, &v, &sh->e));
    assert_int_equal(v.bad, (uint64_t)h->lines);
    return v;
}

static void expect(struct shelf *sh, const char *words) {
    struct heard h;
    struct store_verdict v = verdict_of(sh, &h);
    if (v.bad != 1 || !strstr(h.last, words))
        fail_msg("%llu complaints, the last '%s', expected '%s'", (unsigned long long)v.bad, h.last,
                 words);
}

static void blobs(void **state) {
    struct shelf *sh = *state;
    struct heard h;
    struct store_verdict v = verdict_of(sh, &h);
    assert_true(v.blobs == 0 && v.bytes == 0 && v.versions == 0 && v.bad == 0);
    struct span bytes = shelf_bytes(sh, 3 * CHUNK + 17, 1);
    struct store_piece piece = {0, bytes.n};
    shelf_add(sh, "m", bytes, &piece, 1);
    v = verdict_of(sh, &h);
    assert_true(v.blobs == 2 && v.bytes == bytes.n + 1 && v.versions == 1 && v.bad == 0);
    uint8_t hash[SHA256_BYTES];
    char name[OBJECT_NAME], path[300], other[300];
    sha256_of(bytes, hash);
    object_name(hash, name);
    snprintf(path, sizeof path, "%s/objects/%s", sh->at, name);
    snprintf(other, sizeof other, "%s/kept", sh->folder);
    assert_int_equal(chmod(path, 0644), 0);
    int fd = open(path, O_WRONLY);
    uint8_t flipped = bytes.p[bytes.n - 1] ^ 0x10;
    assert_int_equal(pwrite(fd, &flipped, 1, (off_t)bytes.n - 1), 1);
    expect(sh, "bytes were changed");
    expect(sh, name);
    assert_int_equal(ftruncate(fd, 100), 0);
    expect(sh, "has 100 bytes, should have 3145745");
    close(fd);
    assert_int_equal(rename(path, other), 0);
    expect(sh, "missing");
    assert_int_equal(symlink(other, path), 0); /* not a file of ours */
    expect(sh, name);
    unlink(path);
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 1, &sh->e)); /* nobody needs it any more */
    v = verdict_of(sh, &h);
    assert_int_equal(v.bad, 0);
}

static void run_raw(struct shelf *sh, const char *sql) {
    char path[256];
    sqlite3 *raw;
    snprintf(path, sizeof path, "%s/store.db", sh->at);
    assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
    if (sqlite3_exec(raw, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(raw));
    sqlite3_close(raw);
}

static void tables(void **state) {
    struct shelf *sh = *state;
    shelf_add_seed(sh, "m", 1);
    shelf_add_seed(sh, "n", 2);
    run_raw(sh, "UPDATE segment SET at = at + 100000 WHERE offset = 100 AND version_id = 1");
    expect(sh, "m@1: ");
    expect(sh, "outside its blob");
    run_raw(sh, "UPDATE segment SET at = at - 100000 WHERE offset = 100 AND version_id = 1;"
                "UPDATE file SET size = size + 1 WHERE version_id = 2");
    expect(sh, "n@1: ");
    run_raw(sh, "UPDATE file SET size = size - 1 WHERE version_id = 2");
    shelf_verify(sh);
}

static void database(void **state) {
    struct shelf *sh = *state;
    struct heard h;
    shelf_add_seed(sh, "m", 1);
    run_raw(sh, "PRAGMA writable_schema=ON;"
                "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE "
                "name = 'slot')"
                " WHERE name = 'slot_by_blob'");
    store_close(sh->s);
    SHELF_OK(sh, store_open(sh->at, false, &sh->s, &sh->e));
    struct store_verdict v;
    h = (struct heard){0};
    enum code code = store_verify(sh->s, hear, &h, &v, &sh->e);
    assert_true(code == ERR_CORRUPT || (code == OK && v.bad > 0));
    assert_true(code == ERR_CORRUPT || strstr(h.last, "store.db") || h.lines > 0);
}

static void silent(void **state) { /* no listener: still counted */
    struct shelf *sh = *state;
    struct store_verdict v;
    shelf_add_seed(sh, "m", 1);
    run_raw(sh, "UPDATE file SET size = size + 1");
    SHELF_OK(sh, store_verify(sh->s, NULL, NULL, &v, &sh->e));
    assert_int_equal(v.bad, 1);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {TEST(blobs), TEST(tables), TEST(database), TEST(silent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
