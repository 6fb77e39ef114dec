/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the ONNX backend tests that dump_onnx_nodes.py wrote, each in a child process of its own,
 * two at a time, and prints a line for each: "PASS kind/name" or "FAIL kind/name: reason", then "N
 * passed, N failed".
 *
 *     onnx_cases FOLDER [--pass FILE [--grow]] [--miss FILE] [--spoil N [--after K]] [NAME...]
 *
 * NAME: only cases whose kind/name contains it. --pass: the recorded list of passing cases; one of
 * them that fails makes the exit status 1, new ones are counted; --grow adds them to the file.
 * --miss: the list of known misses with their reasons ("# reason" above the names it is for); a
 * failing case that is not in it makes the exit status 1, one that passes is named.
 *
 * --spoil: each case is run N times more, spoiled each time (spoil.h), and passes when nothing
 * crashes, hangs or fails without a word; what it answers does not matter. --after: rounds K + 1 to
 * K + N.
 *
 * A case passes when every output has the expected type and shape and its elements are within
 * 1e-3 relative and 1e-7 absolute (bf16: 2^-6 relative), as onnx/backend/test/runner compares. */
#include "format/format.h"
#include "format/onnx_tensor.h"
#include "plan/session.h"
#include "spoil.h"
#include "tensor/compare.h"
#include "base/cpu.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CASES_MAX = 8192,
    NAME_MAX_BYTES = 160,
    REASON_BYTES = 512,
    OPERANDS = 64,
    SECONDS = 30,
    TEAM = 2
};

struct outcome { /* in memory shared with the child */
    bool passed;
    char reason[REASON_BYTES];
};

struct one_case {
    char name[NAME_MAX_BYTES]; /* kind/name */
    pid_t child;
    bool listed, known_miss;
};

static struct one_case cases[CASES_MAX];
static size_t n_cases;
static struct outcome *outcomes;
static const char *folder;
static unsigned long spoils, after; /* times; rounds skipped */

/* --- one case, in the child --- */

struct operands {
    struct arena arena;
    struct tensor values[OPERANDS];
    int n;
};

static enum code read_file(const char *path, struct arena *a, struct span *out, struct err *e) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return fail_errno(e, errno, "%s", path);
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    uint8_t *p = n >= 0 ? arena_push(a, (size_t)n + 1) : NULL;
    bool whole = p && fread(p, 1, (size_t)n, f) == (size_t)n;
    fclose(f);
    if (!whole)
        return fail(e, IO, "%s cannot be read", path);
    *out = (struct span){p, (size_t)n};
    return OK;
}

/* An optional is what it holds; one without a value is a sequence marked absent. */
static enum code read_optional(struct span bytes, struct arena *a, struct tensor *out,
                               struct err *e) {
    TRY(onnx_tensor_read_optional(bytes, a, out, e));
    const struct sequence *s = out->data;
    if (!s->absent)
        *out = s->items[0];
    return OK;
}

/* side_0, side_1, ... while there are such files. */
static enum code read_side(const char *name, const char *side, struct operands *o, struct err *e) {
    static const char *const endings[] = {"pb", "sequence.pb", "optional.pb"};
    for (o->n = 0; o->n < OPERANDS; o->n++) {
        char path[1024];
        struct span bytes;
        int kind = 0;
        for (; kind < 3; kind++) {
            snprintf(path, sizeof path, "%s/%s/%s_%d.%s", folder, name, side, o->n, endings[kind]);
            if (access(path, R_OK) == 0)
                break;
        }
        if (kind == 3)
            return OK;
        TRY(read_file(path, &o->arena, &bytes, e));
        struct tensor *t = &o->values[o->n];
        switch (kind) {
        case 0: TRY(onnx_tensor_read(bytes, &o->arena, t, e)); break;
        case 1: TRY(onnx_tensor_read_sequence(bytes, &o->arena, t, e)); break;
        default: TRY(read_optional(bytes, &o->arena, t, e));
        }
    }
    return OK;
}

static enum code compare_values(const struct tensor *got, const struct tensor *want, struct err *e);

static enum code compare_sequences(const struct tensor *got, const struct tensor *want,
                                   struct err *e) {
    const struct sequence *a = got->data, *b = want->data;
    if (a->absent != b->absent || a->n != b->n)
        return fail(e, INVALID, "a sequence of %zu%s, expected %zu%s", a->n,
                    a->absent ? " (absent)" : "", b->n, b->absent ? " (absent)" : "");
    for (size_t k = 0; k < a->n; k++)
        if (compare_values(&a->items[k], &b->items[k], e) != OK)
            return err_prefix(e, "item %zu", k);
    return OK;
}

