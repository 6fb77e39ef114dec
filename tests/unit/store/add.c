/* SPDX-License-Identifier: Apache-2.0 */
/* Adding: what is shared, what is refused, what is told, and what two adders or a gc do to each
 * other. */
#include "store/record.h"

/* Lets a test act right before the transaction. */
static void (*before_commit)(void);
static enum code record_add_late(struct store *s, const struct record *r,
                                 enum record_outcome *outcome, uint64_t *version, struct err *e) {
    if (before_commit)
        before_commit();
    return record_add(s, r, outcome, version, e);
}

#define record_add record_add_late
#include "store/add.c"

#include "shelf.h"

#include <fcntl.h>

static void numbers_and_sharing(void **state) {
    struct shelf *sh = *state;
    struct store_piece pieces[] = {{100, 50000}, {60000, 40000}};
    uint8_t *bytes = (uint8_t *)(uintptr_t)shelf_bytes(sh, 100000, 1).p;
    struct store_added first = shelf_add(sh, "m", (struct span){bytes, 100000}, pieces, 2);
    assert_int_equal(first.version, 1);
    assert_false(first.existed);
    assert_true(first.new_bytes >= 100000 && first.new_bytes < 100200);
    struct store_added again = shelf_add(sh, "m", (struct span){bytes, 100000}, pieces, 2);
    assert_true(again.existed && again.version == 1 && again.new_bytes == 0);
    assert_string_equal(again.digest, first.digest);
    bytes[70000] ^= 1; /* one piece changes: the other is shared */
    struct store_added second = shelf_add(sh, "m", (struct span){bytes, 100000}, pieces, 2);
    assert_true(!second.existed && second.version == 2 && second.new_bytes == 40000);
    struct store_added other = shelf_add(sh, "n", (struct span){bytes, 100000}, pieces, 2);
    assert_true(!other.existed && other.version == 1 && other.new_bytes == 0);
    assert_string_equal(other.digest, second.digest);
    bytes[70000] ^= 1; /* back to the first bytes: not the newest, so a version of its own */
    struct store_added third = shelf_add(sh, "m", (struct span){bytes, 100000}, pieces, 2);
    assert_true(!third.existed && third.version == 3 && third.new_bytes == 0);
    assert_int_equal(shelf_count(sh, "objects"), 5); /* packed, 2 + 1 pieces, part */
    assert_int_equal(shelf_count(sh, "drafts"), 0);
    shelf_verify(sh);
}

static enum code try_add(struct shelf *sh, const struct store_new *n, struct store_added *out) {
    return store_add(sh->s, n, out, &sh->e);
}

static void parts_make_a_difference(void **state) {
    struct shelf *sh = *state;
    struct store_source source = {LIT("f"), {(const uint8_t *)"abc", 3}, NULL, 0};
    struct store_part parts[] = {{LIT("graph"), {(const uint8_t *)"1", 1}},
                                 {LIT("signature"), {0}}};
    struct store_new n = {
        .model = LIT("m"), .sources = &source, .n_sources = 1, .parts = parts, .n_parts = 2};
    struct store_added added;
    SHELF_OK(sh, try_add(sh, &n, &added));
    SHELF_OK(sh, try_add(sh, &n, &added));
    assert_true(added.existed);
    parts[0].bytes.p = (const uint8_t *)"2";
    SHELF_OK(sh, try_add(sh, &n, &added));
    assert_true(!added.existed && added.version == 2);
    n.n_parts = 1;
    SHELF_OK(sh, try_add(sh, &n, &added));
    assert_true(!added.existed && added.version == 3);
    parts[0].name = LIT("graph2");
    SHELF_OK(sh, try_add(sh, &n, &added));
    assert_true(!added.existed && added.version == 4);
    n.n_parts = 0;
    SHELF_OK(sh, try_add(sh, &n, &added));
    assert_true(!added.existed && added.version == 5);
    SHELF_OK(sh, try_add(sh, &n, &added));
    assert_true(added.existed && added.version == 5);
    shelf_verify(sh);
}

