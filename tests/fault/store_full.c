/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is really full: adds of every size around what is left on a small tmpfs. Each that
 * does not fit says so in one line and gives everything back, so that a smaller one fits right
 * after. Needs a mount namespace; skipped without. */
#include "base/err.h"

#include "../unit/store/shelf.h"

#include <sched.h>
#include <sys/mount.h>

enum { DISK_BYTES = 1536 << 10, SKIPPED = 77 };

static enum code add_bytes(struct shelf *sh, size_t n) {
    struct store_piece pieces[] = {{0, n / 3}, {n / 3, n / 3}};
    struct store_source source = {LIT("f"), shelf_bytes(sh, n, n), pieces, 2};
    struct store_new new = {.model = LIT("m"), .sources = &source, .n_sources = 1};
    struct store_added added;
    return store_add(sh->s, &new, &added, &sh->e);
}

static void full(void **state) {
    struct shelf *sh = *state;
    long refused = 0, taken = 0;
    SHELF_OK(sh, add_bytes(sh, 50000));
    for (size_t n = 900000; n < DISK_BYTES; n += 4096 + 512) {
        struct arena_mark mark = arena_mark(&sh->a);
        store_close(sh->s); /* the log goes: it has to find its first page on the full disk */
        SHELF_OK(sh, store_open(sh->at, false, &sh->s, &sh->e));
        enum code code = add_bytes(sh, n);
        assert_int_equal(shelf_count(sh, "drafts"), 0);
        struct store_verdict v = shelf_verify(sh);
        assert_int_equal(shelf_count(sh, "objects"), v.blobs);
        if (code == OK) {
            struct store_info info;
            struct store_swept swept;
            SHELF_OK(sh, store_resolve(sh->s, &(struct store_ref){.model = LIT("m")}, &sh->a, &info,
                                       &sh->e));
            SHELF_OK(sh, store_remove(sh->s, LIT("m"), info.version, &sh->e));
            SHELF_OK(sh, store_gc(sh->s, 0, false, &swept, &sh->e));
            taken++;
        } else {
            assert_int_equal(code, ERR_IO);
            assert_true(strstr(sh->e.text, "No space left") || strstr(sh->e.text, "disk is full"));
            assert_int_equal(v.versions, 1);
            refused++;
        }
        arena_reset(&sh->a, mark);
    }
    print_message("%ld fitted, %ld did not\n", taken, refused);
    assert_true(taken > 0 && refused > 0);
}

/* A small disk at /tmp that only this process sees. */
static bool small_disk(void) {
    char size[40];
    snprintf(size, sizeof size, "size=%d,mode=1777", DISK_BYTES);
    return unshare((geteuid() == 0 ? 0 : CLONE_NEWUSER) | CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/tmp", "tmpfs", 0, size) == 0;
}

int main(void) {
    if (!small_disk()) {
        printf("skipped: this environment does not let a test mount a small disk\n");
        return SKIPPED;
    }
    setenv("TMPDIR", "/tmp", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(full, shelf_setup, shelf_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