static enum code compare_values(const struct tensor *got, const struct tensor *want,
                                struct err *e) {
    struct compare c;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    if (got->dtype != want->dtype)
        return fail(e, INVALID, "type %s, expected %s", dtype_name(got->dtype),
                    dtype_name(want->dtype));
    if (got->dtype == DT_SEQUENCE)
        return compare_sequences(got, want, e);
    if (!shape_eq(&got->shape, &want->shape))
        return fail(e, INVALID, "shape %s, expected %s", shape_print(&got->shape, a),
                    shape_print(&want->shape, b));
    TRY(compare_tensors(got, want, got->dtype == DT_BF16 ? 0x1p-6 : 1e-3, 1e-7, &c, e));
    if (c.different == 0)
        return OK;
    if (got->dtype == DT_STRING) {
        struct str x = ((const struct str *)got->data)[c.worst],
                   y = ((const struct str *)want->data)[c.worst];
        return fail(e, INVALID, "values: %zu of %zu texts differ, at %zu '%.*s', expected '%.*s'",
                    c.different, c.count, c.worst, STR(x), STR(y));
    }
    return fail(e, INVALID, "values: %zu of %zu differ, at %zu %.9g, expected %.9g", c.different,
                c.count, c.worst, tensor_f64(got, c.worst), tensor_f64(want, c.worst));
}

/* Hands the values to the inputs in order; those with a default come last, as the backend tests
 * want it. */
static void place_inputs(const struct session_io *io, size_t n, const struct operands *have,
                         struct tensor *to) {
    int next = 0;
    for (size_t i = 0; i < n; i++)
        if (!io[i].optional && next < have->n)
            to[i] = have->values[next++];
    for (size_t i = 0; i < n; i++)
        if (io[i].optional && next < have->n)
            to[i] = have->values[next++];
}

static enum code run_session(struct session *s, const struct operands *in,
                             const struct operands *want, struct err *e) {
    const struct session_io *io;
    struct tensor inputs[OPERANDS] = {0};
    struct session_run run;
    size_t n_in = session_inputs(s, &io);
    if (n_in > OPERANDS || (size_t)want->n > session_outputs(s, &(const struct session_io *){NULL}))
        return fail(e, INVALID, "%zu inputs, %d expected outputs", n_in, want->n);
    place_inputs(io, n_in, in, inputs);
    struct session_ask ask = {.inputs = inputs, .threads = 1, .seed = 1};
    TRY(session_begin(s, &ask, &run, e));
    enum code code = OK;
    for (int i = 0; i < want->n && code == OK; i++)
        if ((code = compare_values(&run.outputs[i], &want->values[i], e)) != OK)
            err_prefix(e, "output %d", i);
    session_end(s, &run);
    return code;
}

static enum code run_model(const struct model *m, const struct operands *in,
                           const struct operands *want, struct err *e) {
    struct session *s;
    struct session_options options = {.memory_bytes = (size_t)2 << 30};
    TRY(session_open(m, &options, &s, e));
    enum code code = run_session(s, in, want, e);
    session_close(s);
    return code;
}

static enum code run_case(const char *name, struct err *e) {
    static struct operands in, want;
    static struct import model;
    struct format_limits limits = {.in_process = true};
    char path[1024];
    arena_init(&in.arena, (size_t)1 << 30);
    arena_init(&want.arena, (size_t)1 << 30);
    snprintf(path, sizeof path, "%s/%s/model.onnx", folder, name);
    enum code code = read_side(name, "input", &in, e);
    if (code == OK)
        code = read_side(name, "output", &want, e);
    if (code == OK && (code = import_open(path, &limits, &model, e)) == OK) {
        code = run_model(model.model, &in, &want, e);
        import_close(&model);
    }
    arena_deinit(&in.arena);
    arena_deinit(&want.arena);
    return code;
}

/* --- spoiled cases --- */

static enum code run_spoiled(struct session *s, const struct operands *in, struct err *e) {
    const struct session_io *io;
    struct tensor inputs[OPERANDS] = {0};
    struct session_run run;
    size_t n_in = session_inputs(s, &io);
    if (n_in > OPERANDS)
        return fail(e, INVALID, "%zu inputs", n_in);
    place_inputs(io, n_in, in, inputs);
    struct session_ask ask = {.inputs = inputs, .threads = 1, .seed = 1};
    TRY(session_begin(s, &ask, &run, e));
    session_end(s, &run);
    return OK;
}

