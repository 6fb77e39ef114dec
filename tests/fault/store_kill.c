/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 at random moments: two processes add versions as fast as they can, a third collects
 * garbage with no grace at all, and all die together, 200 times. Each time the store verifies
 * clean, every version that was acknowledged is there with the bytes that were given, nothing is
 * there that nobody was adding, and gc leaves exactly what versions name. */
#include "base/err.h"

#include "../unit/store/shelf.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>

enum { KILLS = 200, WRITERS = 2, KEEP = 12, SIZE_MAX_BYTES = 400000, SHARED = 50000 };

struct receipt { /* what a writer sends once store_add returned OK; smaller than PIPE_BUF, so never
                    cut */
    uint64_t seed, version;
    char digest[SHA256_HEX + 1];
};

static size_t size_of(uint64_t seed) {
    return SHARED + 20000 + seed * 7919 % (SIZE_MAX_BYTES - SHARED - 20000);
}

/* Versions of one writer share their first bytes. */
static size_t make_bytes(uint64_t seed, uint8_t *bytes) {
    size_t n = size_of(seed);
    shelf_fill(bytes, SHARED, seed % WRITERS);
    shelf_fill(bytes + SHARED, n - SHARED, seed);
    return n;
}

static enum code add_seed(struct store *s, uint64_t seed, struct store_added *out, struct err *e) {
    static uint8_t bytes[SIZE_MAX_BYTES];
    size_t n = make_bytes(seed, bytes);
    struct store_piece pieces[] = {
        {0, SHARED}, {SHARED + 100, 9000}, {SHARED + 10000, n - SHARED - 10100}};
    struct store_part part = {LIT("graph"), {(const uint8_t *)&seed, sizeof seed}};
    struct store_source source = {LIT("model.onnx"), {bytes, n}, pieces, 3};
    struct store_new new = {
        .model = LIT("m"), .sources = &source, .n_sources = 1, .parts = &part, .n_parts = 1};
    return store_add(s, &new, out, e);
}

static void write_until_killed(const char *at, uint64_t seed, int pipe_fd) {
    struct store *s;
    struct err e;
    enum code code = store_open(at, false, &s, &e);
    for (; code == OK; seed += WRITERS) {
        struct store_added added;
        code = add_seed(s, seed, &added, &e);
        struct receipt r = {.seed = seed, .version = added.version};
        memcpy(r.digest, added.digest, sizeof r.digest);
        if (code == OK && write(pipe_fd, &r, sizeof r) != sizeof r)
            _exit(1);
        if (code ==
            ERR_CONFLICT) /* the sweeper won five times: allowed to say so, not to do harm */
            code = OK;
    }
    fprintf(stderr, "writer: %s\n", e.text);
    _exit(1);
}

static void sweep_until_killed(const char *at) {
    struct store *s;
    struct err e;
    enum code code = store_open(at, false, &s, &e);
    while (code == OK) {
        struct store_swept swept;
        struct timespec pause = {0, 2000000};
        code = store_gc(s, 0, false, &swept, &e);
        nanosleep(&pause, NULL);
    }
    fprintf(stderr, "sweeper: %s\n", e.text);
    _exit(1);
}

static void check_bytes(struct shelf *sh, const struct receipt *r) {
    static uint8_t bytes[SIZE_MAX_BYTES];
    char path[200];
    size_t n = make_bytes(r->seed, bytes);
    snprintf(path, sizeof path, "%s/out", sh->folder);
    SHELF_OK(sh, store_export(sh->s, LIT("m"), r->version, path, &sh->e));
    struct span got = shelf_read(sh, path);
    assert_int_equal(got.n, n);
    assert_memory_equal(got.p, bytes, n);
}

static void check_receipts(struct shelf *sh, const struct receipt *receipts, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct store_info info;
        struct store_ref ref = {.model = LIT("m"), .version = receipts[i].version};
        SHELF_OK(sh, store_resolve(sh->s, &ref, &sh->a, &info, &sh->e));
        assert_true(str_is(info.digest, receipts[i].digest));
    }
    if (n > 0)
        check_bytes(sh, &receipts[n - 1]);
}

