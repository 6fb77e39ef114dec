/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target without a fuzzer, so that every corpus is an ordinary test.
 *
 *     fuzz_NAME PATH [MUTATIONS]     PATH: a folder of inputs, or one input
 *
 * Feeds each input as it is, then MUTATIONS (default 0) deterministic variations of it: the same
 * build gives the same bytes every time. Every input lies in its own exact-size allocation, so that
 * AddressSanitizer sees a read one byte beyond. An input that crashes, or takes longer than HANG_S
 * seconds, is named and kept as ./crash-PID. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

enum { HANG_S = 20, MOST_INPUTS = 4096, MOST_BYTES = 1 << 20, ARENA_BYTES = 1 << 28 };

static struct {
    const char *name; /* of the input running now */
    long mutation;
    const uint8_t *bytes;
    size_t n;
} now;

static struct span inputs[MOST_INPUTS];
static char *names[MOST_INPUTS];
static size_t n_inputs;

/* --- when it goes wrong --- */

static void keep_input(void) { /* async-signal-safe but for snprintf of integers */
    char text[512], path[64];
    snprintf(path, sizeof path, "crash-%d", (int)getpid());
    int n = snprintf(text, sizeof text, "\n%s, mutation %ld (%zu bytes): kept as ./%s\n", now.name,
                     now.mutation, now.n, path);
    if (n > 0 && write(2, text, (size_t)n) < 0)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0 && write(fd, now.bytes, now.n) >= 0)
        close(fd);
}

static void on_signal(int number) {
    keep_input();
    signal(number, SIG_DFL);
    raise(number == SIGALRM ? SIGABRT : number);
}

static void watch(void) {
    signal(SIGALRM, on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(keep_input);
    else
        signal(SIGSEGV, on_signal);
    signal(SIGABRT, on_signal);
}

/* --- running --- */

static void run(const uint8_t *bytes, size_t n) {
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact)
        exit(1);
    if (n)
        memcpy(exact, bytes, n);
    now.bytes = exact;
    now.n = n;
    alarm(HANG_S);
    LLVMFuzzerTestOneInput(exact, n);
    alarm(0);
    free(exact);
}

/* --- mutations --- */

static uint64_t state;

static uint64_t next_random(void) { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1du;
}

static size_t below(size_t n) { return n ? (size_t)(next_random() % n) : 0; }

struct text {
    uint8_t *p; /* MOST_BYTES of room */
    size_t n;
};

static void replace(struct text *t, size_t at, size_t old, const uint8_t *p, size_t n) {
    if (t->n - old + n > MOST_BYTES)
        return;
    memmove(t->p + at + n, t->p + at + old, t->n - at - old);
    if (n)
        memcpy(t->p + at, p, n);
    t->n = t->n - old + n;
}

static void flip_bit(struct text *t) {
    if (t->n)
        t->p[below(t->n)] ^= (uint8_t)(1u << below(8));
}

static void set_byte(struct text *t) {
    static const uint8_t edges[] = {0,   1,   0x7f, 0x80, 0xff, '"', '\\',
                                    '[', '{', ',',  '-',  '0',  '9', '\n'};
    if (t->n)
        t->p[below(t->n)] = next_random() & 1 ? edges[below(sizeof edges)] : (uint8_t)next_random();
}

static void delete_range(struct text *t) {
    size_t at = below(t->n), n = below(t->n - at < 64 ? t->n - at + 1 : 64);
    replace(t, at, n, NULL, 0);
}

static void repeat_range(struct text *t) {
    uint8_t copy[64];
    size_t at = below(t->n), n = below(t->n - at < sizeof copy ? t->n - at + 1 : sizeof copy);
    if (n)
        memcpy(copy, t->p + at, n);
    for (size_t times = 1 + below(8); times; times--)
        replace(t, at, 0, copy, n);
}

static void insert_bytes(struct text *t) {
    uint8_t bytes[8];
    uint64_t v = next_random();
    memcpy(bytes, &v, sizeof bytes);
    replace(t, below(t->n + 1), 0, bytes, 1 + below(8));
}