/* *code: what the spoiled model came to. */
static enum code run_one_spoiled(const char *name, uint64_t seed, enum code *code, struct err *e) {
    static struct operands in;
    static struct import model;
    struct format_limits limits = {.in_process = true};
    struct session_options options = {.memory_bytes = 64u << 20, .loop_limit = 1000};
    char path[1024];
    arena_init(&in.arena, (size_t)1 << 28);
    snprintf(path, sizeof path, "%s/%s/model.onnx", folder, name);
    enum code read = read_side(name, "input", &in, e);
    if (read == OK && (read = import_open(path, &limits, &model, e)) == OK) {
        struct spoil spoil = {.state = seed * 0x9E3779B97F4A7C15u, .arena = &in.arena};
        struct session *s;
        *code = OK;
        if (spoil_case(&spoil, model.model, in.values, in.n) &&
            (*code = session_open(model.model, &options, &s, e)) == OK) {
            *code = run_spoiled(s, &in, e);
            session_close(s);
        }
        import_close(&model);
    }
    arena_deinit(&in.arena);
    return read;
}

static bool run_spoils(const char *name, struct outcome *o) {
    for (unsigned long k = after + 1; k <= after + spoils; k++) {
        struct err e = {0};
        enum code code = OK;
        snprintf(o->reason, sizeof o->reason, "spoiled, round %lu", k); /* seen when it crashes */
        alarm(SECONDS);
        if (run_one_spoiled(name, k, &code, &e) != OK)
            return true; /* nothing to spoil */
        if (code == OK || (e.code == code && e.text[0]))
            continue;
        snprintf(o->reason, sizeof o->reason, "spoiled, round %lu: %s without a word", k,
                 err_name(code));
        return false;
    }
    return true;
}

static void child(size_t index) {
    struct outcome *o = &outcomes[index];
    struct err e = {0};
    alarm(SECONDS);
    o->passed = spoils ? run_spoils(cases[index].name, o) : run_case(cases[index].name, &e) == OK;
    if (!o->passed && !spoils)
        snprintf(o->reason, sizeof o->reason, "%s: %s", err_name(e.code), e.text);
    fflush(NULL);
    exit(0); /* not _exit: a leak that a sanitizer finds fails the case */
}

/* --- the parent --- */

static void note_end(pid_t pid, int status) {
    size_t k = 0;
    while (k < n_cases && cases[k].child != pid)
        k++;
    if (k == n_cases)
        return;
    struct outcome *o = &outcomes[k];
    cases[k].child = 0;
    char round[64] = "", end[64];
    if (spoils) /* what the child was at */
        snprintf(round, sizeof round, "%.40s: ", o->reason);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(end, sizeof end, "longer than %d s", SECONDS);
    else if (WIFSIGNALED(status))
        snprintf(end, sizeof end, "signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        snprintf(end, sizeof end, "exit status %d", WEXITSTATUS(status));
    else
        return;
    snprintf(o->reason, sizeof o->reason, "%s%s", round, end);
    o->passed = false;
}

static void wait_one(void) {
    int status;
    pid_t pid = waitpid(-1, &status, 0);
    if (pid > 0)
        note_end(pid, status);
}

static void run_all(void) {
    size_t running = 0;
    for (size_t k = 0; k < n_cases; k++) {
        if (running == TEAM) {
            wait_one();
            running--;
        }
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
            child(k);
        cases[k].child = pid;
        running++;
    }
    for (; running; running--)
        wait_one();
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct one_case *)a)->name, ((const struct one_case *)b)->name);
}

static bool wanted(const char *name, char *const *filters) {
    if (!*filters)
        return true;
    for (; *filters; filters++)
        if (strstr(name, *filters))
            return true;
    return false;
}

static void add_folder(const char *kind, char *const *filters) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, kind);
    DIR *d = opendir(path);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        struct one_case *c = &cases[n_cases];
        if (entry->d_name[0] == '.' || n_cases == CASES_MAX)
            continue;
        int n = snprintf(c->name, sizeof c->name, "%s/%s", kind, entry->d_name);
        n_cases += n < (int)sizeof c->name && wanted(c->name, filters);
    }
    if (d)
        closedir(d);
}

