/* SPDX-License-Identifier: Apache-2.0 */
/* Mapped blobs: sharing, unmapping, growth of the table, files that are not what they should be. */
#include "store/blob.c"

#include "shelf.h"

static void make(struct shelf *sh, const char *text, uint8_t hash[SHA256_BYTES]) {
    char name[OBJECT_NAME], path[300];
    sha256_of((struct span){(const uint8_t *)text, strlen(text)}, hash);
    object_name(hash, name);
    snprintf(path, sizeof path, "%s/objects/%.2s", sh->at, name);
    SHELF_OK(sh, file_mkdirs(path, &sh->e));
    snprintf(path, sizeof path, "%s/objects/%s", sh->at, name);
    SHELF_OK(sh,
             file_publish(path, (struct span){(const uint8_t *)text, strlen(text)}, 0444, &sh->e));
}

static void shared(void **state) {
    struct shelf *sh = *state;
    uint8_t hash[SHA256_BYTES];
    struct blob *a, *b;
    make(sh, "hello", hash);
    SHELF_OK(sh, blob_ref(sh->s, hash, 5, &a, &sh->e));
    SHELF_OK(sh, blob_ref(sh->s, hash, 5, &b, &sh->e));
    assert_ptr_equal(a, b);
    assert_int_equal(sh->s->blobs.n, 1);
    assert_memory_equal(a->bytes.p, "hello", 5);
    assert_int_equal((uintptr_t)a->bytes.p % 4096, 0);
    blob_unref(sh->s, a);
    char name[OBJECT_NAME];
    object_name(hash, name);
    SHELF_OK(sh, object_unlink(sh->s, name, &sh->e));
    assert_memory_equal(b->bytes.p, "hello", 5); /* still there */
    blob_unref(sh->s, b);
    assert_int_equal(sh->s->blobs.n, 0);
    SHELF_FAILS(sh, NOT_FOUND, name, blob_ref(sh->s, hash, 5, &a, &sh->e));
}

static void wrong_size(void **state) {
    struct shelf *sh = *state;
    uint8_t hash[SHA256_BYTES];
    struct blob *a, *b;
    make(sh, "hello", hash);
    SHELF_FAILS(sh, CORRUPT, "has 5 bytes, should have 6", blob_ref(sh->s, hash, 6, &a, &sh->e));
    SHELF_OK(sh, blob_ref(sh->s, hash, 5, &a, &sh->e));
    SHELF_FAILS(sh, CORRUPT, "listed with 6", blob_ref(sh->s, hash, 6, &b, &sh->e));
    blob_unref(sh->s, a);
}

static void growth(void **state) {
    struct shelf *sh = *state;
    enum { N = 3 * FIRST_BUCKETS };
    static struct blob *blobs[N];
    for (int i = 0; i < N; i++) {
        char text[16];
        uint8_t hash[SHA256_BYTES];
        snprintf(text, sizeof text, "blob %d", i);
        make(sh, text, hash);
        SHELF_OK(sh, blob_ref(sh->s, hash, strlen(text), &blobs[i], &sh->e));
    }
    assert_true(sh->s->blobs.n == N && sh->s->blobs.n_buckets >= N);
    for (int i = 0; i < N; i++) {
        struct blob *again;
        SHELF_OK(sh, blob_ref(sh->s, blobs[i]->hash, blobs[i]->bytes.n, &again, &sh->e));
        assert_ptr_equal(again, blobs[i]);
        blob_unref(sh->s, again);
    }
    for (int i = 0; i < N; i++)
        blob_unref(sh->s,
                   blobs[(i * 7) % N]); /* 7 does not divide N: each once, in another order */
    assert_int_equal(sh->s->blobs.n, 0);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {TEST(shared), TEST(wrong_size), TEST(growth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
