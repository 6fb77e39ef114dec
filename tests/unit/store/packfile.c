/* SPDX-License-Identifier: Apache-2.0 */
/* Packs: put, mapped, shared between processes, replaced, collected, verified, and half of one
 * never seen, whatever kills who writes it. */
#include "store/packfile.c"

#include "shelf.h"

#include <signal.h>
#include <time.h>

enum { PIECE = 9000, PACKED = 200000 };

/* A version of one piece of PIECE bytes; the pack of it. */
static struct store_pack piece_of(struct shelf *sh, uint64_t seed, const char *revision) {
    struct span bytes = shelf_bytes(sh, PIECE, seed);
    struct store_piece piece = {0, PIECE};
    struct store_pack p = {.layout = LIT("strips"), .revision = str_of(revision), .packing = 7};
    shelf_add(sh, "m", bytes, &piece, 1);
    sha256_of(bytes, p.piece);
    return p;
}

static void put_ok(struct shelf *sh, const struct store_pack *p, struct span bytes) {
    SHELF_OK(sh, store_pack_put(sh->s, p, bytes, &sh->e));
    assert_int_equal(shelf_count(sh, "drafts"), 0);
}

static void holds(struct shelf *sh, const struct store_pack *p, struct span want) {
    struct blob *b;
    struct span got;
    SHELF_OK(sh, store_pack_ref(sh->s, p, want.n, &b, &got, &sh->e));
    assert_true((uintptr_t)got.p % 64 == 0 && got.n == want.n);
    assert_memory_equal(got.p, want.p, want.n);
    store_pack_unref(sh->s, b);
}

static void absent(struct shelf *sh, const struct store_pack *p, size_t n) {
    struct blob *b;
    struct span got;
    SHELF_FAILS(sh, NOT_FOUND, "cannot open", store_pack_ref(sh->s, p, n, &b, &got, &sh->e));
}

static void put_and_mapped(void **state) {
    struct shelf *sh = *state;
    struct store_pack p = piece_of(sh, 1, "1"), other = p;
    struct span bytes = shelf_bytes(sh, PACKED, 2);
    struct blob *a, *b;
    struct span x, y;
    absent(sh, &p, PACKED);
    put_ok(sh, &p, bytes);
    holds(sh, &p, bytes);
    SHELF_OK(sh, store_pack_ref(sh->s, &p, PACKED, &a, &x, &sh->e));
    SHELF_OK(sh, store_pack_ref(sh->s, &p, PACKED, &b, &y, &sh->e));
    assert_true(a == b && x.p == y.p); /* one map */
    store_pack_unref(sh->s, a);
    store_pack_unref(sh->s, b);
    SHELF_OK(sh, store_pack_ref(sh->s, &p, STORE_PACK_ANY, &a, &x, &sh->e)); /* of any size */
    assert_int_equal(x.n, PACKED);
    store_pack_unref(sh->s, a);
    other.packing = 8; /* cut otherwise: another pack beside it */
    absent(sh, &other, PACKED);
    put_ok(sh, &other, shelf_bytes(sh, 100, 3));
    holds(sh, &p, bytes);
    SHELF_FAILS(sh, CORRUPT, "has 200064 bytes",
                store_pack_ref(sh->s, &p, PACKED + 1, &a, &x, &sh->e));
}

static void names_are_checked(void **state) {
    struct shelf *sh = *state;
    struct store_pack p = piece_of(sh, 1, "1");
    const char *bad[] = {"", "a/b", "A", "a.b", "..", "0123456789012345678901234567890123456789x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct store_pack q = p;
        q.layout = str_of(bad[i]);
        SHELF_FAILS(sh, INVALID, "not names", store_pack_put(sh->s, &q, (struct span){0}, &sh->e));
        q = p;
        q.revision = str_of(bad[i]);
        SHELF_FAILS(sh, INVALID, "not names", store_pack_put(sh->s, &q, (struct span){0}, &sh->e));
    }
}

static void a_new_revision_replaces(void **state) {
    struct shelf *sh = *state;
    struct store_pack old = piece_of(sh, 1, "1-avx2"), new = old, longer = old;
    struct span bytes = shelf_bytes(sh, PACKED, 2);
    new.revision = LIT("1-avx512");
    longer.layout = LIT("strips-wide"); /* another layout stays */
    put_ok(sh, &old, bytes);
    put_ok(sh, &longer, bytes);
    put_ok(sh, &new, bytes);
    absent(sh, &old, PACKED);
    holds(sh, &new, bytes);
    holds(sh, &longer, bytes);
}