/* Marks the cases that a list names; false when the list cannot be read. */
static bool read_list(const char *path, bool miss) {
    FILE *f = fopen(path, "r");
    char line[512];
    if (!f)
        return false;
    while (fgets(line, sizeof line, f)) {
        struct one_case key = {0};
        line[strcspn(line, "\n")] = '\0';
        snprintf(key.name, sizeof key.name, "%.159s", line);
        struct one_case *c = bsearch(&key, cases, n_cases, sizeof *cases, compare_names);
        if (c)
            *(miss ? &c->known_miss : &c->listed) = true;
    }
    fclose(f);
    return true;
}

static bool write_list(const char *path) {
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    for (size_t k = 0; k < n_cases; k++)
        if (outcomes[k].passed || cases[k].listed)
            fprintf(f, "%s\n", cases[k].name);
    return fclose(f) == 0;
}

struct ask {
    const char *pass, *miss;
    bool grow;
};

/* What the lists say about the outcomes; the exit status. */
static int judge(const struct ask *ask) {
    size_t lost = 0, fresh = 0, unknown = 0, found = 0;
    for (size_t k = 0; k < n_cases; k++) {
        const struct one_case *c = &cases[k];
        bool passed = outcomes[k].passed;
        lost += ask->pass && c->listed && !passed;
        fresh += ask->pass && !c->listed && passed;
        unknown += ask->miss && !c->known_miss && !passed;
        found += ask->miss && c->known_miss && passed;
        if (ask->pass && c->listed && !passed)
            printf("LOST %s: it passed before\n", c->name);
        else if (ask->miss && !c->known_miss && !passed)
            printf("UNEXPLAINED %s: not in %s\n", c->name, ask->miss);
        else if (ask->miss && c->known_miss && passed)
            printf("FOUND %s: remove it from %s\n", c->name, ask->miss);
    }
    if (ask->pass && fresh)
        printf("%zu cases pass that %s does not list%s\n", fresh, ask->pass,
               ask->grow ? ": added" : "");
    if (ask->grow && !write_list(ask->pass))
        printf("%s cannot be written\n", ask->pass);
    return lost || unknown || found ? 1 : 0;
}

static char **parse(int argc, char **argv, struct ask *ask) {
    int k = 2;
    for (; k < argc && strncmp(argv[k], "--", 2) == 0; k++) {
        if (strcmp(argv[k], "--grow") == 0)
            ask->grow = true;
        else if (strcmp(argv[k], "--pass") == 0 && k + 1 < argc)
            ask->pass = argv[++k];
        else if (strcmp(argv[k], "--spoil") == 0 && k + 1 < argc)
            spoils = strtoul(argv[++k], NULL, 10);
        else if (strcmp(argv[k], "--after") == 0 && k + 1 < argc)
            after = strtoul(argv[++k], NULL, 10);
        else if (strcmp(argv[k], "--miss") == 0 && k + 1 < argc)
            ask->miss = argv[++k];
        else
            return NULL;
    }
    return argv + k;
}

int main(int argc, char **argv) {
    static const char *const kinds[] = {"node", "simple", "pytorch-operator", "pytorch-converted",
                                        "light"};
    struct ask ask = {0};
    char **filters = argc >= 2 ? parse(argc, argv, &ask) : NULL;
    if (!filters) {
        fprintf(stderr, "usage: onnx_cases FOLDER [--pass FILE [--grow]] [--miss FILE] "
                        "[--spoil N [--after K]] [NAME...]\n");
        return 2;
    }
    struct err e;
    if (cpu_setup(&e) != OK) { /* SLIPWAY_CPU */
        fprintf(stderr, "%s\n", e.text);
        return 2;
    }
    folder = argv[1];
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        add_folder(kinds[k], filters);
    outcomes = mmap(NULL, CASES_MAX * sizeof *outcomes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!n_cases || outcomes == MAP_FAILED) {
        fprintf(stderr, "no cases in %s\n", folder);
        return 2;
    }
    qsort(cases, n_cases, sizeof *cases, compare_names);
    if ((ask.pass && !read_list(ask.pass, false) && !ask.grow) ||
        (ask.miss && !read_list(ask.miss, true))) {
        fprintf(stderr, "a list cannot be read\n");
        return 2;
    }
    run_all();
    size_t passed = 0;
    for (size_t k = 0; k < n_cases; k++) {
        passed += outcomes[k].passed;
        printf(outcomes[k].passed ? "PASS %s\n" : "FAIL %s: %s\n", cases[k].name,
               outcomes[k].reason);
    }
    int status = judge(&ask);
    printf("%zu passed, %zu failed\n", passed, n_cases - passed);
    return status;
}