static void set_word(
    struct text *t) { /* the edges of 32- and 64-bit numbers, as lengths and offsets hold */
    static const uint64_t edges[] = {
        0, 1, 0x7fffffff, 0x80000000, 0xffffffff, (uint64_t)1 << 62, INT64_MAX, UINT64_MAX};
    uint64_t v = edges[below(8)];
    size_t n = next_random() & 1 ? 4 : 8;
    if (t->n >= n)
        memcpy(t->p + below(t->n - n + 1), &v, n);
}

static void truncate_end(struct text *t) { t->n = below(t->n + 1); }

static void join_other(struct text *t) { /* the front of this, the back of another */
    struct span other = inputs[below(n_inputs)];
    size_t from = below(other.n), at = below(t->n + 1);
    replace(t, at, t->n - at, other.n ? other.p + from : NULL, other.n - from);
}

static void mutate(struct text *t) {
    static void (*const ways[])(struct text *) = {
        flip_bit,     flip_bit,     set_byte, set_byte,     delete_range,
        repeat_range, insert_bytes, set_word, truncate_end, join_other};
    for (size_t times = 1 + below(4); times; times--)
        ways[below(sizeof ways / sizeof *ways)](t);
}

/* --- inputs --- */

static int fail_with(const struct err *e) {
    fprintf(stderr, "%s\n", e->text);
    return 1;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}
static int visible(const struct dirent *d) { return d->d_name[0] != '.'; }

static enum code add_input(const char *path, struct arena *a, struct err *e) {
    if (n_inputs == MOST_INPUTS)
        return fail(e, LIMIT, "more than %d inputs", MOST_INPUTS);
    names[n_inputs] = arena_strdup(a, str_of(path));
    TRY(file_read(path, MOST_BYTES, a, &inputs[n_inputs], e));
    n_inputs++;
    return OK;
}

static enum code add_folder(const char *path, struct arena *a, struct err *e) {
    struct dirent **entries;
    int n = scandir(path, &entries, visible, by_name);
    if (n < 0)
        return fail(e, NOT_FOUND, "cannot list '%s'", path);
    enum code code = OK;
    for (int at = 0; at < n; at++) {
        char *file = arena_printf(a, "%s/%s", path, entries[at]->d_name);
        if (code == OK)
            code = file ? add_input(file, a, e) : fail(e, NOMEM, "out of memory");
        free(entries[at]);
    }
    free(entries);
    return code;
}

static void run_all(long mutations) {
    static uint8_t room[MOST_BYTES];
    for (size_t at = 0; at < n_inputs; at++) {
        now.name = names[at];
        now.mutation = 0;
        run(inputs[at].p, inputs[at].n);
        state = 0x9e3779b97f4a7c15u * (at + 1);
        for (now.mutation = 1; now.mutation <= mutations; now.mutation++) {
            struct text t = {room, inputs[at].n};
            memcpy(room, inputs[at].p, inputs[at].n);
            mutate(&t);
            run(t.p, t.n);
        }
    }
}

int main(int argc, char **argv) {
    struct arena a;
    struct err e;
    struct stat st;
    if (argc < 2 || argc > 3 || stat(argv[1], &st) != 0) {
        fprintf(stderr, "usage: %s PATH [MUTATIONS]\n", argv[0]);
        return 64;
    }
    arena_init(&a, ARENA_BYTES);
    enum code code = S_ISDIR(st.st_mode) ? add_folder(argv[1], &a, &e) : add_input(argv[1], &a, &e);
    if (code == OK && n_inputs == 0)
        code = fail(&e, NOT_FOUND, "no inputs in '%s'", argv[1]);
    if (code != OK)
        return fail_with(&e);
    watch();
    long mutations = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    uint64_t start = clock_ns();
    run_all(mutations);
    printf("%zu inputs, %ld mutations of each, %.1f s\n", n_inputs, mutations,
           (double)(clock_ns() - start) * 1e-9);
    arena_deinit(&a);
    return 0;
}