static void goes_with_its_piece(void **state) {
    struct shelf *sh = *state;
    struct store_swept swept;
    struct store_pack p = piece_of(sh, 1, "1"), q = piece_of(sh, 2, "1");
    struct span bytes = shelf_bytes(sh, PACKED, 3), got;
    struct blob *b;
    put_ok(sh, &p, bytes);
    put_ok(sh, &q, bytes);
    SHELF_OK(sh, store_gc(sh->s, 0, false, &swept, &sh->e));
    assert_int_equal(swept.packs, 0);
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 1, &sh->e));
    SHELF_OK(sh, store_pack_ref(sh->s, &p, PACKED, &b, &got, &sh->e));
    SHELF_OK(sh, store_gc(sh->s, 3600, false, &swept, &sh->e));
    assert_int_equal(swept.packs, 0); /* too young */
    SHELF_OK(sh, store_gc(sh->s, 0, true, &swept, &sh->e));
    assert_int_equal(swept.packs, 1);
    SHELF_OK(sh, store_gc(sh->s, 0, false, &swept, &sh->e));
    assert_true(swept.packs == 1 && swept.bytes >= PACKED);
    assert_memory_equal(got.p, bytes.p, PACKED); /* still mapped */
    store_pack_unref(sh->s, b);
    absent(sh, &p, PACKED);
    holds(sh, &q, bytes);
    SHELF_OK(sh, store_pack_drop_all(sh->s, true, &swept, &sh->e));
    assert_int_equal(swept.packs, 1);
    SHELF_OK(sh, store_pack_drop_all(sh->s, false, &swept, &sh->e));
    absent(sh, &q, PACKED);
    assert_int_equal(shelf_count(sh, "packs"), 0);
}

static void damage(struct shelf *sh, const struct store_pack *p, off_t at) {
    char path[PACKFILE_NAME], full[600];
    SHELF_OK(sh, path_of(p, path, &sh->e));
    snprintf(full, sizeof full, "%s/objects/%s", sh->at, path);
    chmod(full, 0644);
    int fd = open(full, O_RDWR);
    uint8_t byte;
    assert_true(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void verify_sees_damage(void **state) {
    struct shelf *sh = *state;
    struct store_pack p = piece_of(sh, 1, "1");
    struct span bytes = shelf_bytes(sh, PACKED, 3), got;
    struct store_verdict v;
    struct blob *b;
    char line[600] = "";
    put_ok(sh, &p, bytes);
    v = shelf_verify(sh);
    assert_true(v.packs == 1 && v.bad_packs == 0);
    damage(sh, &p, 12345); /* found by verify alone: starting stays cheap */
    SHELF_OK(sh, store_verify(sh->s, shelf_complain, line, &v, &sh->e));
    assert_true(v.bad_packs == 1 && v.bad == 0 && strstr(line, "damaged"));
    damage(sh, &p, 12345);
    assert_int_equal(shelf_verify(sh).bad_packs, 0);
    damage(sh, &p, PACKED + 30);
    SHELF_FAILS(sh, CORRUPT, "not what its name says",
                store_pack_ref(sh->s, &p, PACKED, &b, &got, &sh->e));
    put_ok(sh, &p, bytes); /* made again, over it */
    holds(sh, &p, bytes);
}

static void two_processes(void **state) {
    struct shelf *sh = *state;
    struct store_pack p = piece_of(sh, 1, "1");
    struct span bytes = shelf_bytes(sh, PACKED, 3);
    pid_t children[2];
    for (int i = 0; i < 2; i++)
        if ((children[i] = fork()) == 0) {
            struct store *s;
            struct err e;
            enum code code = store_open(sh->at, false, &s, &e);
            for (int n = 0; n < 20 && code == OK; n++) {
                struct blob *b;
                struct span got;
                code = store_pack_put(s, &p, bytes, &e);
                if (code == OK)
                    code = store_pack_ref(s, &p, PACKED, &b, &got, &e);
                if (code == OK && memcmp(got.p, bytes.p, PACKED) != 0)
                    _exit(2);
            }
            _exit(code != OK);
        }
    for (int i = 0; i < 2; i++) {
        int status = 1;
        waitpid(children[i], &status, 0);
        assert_int_equal(status, 0);
    }
    holds(sh, &p, bytes);
    assert_int_equal(shelf_count(sh, "drafts"), 0);
}

static void killed(void **state) {
    struct shelf *sh = *state;
    enum { KILLS = 40 };
    struct store_pack p = piece_of(sh, 1, "1");
    struct span bytes = shelf_bytes(sh, PACKED, 3);
    long drafts = 0;
    for (int round = 0; round < KILLS; round++) {
        struct store_swept swept;
        struct timespec pause = {0, 300000 + round * 100000};
        pid_t child = fork();
        if (child == 0) {
            struct store *s;
            struct err e;
            if (store_open(sh->at, false, &s, &e) == OK)
                while (store_pack_put(s, &p, bytes, &e) == OK)
                    ;
            _exit(1);
        }
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));
        struct store_verdict v = shelf_verify(sh);
        assert_true(v.packs <= 1 && v.bad_packs == 0);
        if (v.packs)
            holds(sh, &p, bytes);
        drafts += shelf_count(sh, "drafts");
        SHELF_OK(sh, store_gc(sh->s, 0, false, &swept, &sh->e));
        assert_int_equal(shelf_count(sh, "drafts"), 0);
        SHELF_OK(sh, store_pack_drop_all(sh->s, false, &swept, &sh->e));
    }
    print_message("%d kills, %ld drafts swept\n", KILLS, drafts);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(put_and_mapped),
        TEST(names_are_checked),
        TEST(a_new_revision_replaces),
        TEST(goes_with_its_piece),
        TEST(verify_sees_damage),
        TEST(two_processes),
        TEST(killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
