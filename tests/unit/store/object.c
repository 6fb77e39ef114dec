/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs as files: names, batches, partial writes, leftovers. */
#include "store/object.c"

#include "shelf.h"

static int begin(void **state) {
    shelf_setup(state);
    struct shelf *sh = *state;
    SHELF_OK(sh, store_writable(sh->s, &sh->e));
    return 0;
}

static struct layout_blob blob_of(const struct layout_extent *extents, size_t n) {
    struct layout_blob b = {.extents = extents, .n_extents = n};
    struct sha256 h;
    sha256_begin(&h);
    for (size_t i = 0; i < n; i++) {
        sha256_add(&h, extents[i].p ? extents[i].p : zeros, extents[i].n);
        b.size += extents[i].n;
    }
    sha256_end(&h, b.hash);
    return b;
}

static struct span contents(struct shelf *sh, const struct layout_blob *b) {
    char name[OBJECT_NAME], path[300];
    object_name(b->hash, name);
    snprintf(path, sizeof path, "%s/objects/%s", sh->at, name);
    return shelf_read(sh, path);
}

static void names(void **state) {
    (void)state;
    uint8_t hash[SHA256_BYTES];
    char name[OBJECT_NAME];
    for (unsigned i = 0; i < sizeof hash; i++)
        hash[i] = (uint8_t)(i * 7 + 0xa0);
    object_name(hash, name);
    assert_int_equal(strlen(name), 65);
    assert_true(strncmp(name, "a0/a7aeb5", 9) == 0);
}

static void add_told(void *ctx, uint64_t bytes) { *(uint64_t *)ctx += bytes; }

static void many_extents(void **state) {
    struct shelf *sh = *state;
    static struct object_batch batch;
    enum { N = 1000 };
    struct layout_extent extents[N];
    struct span bytes = shelf_bytes(sh, N * 100, 1);
    for (size_t i = 0; i < N; i++)
        extents[i] = i % 3 == 2 ? (struct layout_extent){NULL, 1 + i % 63}
                                : (struct layout_extent){bytes.p + i * 100, 1 + i % 100};
    struct layout_blob b = blob_of(extents, N);
    uint64_t told = 0;
    bool present = true;
    object_batch_init(&batch, sh->s);
    SHELF_OK(sh, object_present(sh->s, b.hash, b.size, &present, &sh->e));
    assert_false(present);
    SHELF_OK(sh, object_batch_put(&batch, &b, add_told, &told, &sh->e));
    assert_int_equal(told, b.size);
    assert_int_equal(shelf_count(sh, "drafts"), 1);
    assert_int_equal(shelf_count(sh, "objects"), 0); /* not visible before the flush */
    SHELF_OK(sh, object_batch_flush(&batch, &sh->e));
    SHELF_OK(sh, object_batch_settle(&batch, &sh->e));
    object_batch_drop(&batch);
    assert_int_equal(shelf_count(sh, "drafts"), 0);
    SHELF_OK(sh, object_present(sh->s, b.hash, b.size, &present, &sh->e));
    assert_true(present);
    SHELF_OK(sh, object_present(sh->s, b.hash, b.size + 1, &present, &sh->e));
    assert_false(present); /* another size counts as absent */
    struct span got = contents(sh, &b);
    struct layout_blob again = blob_of(&(struct layout_extent){got.p, got.n}, 1);
    assert_memory_equal(again.hash, b.hash, SHA256_BYTES);
    struct stat st;
    char name[OBJECT_NAME];
    object_name(b.hash, name);
    assert_int_equal(fstatat(sh->s->objects_fd, name, &st, 0), 0);
    assert_int_equal(st.st_mode & 0222, 0); /* nobody may write it */
}