static size_t versions_of(struct shelf *sh, struct store_info **list) {
    size_t n = 0;
    SHELF_OK(sh, store_list(sh->s, (struct str){0}, &sh->a, list, &n, &sh->e));
    return n;
}

static void drop_old(struct shelf *sh) {
    struct store_info *list;
    size_t n = versions_of(sh, &list);
    for (size_t i = KEEP; i < n; i++)
        SHELF_OK(sh, store_remove(sh->s, LIT("m"), list[i].version, &sh->e));
}

struct tally {
    long acknowledged, drafts, orphans;
};

static size_t read_receipts(int fd, struct receipt *receipts, size_t room) {
    size_t n = 0;
    while (n < room && read(fd, &receipts[n], sizeof *receipts) == (ssize_t)sizeof *receipts)
        n++;
    assert_true(n < room);
    return n;
}

static void run_and_kill(struct shelf *sh, uint64_t seed, bool sweep, unsigned delay_us,
                         int pipe_fd) {
    pid_t children[WRITERS + 1];
    int n = 0;
    for (int w = 0; w < WRITERS; w++)
        if ((children[n++] = fork()) == 0)
            write_until_killed(sh->at, seed + (uint64_t)w, pipe_fd);
    if (sweep && (children[n++] = fork()) == 0)
        sweep_until_killed(sh->at);
    struct timespec delay = {0, (long)delay_us * 1000};
    nanosleep(&delay, NULL);
    for (int i = 0; i < n; i++)
        kill(children[i], SIGKILL);
    for (int i = 0; i < n; i++) {
        int status = 0;
        waitpid(children[i], &status, 0);
        assert_true(WIFSIGNALED(status)); /* it lived to be killed: nothing failed before */
    }
}

static void one_round(struct shelf *sh, int round, unsigned *dice, struct tally *t) {
    static struct receipt receipts[4096];
    struct store_info *list;
    int fds[2];
    SHELF_OK(sh, store_open(sh->at, true, &sh->s, &sh->e));
    size_t before = versions_of(sh, &list);
    store_close(sh->s);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    run_and_kill(sh, (uint64_t)round * 100000, round % 3 == 0, (unsigned)rand_r(dice) % 100000,
                 fds[1]);
    close(fds[1]);
    size_t n = read_receipts(fds[0], receipts, sizeof receipts / sizeof *receipts);
    close(fds[0]);
    SHELF_OK(sh, store_open(sh->at, false, &sh->s, &sh->e));
    struct store_verdict v = shelf_verify(sh);
    assert_true(v.versions >= before + n && v.versions <= before + n + WRITERS);
    check_receipts(sh, receipts, n);
    t->acknowledged += (long)n;
    t->drafts += shelf_count(sh, "drafts");
    t->orphans += shelf_count(sh, "objects") - (long)v.blobs;
    drop_old(sh);
    struct store_swept swept;
    SHELF_OK(sh, store_gc(sh->s, 0, false, &swept, &sh->e));
    assert_int_equal(shelf_count(sh, "drafts"), 0);
    assert_int_equal(shelf_count(sh, "objects"), shelf_verify(sh).blobs);
    store_close(sh->s);
    sh->s = NULL;
}

static void killed(void **state) {
    struct shelf *sh = *state;
    struct tally t = {0};
    unsigned dice = (unsigned)time(NULL);
    print_message("dice %u\n", dice);
    store_close(sh->s);
    sh->s = NULL;
    for (int round = 0; round < KILLS; round++) {
        struct arena_mark mark = arena_mark(&sh->a);
        one_round(sh, round, &dice, &t);
        arena_reset(&sh->a, mark);
    }
    print_message(
        "%d kills: %ld versions acknowledged and kept, %ld drafts and %ld orphans swept\n", KILLS,
        t.acknowledged, t.drafts, t.orphans);
    assert_true(t.acknowledged > 0 &&
                t.drafts + t.orphans > 0); /* it did die in the middle of adds, too */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed, shelf_setup, shelf_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
