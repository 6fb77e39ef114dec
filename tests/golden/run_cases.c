/* SPDX-License-Identifier: Apache-2.0 */
/* Many small models, one after the other: what test_random.py asks its questions of. Obeys lines of
 * stdin, each the name of a folder:
 *
 *   DIR   loads DIR/model.onnx, gives it DIR/in_0.pb, in_1.sequence.pb, ... (a missing one takes
 * its default) and writes DIR/out.bin; "ok" or one line "error CODE text".
 *
 * out.bin holds the outputs in order, each after a line that describes it: "f32 2 3" and the
 * elements as they lie in memory; "string 2" and per element its length on a line, then its bytes;
 * "sequence N" (or "absent 0") and N values; "map 2", keys and values. Usage: run_cases [--threads
 * N] [--off MASK] [--spoil N]
 *
 * --spoil: each case is spoiled N times (spoil.h) and run; "ok" when nothing crashes or fails
 * without a word. For a build with sanitizers. */
#include "base/cpu.h"
#include "base/clock.h"
#include "format/format.h"
#include "format/onnx_tensor.h"
#include "base/cores.h"
#include "plan/session.h"
#include "../conformance/spoil.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_ROOM = 4096, PATH_ROOM = LINE_ROOM + 64, INPUTS_MAX = 256, SECONDS = 20 };

static int threads = 2;
static unsigned passes_off;
static unsigned long spoils;

static enum code read_file(const char *path, struct arena *a, struct span *out, struct err *e) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return fail(e, IO, "%s", path);
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = arena_push_aligned(a, size + 1, 64);
    size_t got = bytes ? fread(bytes, 1, size, f) : 0;
    fclose(f);
    if (got != size)
        return fail(e, IO, "%s", path);
    *out = (struct span){bytes, size};
    return OK;
}

typedef enum code read_fn(struct span file, struct arena *a, struct tensor *out, struct err *e);

static enum code read_optional(struct span file, struct arena *a, struct tensor *out,
                               struct err *e) {
    TRY(onnx_tensor_read_optional(file, a, out, e));
    const struct sequence *s = out->data;
    if (!s->absent)
        *out = s->items[0];
    return OK;
}

static enum code read_input(const char *dir, size_t i, struct arena *a, struct tensor *out,
                            struct err *e) {
    static const struct {
        const char *ending;
        read_fn *read;
    } kinds[] = {{"pb", onnx_tensor_read},
                 {"sequence.pb", onnx_tensor_read_sequence},
                 {"map.pb", onnx_tensor_read_map},
                 {"optional.pb", read_optional}};
    *out = (struct tensor){0};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        char path[PATH_ROOM];
        struct span bytes;
        snprintf(path, sizeof path, "%s/in_%zu.%s", dir, i, kinds[k].ending);
        if (access(path, R_OK) != 0)
            continue;
        TRY(read_file(path, a, &bytes, e));
        return kinds[k].read(bytes, a, out, e);
    }
    return OK;
}

static void put_value(FILE *f, const struct tensor *t) {
    if (t->dtype == DT_SEQUENCE) {
        const struct sequence *s = t->data;
        fprintf(f, "%s %zu\n", s->absent ? "absent" : s->map ? "map" : "sequence", s->n);
        for (size_t i = 0; i < s->n; i++)
            put_value(f, &s->items[i]);
        return;
    }
    fprintf(f, "%s", dtype_name(t->dtype));
    for (int d = 0; d < t->shape.rank; d++)
        fprintf(f, " %lld", (long long)t->shape.dims[d]);
    fprintf(f, "\n");
    if (t->dtype != DT_STRING) {
        fwrite(t->data ? t->data : "", 1, tensor_bytes(t), f);
        return;
    }
    for (size_t i = 0; i < tensor_count(t); i++) {
        struct str s = ((const struct str *)t->data)[i];
        fprintf(f, "%zu\n", s.n);
        fwrite(s.n ? s.p : "", 1, s.n, f);
    }
}

static enum code write_outputs(const char *dir, const struct session_run *run, size_t n,
                               struct err *e) {
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/out.bin", dir);
    FILE *f = fopen(path, "wb");
    if (!f)
        return fail(e, IO, "%s", path);
    for (size_t i = 0; i < n; i++)
        put_value(f, &run->outputs[i]);
    return fclose(f) == 0 ? OK : fail(e, IO, "%s", path);
}

