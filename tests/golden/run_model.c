/* SPDX-License-Identifier: Apache-2.0 */
/* The graph engine behind a pipe, for the golden tests and the benchmark: loads one model, then
 * obeys lines of stdin.
 *
 *   run DIR          inputs DIR/in_0.npy, ... (a missing one takes its default); writes
 * DIR/out_0.npy, ...; "ok" bench N DIR      N runs after two to warm up: "ok NS NS ..." steps DIR
 * one line per step: calls, ns, op, kernel, layout, shapes; then "ok" info             "in NAME
 * DTYPE DIMS", "out ...", "batches 0|1", "pass NAME" by bit; then "ok" memory           "constant
 * packed slab plans runners"; then "ok" needs DIR        "planned alive late measured heap": bytes
 * of a first run as its plan foretells them, steps it cannot tell of, bytes that the run counted,
 * bytes the heap grew by (0 without tests/clients/alloc_count.c); then "ok"
 *
 * A failure is one line "error CODE text". Usage: run_model MODEL [--threads N] [--off MASK]
 * [--profile] [--precision f32|bf16] */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "format/format.h"
#include "base/cores.h"
#include "plan/session.h"
#include "tensor/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE_ROOM = 8192,
    PATH_ROOM = LINE_ROOM + 32,
    INPUTS_MAX = 64,
    ARENA_CAP = 2000 << 20,
    WARM_RUNS = 2
};

struct driver {
    struct import import;
    struct session *session;
    int threads;
    struct arena arena; /* of one command */
};

static enum code read_inputs(struct driver *d, const char *dir, struct tensor *inputs,
                             struct err *e) {
    const struct session_io *io;
    size_t n = session_inputs(d->session, &io);
    if (n > INPUTS_MAX)
        return fail(e, LIMIT, "%zu inputs", n);
    for (size_t i = 0; i < n; i++) {
        char path[PATH_ROOM];
        snprintf(path, sizeof path, "%s/in_%zu.npy", dir, i);
        inputs[i] = (struct tensor){0};
        if (access(path, R_OK) != 0)
            continue;
        FILE *f = fopen(path, "rb");
        if (!f)
            return fail(e, IO, "%s", path);
        fseek(f, 0, SEEK_END);
        size_t size = (size_t)ftell(f);
        rewind(f);
        uint8_t *bytes = arena_push_aligned(&d->arena, size + 1, 64);
        size_t got = bytes ? fread(bytes, 1, size, f) : 0;
        fclose(f);
        if (got != size)
            return fail(e, IO, "%s", path);
        TRY(npy_read((struct span){bytes, size}, &d->arena, &inputs[i], e));
    }
    return OK;
}

static enum code write_output(const char *dir, size_t i, const struct tensor *t, struct err *e) {
    char path[PATH_ROOM];
    struct buf b;
    buf_init(&b, (size_t)4 << 30);
    enum code code = npy_put(t, &b, e);
    snprintf(path, sizeof path, "%s/out_%zu.npy", dir, i);
    FILE *f = code == OK ? fopen(path, "wb") : NULL;
    if (code == OK && (!f || fwrite(b.p, 1, b.n, f) != b.n))
        code = fail(e, IO, "%s", path);
    if (f)
        fclose(f);
    buf_deinit(&b);
    return code;
}

static enum code do_run(struct driver *d, const char *dir, struct err *e) {
    struct tensor inputs[INPUTS_MAX];
    struct session_run run;
    const struct session_io *io;
    TRY(read_inputs(d, dir, inputs, e));
    struct session_ask ask = {.inputs = inputs, .threads = d->threads, .seed = 1};
    TRY(session_begin(d->session, &ask, &run, e));
    enum code code = OK;
    for (size_t i = 0; i < session_outputs(d->session, &io) && code == OK; i++)
        code = write_output(dir, i, &run.outputs[i], e);
    session_end(d->session, &run);
    return code;
}

static enum code do_bench(struct driver *d, int runs, const char *dir, struct err *e) {
    struct tensor inputs[INPUTS_MAX];
    struct session_run run;
    TRY(read_inputs(d, dir, inputs, e));
    struct session_ask ask = {.inputs = inputs, .threads = d->threads};
    uint64_t *ns = ARENA_ARRAY(&d->arena, (size_t)runs + 1, uint64_t);
    for (int k = -WARM_RUNS; k < runs; k++) {
        uint64_t began = clock_ns();
        TRY(session_begin(d->session, &ask, &run, e));
        session_end(d->session, &run);
        if (k >= 0)
            ns[k] = clock_ns() - began;
    }
    printf("ok");
    for (int k = 0; k < runs; k++)
        printf(" %llu", (unsigned long long)ns[k]);
    printf("\n");
    return OK;
}