/* The digest is what the header says: SHA-256 over (length, name, SHA-256) by name, whatever the
 * cuts and the order. */
static void digest_is_as_specified(void **state) {
    struct shelf *sh = *state;
    struct span big = shelf_bytes(sh, 20000, 1);
    struct store_piece piece = {100, 9000};
    struct store_source one[] = {{LIT("b"), big, &piece, 1},
                                 {LIT("a"), {(const uint8_t *)"xyz", 3}, NULL, 0}};
    struct store_source two[] = {one[1], {LIT("b"), big, NULL, 0}};
    struct store_new n = {.model = LIT("m"), .sources = one, .n_sources = 2};
    struct store_added added, other;
    SHELF_OK(sh, try_add(sh, &n, &added));
    uint8_t text[2 * (8 + 1 + SHA256_BYTES)] = {1, [8] = 'a', [41] = 1, [49] = 'b'};
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    sha256_of(one[1].bytes, text + 9);
    sha256_of(big, text + 50);
    sha256_of((struct span){text, sizeof text}, digest);
    hex_put(digest, sizeof digest, hex);
    assert_string_equal(added.digest, hex);
    n.model = LIT("n");
    n.sources = two;
    SHELF_OK(sh, try_add(sh, &n, &other));
    assert_string_equal(other.digest, hex);
}

static void refusals(void **state) {
    struct shelf *sh = *state;
    struct store_added added = {.version = 77};
    struct store_source source[] = {{LIT("f"), {(const uint8_t *)"abc", 3}, NULL, 0},
                                    {LIT("f"), {(const uint8_t *)"abc", 3}, NULL, 0}};
    struct store_part parts[] = {{LIT("graph"), {0}}, {LIT("graph"), {0}}};
    struct store_new n = {.model = LIT("m"), .sources = source, .n_sources = 1};
    struct store_new bad = n;
    bad.model = LIT("../m");
    SHELF_FAILS(sh, INVALID, "model name", try_add(sh, &bad, &added));
    bad = n;
    bad.n_sources = 0;
    SHELF_FAILS(sh, INVALID, "without files", try_add(sh, &bad, &added));
    bad.n_sources = 2;
    SHELF_FAILS(sh, INVALID, "two files named 'f'", try_add(sh, &bad, &added));
    source[1].name = LIT("f/g");
    SHELF_FAILS(sh, INVALID, "'f' is a file and", try_add(sh, &bad, &added));
    source[1].name = LIT("../f");
    SHELF_FAILS(sh, INVALID, "relative path", try_add(sh, &bad, &added));
    bad = n;
    bad.parts = parts;
    bad.n_parts = 2;
    SHELF_FAILS(sh, INVALID, "two parts named 'graph'", try_add(sh, &bad, &added));
    parts[1].name = (struct str){0};
    SHELF_FAILS(sh, INVALID, "without a name", try_add(sh, &bad, &added));
    bad = n;
    bad.parent = 1;
    SHELF_FAILS(sh, NOT_FOUND, "parent", try_add(sh, &bad, &added));
    SHELF_OK(sh, try_add(sh, &n, &added));
    bad.parent = 2;
    SHELF_FAILS(sh, NOT_FOUND, "no version 2", try_add(sh, &bad, &added));
    struct store_piece piece = {0, 4};
    source[0].pieces = &piece;
    source[0].n_pieces = 1;
    SHELF_FAILS(sh, INVALID, "past the file's 3 bytes", try_add(sh, &n, &added));
    assert_int_equal(added.version, 1);
    assert_int_equal(shelf_count(sh, "objects"), 1);
}

static void empty_files(void **state) {
    struct shelf *sh = *state;
    struct store_source source[] = {{LIT("a"), {0}, NULL, 0}, {LIT("b"), {0}, NULL, 0}};
    struct store_new n = {.model = LIT("m"), .sources = source, .n_sources = 2};
    struct store_added added;
    SHELF_OK(sh, try_add(sh, &n, &added));
    assert_int_equal(added.new_bytes, 0);
    assert_int_equal(shelf_count(sh, "objects"), 0);
    shelf_verify(sh);
}