static void cursors(void **state) {
    (void)state;
    static uint8_t big[3 * WRITE_BYTES];
    struct layout_extent extents[] = {{big, 10}, {big + 10, 2 * WRITE_BYTES}, {NULL, 63}, {big, 1}};
    size_t total = 10 + 2 * (size_t)WRITE_BYTES + 63 + 1;
    static const size_t steps[] = {1, 9, 11, 4097, WRITE_BYTES};
    for (size_t s = 0; s < sizeof steps / sizeof *steps;
         s++) { /* writes that take only `step` bytes each */
        struct cursor c = {.extents = extents, .n = 4};
        struct iovec iov[WRITE_EXTENTS];
        size_t seen = 0;
        for (int n; (n = next_iov(&c, iov)) > 0 && (steps[s] > 1000 || seen < 100000);) {
            size_t offered = 0;
            for (int i = 0; i < n; i++)
                offered += iov[i].iov_len;
            assert_true(offered <= WRITE_BYTES);
            size_t take = steps[s] < offered ? steps[s] : offered;
            seen += take;
            advance(&c, take);
        }
        assert_true(seen == total || steps[s] <= 1000);
    }
}

static void batches(
    void **state) { /* more than one batch holds; equal folders; a wrong file replaced */
    struct shelf *sh = *state;
    static struct object_batch batch;
    enum { N = 2 * OBJECT_BATCH + 3 };
    static struct layout_extent extents[N];
    static struct layout_blob blobs[N];
    object_batch_init(&batch, sh->s);
    for (size_t i = 0; i < N; i++) {
        struct span bytes = shelf_bytes(sh, 100 + i, i);
        extents[i] = (struct layout_extent){bytes.p, bytes.n};
        blobs[i] = blob_of(&extents[i], 1);
    }
    char name[OBJECT_NAME], path[300];
    object_name(blobs[0].hash, name);
    snprintf(path, sizeof path, "%s/objects/%.2s", sh->at, name);
    SHELF_OK(sh, file_mkdirs(path, &sh->e));
    snprintf(path, sizeof path, "%s/objects/%s", sh->at, name);
    SHELF_OK(sh, file_publish(path, (struct span){(const uint8_t *)"short", 5}, 0644, &sh->e));
    for (size_t i = 0; i < N; i++)
        SHELF_OK(sh, object_batch_put(&batch, &blobs[i], NULL, NULL, &sh->e));
    SHELF_OK(sh, object_batch_flush(&batch, &sh->e));
    SHELF_OK(sh, object_batch_settle(&batch, &sh->e));
    for (size_t i = 0; i < N; i++) {
        struct span got = contents(sh, &blobs[i]);
        assert_int_equal(got.n, blobs[i].size);
        assert_memory_equal(got.p, extents[i].p, got.n);
    }
}

static void dropped(void **state) {
    struct shelf *sh = *state;
    static struct object_batch batch;
    struct layout_extent x = {(const uint8_t *)"abc", 3};
    struct layout_blob b = blob_of(&x, 1);
    object_batch_init(&batch, sh->s);
    SHELF_OK(sh, object_batch_put(&batch, &b, NULL, NULL, &sh->e));
    object_batch_drop(&batch);
    object_batch_drop(&batch);
    assert_int_equal(shelf_count(sh, "drafts") + shelf_count(sh, "objects"), 0);
}

static void swept_draft(
    void **state) { /* gc with no grace took the draft: not an error here, the add looks again */
    struct shelf *sh = *state;
    static struct object_batch batch;
    struct layout_extent x = {(const uint8_t *)"abc", 3};
    struct layout_blob b = blob_of(&x, 1);
    bool present = true;
    object_batch_init(&batch, sh->s);
    SHELF_OK(sh, object_batch_put(&batch, &b, NULL, NULL, &sh->e));
    assert_int_equal(unlinkat(sh->s->drafts_fd, batch.drafts[0].name, 0), 0);
    SHELF_OK(sh, object_batch_flush(&batch, &sh->e));
    SHELF_OK(sh, object_present(sh->s, b.hash, 3, &present, &sh->e));
    assert_false(present);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, shelf_teardown)
    const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(cursors),
                                       TEST(many_extents),      TEST(batches),
                                       TEST(dropped),           TEST(swept_draft)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