static enum code run_session(struct session *s, const char *dir, struct arena *a, struct err *e) {
    static struct tensor inputs[INPUTS_MAX];
    const struct session_io *io;
    struct session_run run;
    size_t n = session_inputs(s, &io);
    if (n > INPUTS_MAX)
        return fail(e, LIMIT, "%zu inputs", n);
    for (size_t i = 0; i < n; i++)
        TRY(read_input(dir, i, a, &inputs[i], e));
    struct session_ask ask = {.inputs = inputs,
                              .threads = threads,
                              .seed = 1,
                              .deadline_ns = clock_ns() + SECONDS * (uint64_t)1000000000};
    TRY(session_begin(s, &ask, &run, e));
    enum code code = write_outputs(dir, &run, session_outputs(s, &io), e);
    session_end(s, &run);
    return code;
}

static enum code run_case(const char *dir, struct err *e) {
    static struct import import;
    struct session_options o = {.memory_bytes = (size_t)1 << 30, .passes_off = passes_off};
    struct session *s;
    struct arena a;
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    TRY(import_open(path, &(struct format_limits){.in_process = true}, &import, e));
    enum code code = session_open(import.model, &o, &s, e);
    if (code == OK) {
        arena_init(&a, (size_t)1 << 30);
        code = run_session(s, dir, &a, e);
        arena_deinit(&a);
        session_close(s);
    }
    import_close(&import);
    return code;
}

/* --- spoiled --- */

static enum code run_spoiled(const struct model *m, const struct tensor *inputs, struct err *e) {
    struct session_options o = {.memory_bytes = 64u << 20, .loop_limit = 1000};
    struct session *s;
    struct session_run run;
    TRY(session_open(m, &o, &s, e));
    struct session_ask ask = {.inputs = inputs, .threads = threads, .seed = 1};
    ask.deadline_ns = clock_ns() + SECONDS * (uint64_t)1000000000;
    enum code code = session_begin(s, &ask, &run, e);
    if (code == OK)
        session_end(s, &run);
    session_close(s);
    return code;
}

/* Round k of a case; what it answers does not matter. */
static enum code spoil_once(const char *dir, unsigned long k, struct err *e) {
    static struct import import;
    static struct tensor inputs[INPUTS_MAX];
    struct arena a;
    struct err said = {0};
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    TRY(import_open(path, &(struct format_limits){.in_process = true}, &import, e));
    arena_init(&a, (size_t)1 << 28);
    int n = import.model->main->n_inputs < INPUTS_MAX ? import.model->main->n_inputs : INPUTS_MAX;
    enum code code = OK, end = OK;
    for (int i = 0; i < n && code == OK; i++)
        code = read_input(dir, (size_t)i, &a, &inputs[i], e);
    struct spoil spoil = {.state = k * 0x9E3779B97F4A7C15u, .arena = &a};
    if (code == OK && spoil_case(&spoil, import.model, inputs, n))
        end = run_spoiled(import.model, inputs, &said);
    if (end != OK && (said.code != end || !said.text[0]))
        code = fail(e, INTERNAL, "round %lu: %s without a word", k, err_name(end));
    arena_deinit(&a);
    import_close(&import);
    return code;
}

static enum code run_any(const char *dir, struct err *e) {
    if (!spoils)
        return run_case(dir, e);
    for (unsigned long k = 1; k <= spoils; k++)
        TRY(spoil_once(dir, k, e));
    return OK;
}

int main(int argc, char **argv) {
    char line[LINE_ROOM];
    struct err e = {0};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--threads") == 0)
            threads = (int)strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--off") == 0)
            passes_off = (unsigned)strtoul(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--spoil") == 0)
            spoils = strtoul(argv[i + 1], NULL, 10);
    }
    cores_setup(threads);
    if (cpu_setup(&e) != OK) { /* SLIPWAY_CPU */
        fprintf(stderr, "%s\n", e.text);
        return 2;
    }
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (run_any(line, &e) == OK)
            printf("ok\n");
        else
            printf("error %s %s\n", err_name(e.code), e.text);
        fflush(stdout);
    }
    return 0;
}