struct told {
    uint64_t last, total;
    int calls;
};

static void hear(void *ctx, uint64_t done, uint64_t total) {
    struct told *t = ctx;
    assert_true(done >= t->last && done <= total);
    *t = (struct told){done, total, t->calls + 1};
}

static void progress(void **state) {
    struct shelf *sh = *state;
    struct told told = {0};
    struct store_piece pieces[] = {{0, 6 << 20}, {6 << 20, 6 << 20}};
    struct store_source source = {LIT("f"), shelf_bytes(sh, 12 << 20, 5), pieces,
                                  2}; /* hashed by a second thread */
    struct store_new n = {.model = LIT("m"),
                          .sources = &source,
                          .n_sources = 1,
                          .progress = hear,
                          .progress_ctx = &told};
    struct store_added added;
    SHELF_OK(sh, try_add(sh, &n, &added));
    assert_true(told.last == 12 << 20 && told.total == 12 << 20 && told.calls > 8);
    told = (struct told){0};
    SHELF_OK(sh, try_add(sh, &n, &added)); /* all shared */
    assert_true(added.existed && told.last == 12 << 20);
}

static void blob_path(struct shelf *sh, struct span bytes, char path[300]) {
    uint8_t hash[SHA256_BYTES];
    char name[OBJECT_NAME];
    sha256_of(bytes, hash);
    object_name(hash, name);
    snprintf(path, 300, "%s/objects/%s", sh->at, name);
}

static void heals(void **state) { /* adding again brings a lost or cut blob back */
    struct shelf *sh = *state;
    struct span bytes = shelf_bytes(sh, 10000, 1);
    char path[300];
    struct store_piece all = {0, 10000};
    shelf_add(sh, "m", bytes, &all, 1);
    blob_path(sh, bytes, path);
    assert_int_equal(unlink(path), 0);
    struct store_added added = shelf_add(sh, "m", bytes, &all, 1);
    assert_true(added.existed && added.new_bytes == 10000);
    shelf_verify(sh);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(truncate(path, 99), 0);
    shelf_add(sh, "m", bytes, &all, 1);
    shelf_verify(sh);
}

static void not_written_twice(void **state) {
    struct shelf *sh = *state;
    struct span bytes = shelf_bytes(sh, 10000, 1);
    char path[300];
    struct stat before, after;
    struct store_piece all = {0, 10000};
    shelf_add(sh, "m", bytes, &all, 1);
    blob_path(sh, bytes, path);
    assert_int_equal(stat(path, &before), 0);
    shelf_add(sh, "n", bytes, &all, 1);
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    /* named by nobody and old: touched, so that gc with a grace time leaves it to us */
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 1, &sh->e));
    SHELF_OK(sh, store_remove(sh->s, LIT("n"), 1, &sh->e));
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    struct store_added added = shelf_add(sh, "m", bytes, &all, 1);
    assert_int_equal(added.new_bytes, 0);
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino && after.st_mtim.tv_sec > 1000);
}

/* --- against a gc without grace: the progress callback is a moment within the add --- */

struct sweeper {
    struct shelf *sh;
    struct store *other;
    long swept, drafts;
    int rounds; /* how often it still sweeps */
};

static void sweep_now(void *ctx, uint64_t done, uint64_t total) {
    struct sweeper *w = ctx;
    struct store_swept swept;
    (void)done;
    (void)total;
    if (w->rounds-- <= 0)
        return;
    SHELF_OK(w->sh, store_gc(w->other, 0, false, &swept, &w->sh->e));
    w->swept += (long)swept.blobs;
    w->drafts += (long)swept.drafts;
}

