/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a fresh folder, for the tests of this floor, and short ways to put things into it.
 * Included once per test program, after the file under test. */
#pragma once

#include "base/file.h"
#include "base/mem.h"
#include "store/store.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SHELF __attribute__((unused)) static

struct shelf {
    char folder[64]; /* removed by shelf_end */
    char at[128];    /* folder/store */
    struct store *s;
    struct arena a;
    struct err e;
};

/* OK, or the test fails and prints why. */
#define SHELF_OK(sh, call)                                                                         \
    do {                                                                                           \
        enum code shelf_code_ = (call);                                                            \
        if (shelf_code_ != OK)                                                                     \
            fail_msg("%s: %s", err_name(shelf_code_), (sh)->e.text);                               \
    } while (0)

/* Fails with this code, and with a text that contains `words`. */
#define SHELF_FAILS(sh, NAME, words, call)                                                         \
    do {                                                                                           \
        enum code shelf_code_ = (call);                                                            \
        if (shelf_code_ != ERR_##NAME || (sh)->e.code != shelf_code_ ||                            \
            !strstr((sh)->e.text, words))                                                          \
            fail_msg("%s: '%s' instead of " #NAME " '%s'", err_name(shelf_code_), (sh)->e.text,    \
                     words);                                                                       \
    } while (0)

SHELF int shelf_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st;
    (void)at;
    if (kind == FTW_D || kind == FTW_DP)
        chmod(path, 0755);
    return remove(path);
}

SHELF void shelf_begin(struct shelf *sh) {
    memset(sh, 0, sizeof *sh);
    const char *tmp = getenv("TMPDIR");
    snprintf(sh->folder, sizeof sh->folder, "%.40s/shelf-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(sh->folder));
    chmod(sh->folder, 0755);
    snprintf(sh->at, sizeof sh->at, "%s/store", sh->folder);
    arena_init(&sh->a, (size_t)64 << 20);
    SHELF_OK(sh, store_open(sh->at, true, &sh->s, &sh->e));
}

SHELF void shelf_end(struct shelf *sh) {
    store_close(sh->s);
    arena_deinit(&sh->a);
    nftw(sh->folder, shelf_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

SHELF int shelf_setup(void **state) {
    struct shelf *sh = malloc(sizeof *sh);
    shelf_begin(sh);
    *state = sh;
    return 0;
}

SHELF int shelf_teardown(void **state) {
    shelf_end(*state);
    free(*state);
    return 0;
}

/* Bytes that differ from seed to seed and do not compress into anything regular. */
SHELF void shelf_fill(uint8_t *p, size_t n, uint64_t seed) {
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        p[i] = (uint8_t)(x >> 32);
    }
}

SHELF struct span shelf_bytes(struct shelf *sh, size_t n, uint64_t seed) {
    uint8_t *p = arena_push(&sh->a, n);
    shelf_fill(p, n, seed);
    return (struct span){p, n};
}

/* One file "model.bin" of `bytes` cut at `pieces`, one part "graph". */
SHELF struct store_added shelf_add(struct shelf *sh, const char *model, struct span bytes,
                                   const struct store_piece *pieces, size_t n_pieces) {
    struct store_source source = {LIT("model.bin"), bytes, pieces, n_pieces};
    struct store_part part = {LIT("graph"), {(const uint8_t *)"g", 1}};
    struct store_new n = {.model = str_of(model),
                          .format = LIT("onnx"),
                          .origin = LIT("model.bin"),
                          .sources = &source,
                          .n_sources = 1,
                          .parts = &part,
                          .n_parts = 1};
    struct store_added added;
    SHELF_OK(sh, store_add(sh->s, &n, &added, &sh->e));
    return added;
}

/* A small version whose bytes come from seed. */
SHELF struct store_added shelf_add_seed(struct shelf *sh, const char *model, uint64_t seed) {
    return shelf_add(sh, model, shelf_bytes(sh, 10000, seed),
                     (struct store_piece[]){{100, 5000}, {6000, 200}}, 2);
}

SHELF void shelf_complain(void *ctx, const char *line) { snprintf(ctx, 600, "%s", line); }

/* The store verifies clean. */
SHELF struct store_verdict shelf_verify(struct shelf *sh) {
    struct store_verdict verdict;
    char line[600] = "";
    SHELF_OK(sh, store_verify(sh->s, shelf_complain, line, &verdict, &sh->e));
    if (verdict.bad)
        fail_msg("verify: %s", line);
    return verdict;
}

SHELF struct span shelf_read(struct shelf *sh, const char *path) {
    struct span bytes;
    SHELF_OK(sh, file_read(path, (size_t)64 << 20, &sh->a, &bytes, &sh->e));
    return bytes;
}

SHELF int shelf_count_one(const char *path, const struct stat *st, int kind, struct FTW *at);
static long shelf_counted;
SHELF int shelf_count_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)path;
    (void)st;
    (void)at;
    shelf_counted += kind == FTW_F;
    return 0;
}

/* Regular files under store/NAME. */
SHELF long shelf_count(struct shelf *sh, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", sh->at, name);
    shelf_counted = 0;
    nftw(path, shelf_count_one, 16, FTW_PHYS);
    return shelf_counted;
}

/* Runs fn in a child that may not override permissions; its exit status. */
SHELF int shelf_as_nobody(void (*fn)(struct shelf *), struct shelf *sh) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(99);
        fn(sh);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