static enum code do_steps(struct driver *d, const char *dir, struct err *e) {
    struct tensor inputs[INPUTS_MAX];
    struct session_step *rows;
    size_t n;
    TRY(read_inputs(d, dir, inputs, e));
    struct session_ask ask = {.inputs = inputs, .threads = d->threads};
    TRY(session_explain(d->session, &ask, &d->arena, &rows, &n, e));
    for (size_t i = 0; i < n; i++)
        printf("%llu\t%llu\t%llu\t%.*s\t%.*s\t%.*s\t%.*s\t%.*s\n",
               (unsigned long long)rows[i].calls, (unsigned long long)rows[i].total_ns,
               (unsigned long long)rows[i].min_ns, STR(rows[i].op), STR(rows[i].kernel),
               STR(rows[i].layout), STR(rows[i].shapes), STR(rows[i].node));
    return OK;
}

static void print_io(const char *what, const struct session_io *io, size_t n) {
    char text[SHAPE_TEXT];
    for (size_t i = 0; i < n; i++)
        printf("%s\t%.*s\t%s\t%s\n", what, STR(io[i].name), dtype_name(io[i].dtype),
               io[i].shape.rank < 0 ? "?" : shape_print(&io[i].shape, text));
}

static void do_info(struct driver *d) {
    const struct session_io *io;
    size_t n = session_inputs(d->session, &io);
    print_io("in", io, n);
    n = session_outputs(d->session, &io);
    print_io("out", io, n);
    printf("batches\t%d\n", session_batches(d->session));
    for (size_t i = 0; i < pass_count(); i++)
        printf("pass\t%s\n", pass_name(i));
}

/* Of alloc_count.c where that is preloaded. */
void alloc_mark(void) __attribute__((weak));
size_t alloc_grown(void) __attribute__((weak));

static enum code do_needs(struct driver *d, const char *dir, struct err *e) {
    struct tensor inputs[INPUTS_MAX];
    struct session_needs needs;
    struct session_run run;
    TRY(read_inputs(d, dir, inputs, e));
    struct session_ask ask = {.inputs = inputs, .threads = d->threads};
    TRY(session_predict(d->session, &ask, &needs, e));
    if (alloc_mark)
        alloc_mark();
    TRY(session_begin(d->session, &ask, &run, e));
    printf("%zu %zu %d %zu %zu\n", needs.slab_bytes, needs.live_bytes, needs.late, run.memory_bytes,
           alloc_grown ? alloc_grown() : 0);
    session_end(d->session, &run);
    return OK;
}

static void do_memory(struct driver *d) {
    struct session_memory m;
    session_memory(d->session, &m);
    printf("%zu %zu %zu %zu %zu\n", m.constant_bytes, m.packed_bytes, m.slab_bytes, m.plans,
           m.runners);
}

static enum code obey(struct driver *d, char *line, struct err *e) {
    char *dir = line;
    long runs = strncmp(line, "bench ", 6) == 0 ? strtol(line + 6, &dir, 10) : 0;
    if (strncmp(line, "run ", 4) == 0)
        TRY(do_run(d, line + 4, e));
    else if (runs > 0 && runs < 100000 && *dir == ' ')
        return do_bench(d, (int)runs, dir + 1, e);
    else if (strncmp(line, "steps ", 6) == 0)
        TRY(do_steps(d, line + 6, e));
    else if (strncmp(line, "needs ", 6) == 0)
        TRY(do_needs(d, line + 6, e));
    else if (strcmp(line, "info") == 0)
        do_info(d);
    else if (strcmp(line, "memory") == 0)
        do_memory(d);
    else
        return fail(e, USAGE, "unknown command '%s'", line);
    printf("ok\n");
    return OK;
}

static void obey_all(struct driver *d) {
    char line[LINE_ROOM];
    while (fgets(line, sizeof line, stdin)) {
        struct err e = {0};
        line[strcspn(line, "\n")] = 0;
        arena_init(&d->arena, ARENA_CAP);
        if (obey(d, line, &e) != OK)
            printf("error %s %s\n", err_name(e.code), e.text);
        fflush(stdout);
        arena_deinit(&d->arena);
    }
}

int main(int argc, char **argv) {
    struct driver d = {.threads = 2};
    struct session_options o = {0};
    struct err e = {0};
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            d.threads = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--off") == 0 && i + 1 < argc)
            o.passes_off = (unsigned)strtoul(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--profile") == 0)
            o.profile = true;
        else if (strcmp(argv[i], "--precision") == 0 && i + 1 < argc)
            o.precision = strcmp(argv[++i], "bf16") ? PRECISION_F32 : PRECISION_BF16;
    }
    cores_setup(d.threads);
    if (argc < 2 || cpu_setup(&e) != OK ||
        import_open(argv[1], &(struct format_limits){0}, &d.import, &e) != OK) {
        printf("error %s %s\n", err_name(e.code), argc < 2 ? "usage: run_model MODEL" : e.text);
        return 1;
    }
    int status = 0;
    if (session_open(d.import.model, &o, &d.session, &e) == OK) {
        printf("ready\n");
        fflush(stdout);
        obey_all(&d);
        session_close(d.session);
    } else {
        printf("error %s %s\n", err_name(e.code), e.text);
        status = 1;
    }
    import_close(&d.import);
    return status;
}