static void against_gc(void **state) {
    struct shelf *sh = *state;
    struct sweeper w = {.sh = sh, .rounds = 5};
    struct store_piece pieces[] = {{0, 2 << 20}, {2 << 20, 2 << 20}, {4 << 20, 2 << 20}};
    struct store_source source = {LIT("f"), shelf_bytes(sh, 6 << 20, 5), pieces, 3};
    struct store_new n = {.model = LIT("m"),
                          .sources = &source,
                          .n_sources = 1,
                          .progress = sweep_now,
                          .progress_ctx = &w};
    struct store_added added;
    SHELF_OK(sh, store_open(sh->at, false, &w.other, &sh->e));
    SHELF_OK(sh, try_add(sh, &n, &added));
    assert_true(w.swept + w.drafts > 0); /* it did take things away under our feet */
    assert_int_equal(shelf_verify(sh).blobs, 3);
    assert_int_equal(shelf_count(sh, "drafts"), 0);
    store_close(w.other);
}

static struct sweeper *late;
static int late_calls;
static void sweep_late(void) {
    late_calls++;
    sweep_now(late, 0, 0);
}

/* Swept at the last moment, after everything was settled: only the look within the transaction can
 * see it. */
static void against_late_gc(void **state) {
    struct shelf *sh = *state;
    struct sweeper w = {.sh = sh, .rounds = 2};
    SHELF_OK(sh, store_open(sh->at, false, &w.other, &sh->e));
    late = &w;
    late_calls = 0;
    before_commit = sweep_late;
    shelf_add_seed(sh, "m", 1);
    assert_int_equal(late_calls, 3); /* two rounds in vain */
    assert_int_equal(w.swept, 2 * 3);
    assert_int_equal(shelf_verify(sh).blobs, 3);
    w.rounds = 1 << 30; /* when it never stops, the add gives up with nothing left behind */
    struct store_source source = {LIT("f"), shelf_bytes(sh, 5000, 6), NULL, 0};
    struct store_new n = {.model = LIT("m"), .sources = &source, .n_sources = 1};
    struct store_added added;
    SHELF_FAILS(sh, CONFLICT, "longer grace", try_add(sh, &n, &added));
    before_commit = NULL;
    assert_int_equal(shelf_verify(sh).versions, 1);
    assert_int_equal(shelf_count(sh, "objects"), 3);
    store_close(w.other);
}

/* --- processes --- */

static void add_in_child(struct shelf *sh, uint64_t seed, int n) {
    if (store_open(sh->at, false, &sh->s, &sh->e) != OK)
        _exit(1);
    for (int i = 0; i < n; i++)
        shelf_add_seed(sh, "m", seed + (uint64_t)i);
    store_close(sh->s);
    _exit(0);
}

static void writers_at_once(void **state) {
    struct shelf *sh = *state;
    enum { WRITERS = 4, EACH = 6 };
    pid_t children[WRITERS];
    store_close(sh->s); /* an SQLite connection may not be carried over a fork */
    sh->s = NULL;
    for (int w = 0; w < WRITERS; w++)
        if ((children[w] = fork()) == 0)
            add_in_child(sh, (uint64_t)w * 100, EACH);
    for (int w = 0; w < WRITERS; w++) {
        int status;
        waitpid(children[w], &status, 0);
        assert_int_equal(status, 0);
    }
    SHELF_OK(sh, store_open(sh->at, false, &sh->s, &sh->e));
    struct store_info *list;
    size_t n;
    SHELF_OK(sh, store_list(sh->s, LIT("m"), &sh->a, &list, &n, &sh->e));
    assert_int_equal(n, WRITERS * EACH);
    for (size_t i = 0; i < n; i++) /* newest first, no number twice, none left out */
        assert_int_equal(list[i].version, n - i);
    shelf_verify(sh);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {TEST(numbers_and_sharing),
                                       TEST(parts_make_a_difference),
                                       TEST(digest_is_as_specified),
                                       TEST(refusals),
                                       TEST(empty_files),
                                       TEST(progress),
                                       TEST(heals),
                                       TEST(not_written_twice),
                                       TEST(against_gc),
                                       TEST(against_late_gc),
                                       TEST(writers_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
