/* SPDX-License-Identifier: Apache-2.0 */
/* Ten thousand damaged models: bits flipped, bytes set, cut short, lengths and numbers rewritten,
 * pieces moved, repeated and removed. Each goes through reader, wire form and graph_verify in this
 * process (tests/fuzz/import_bytes.h: under the sanitizers, every byte of every constant touched),
 * a language model's texts and templates too; one in fifty through the sandboxed import as well,
 * which must come to the same verdict. No crash, no case longer than CASE_S seconds, no code but
 * the ones a bad file may have.
 *
 *     fault_import_mutate [-n COUNT] [-f FORMAT] FILE...     default: 10000 of onnx over all files
 *
 * A FILE of huggingface is a folder in one file (import_language.h). The same files and count give
 * the same cases every time; a failing one is named by its number and kept as ./mutated. */
#include "../fuzz/import_language.h"

#include "base/clock.h"
#include "base/file.h"
#include "op/op_list.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <unistd.h>

void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

enum { CASE_S = 10, SANDBOX_EVERY = 50, MOST_FILES = 16, EDITS_MAX = 4 };

/* --- the case running now, for whoever must report it --- */

static struct {
    const char *file;
    long number;
    uint8_t *bytes; /* exact-size, so that AddressSanitizer sees a read one byte beyond */
    size_t n;
} now;

static void report(void) { /* async-signal-safe but for snprintf of integers */
    char text[300];
    int n =
        snprintf(text, sizeof text, "\n%s, case %ld: kept as ./mutated\n", now.file, now.number);
    int fd = open("mutated", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (write(2, text, (size_t)n) < 0 || fd < 0 || write(fd, now.bytes, now.n) < 0)
        _exit(2);
}

static void on_signal(int number) {
    report();
    signal(number, SIG_DFL);
    raise(number == SIGALRM ? SIGABRT : number);
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
    uint8_t *p; /* room for 2 * n + 64 of the original */
    size_t n, room;
};

static void flip_bits(struct text *t) {
    for (size_t times = 1 + below(8); times && t->n; times--)
        t->p[below(t->n)] ^= (uint8_t)(1u << below(8));
}

static void set_byte(struct text *t) {
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x12, 0x22, 0x2a};
    if (t->n)
        t->p[below(t->n)] = edges[below(sizeof edges)];
}

static void cut(struct text *t) { t->n = below(t->n + 1); }

/* Headers are where the numbers are: every other place lies among the first bytes. */
static size_t place(const struct text *t, size_t width) {
    size_t n = t->n - width, head = n < 4096 ? n : 4096;
    return below((below(2) ? head : n) + 1);
}

/* Little-endian numbers at the edges of what fits. */
static void set_number(struct text *t) {
    static const uint64_t edges[] = {0,          1,          3,          0x7fffffff, 0x80000000,
                                     0xffffffff, 1ull << 32, ~0ull >> 1, 1ull << 63, ~0ull};
    size_t width = below(2) ? 8 : 4;
    uint64_t v = edges[below(sizeof edges / sizeof *edges)] + below(3) - 1;
    if (t->n >= width)
        memcpy(t->p + place(t, width), &v, width);
}

/* A run of digits, as JSON writes numbers, becomes another number. */
static void edit_digits(struct text *t) {
    static const char *const others[] = {
        "0",   "-1", "1e999", "2147483648", "9223372036854775807", "18446744073709551616",
        "0.5", "7"};
    size_t at = t->n ? place(t, 1) : 0, n = 0;
    while (at < t->n && (t->p[at] < '0' || t->p[at] > '9'))
        at++;
    while (at + n < t->n && t->p[at + n] >= '0' && t->p[at + n] <= '9')
        n++;
    const char *other = others[below(sizeof others / sizeof *others)];
    size_t length = strlen(other);
    if (n == 0 || t->n - n + length > t->room)
        return;
    memmove(t->p + at + length, t->p + at + n, t->n - at - n);
    memcpy(t->p + at, other, length);
    t->n += length - n;
}

/* A byte that may be the length after a key of wire type 2 becomes another. */
static void edit_length(struct text *t) {
    for (size_t tries = 64; tries && t->n > 2; tries--) {
        size_t at = below(t->n - 1);
        if ((t->p[at] & 7) != 2)
            continue;
        uint8_t *length = &t->p[at + 1];
        *length = (uint8_t)(below(2) ? *length + 1 + below(4) - 2 : below(256));
        return;
    }
}

static void replace(struct text *t, size_t at, size_t old, size_t from, size_t n) {
    uint8_t piece[4096];
    if (n > sizeof piece)
        n = sizeof piece;
    if (t->n - old + n > t->room)
        return;
    memcpy(piece, t->p + from, n);
    memmove(t->p + at + n, t->p + at + old, t->n - at - old);
    memcpy(t->p + at, piece, n);
    t->n = t->n - old + n;
}

static void remove_piece(struct text *t) {
    size_t at = below(t->n), n = below(t->n - at < 200 ? t->n - at + 1 : 200);
    memmove(t->p + at, t->p + at + n, t->n - at - n);
    t->n -= n;
}

static void repeat_piece(struct text *t) {
    size_t from = below(t->n), n = below(t->n - from < 200 ? t->n - from + 1 : 200);
    replace(t, below(t->n + 1), 0, from, n);
}

static void overwrite_piece(struct text *t) {
    size_t from = below(t->n), at = below(t->n), longest = t->n - (from > at ? from : at);
    size_t n = below(longest < 64 ? longest + 1 : 64);
    replace(t, at, n, from, n);
}

typedef void mutation_fn(struct text *t);

static mutation_fn *const protobuf[] = {flip_bits,    flip_bits,    edit_length,
                                        edit_length,  set_byte,     cut,
                                        remove_piece, repeat_piece, overwrite_piece};
static mutation_fn *const numbers[] = {flip_bits,    set_number,   set_number,      set_byte,
                                       remove_piece, repeat_piece, overwrite_piece, cut};
static mutation_fn *const json[] = {flip_bits,    set_byte,        edit_digits,
                                    edit_digits,  set_number,      remove_piece,
                                    repeat_piece, overwrite_piece, cut};

/* --- formats --- */

static const struct kind {
    const struct format *format;
    const char *main; /* its name, for the sandboxed import */
    mutation_fn *const *ways;
    size_t n_ways;
    bool folder;
} kinds[] = {
    {&format_onnx, "m.onnx", protobuf, sizeof protobuf / sizeof *protobuf, false},
    {&format_gguf, "m.gguf", numbers, sizeof numbers / sizeof *numbers, false},
    {&format_huggingface, "config.json", json, sizeof json / sizeof *json, true},
};
static const struct kind *kind = &kinds[0];

static void mutate(struct text *t) {
    for (size_t times = 1 + below(EDITS_MAX); times; times--)
        kind->ways[below(kind->n_ways)](t);
}

static struct import_bytes files_of(struct import_file files[LANGUAGE_FILES]) {
    struct span bytes = {now.bytes, now.n};
    if (kind->folder) {
        language_folder(bytes, files);
        return (struct import_bytes){files, LANGUAGE_FILES, language_try};
    }
    files[0] = (struct import_file){.name = str_of(kind->main), .bytes = bytes};
    return (struct import_bytes){files, 1, language_try};
}

/* --- one case --- */

struct tally {
    long cases, accepted, sandboxed;
    long codes[ERR_N];
    uint64_t slowest_ns;
};

static char folder[64] = "/tmp/slipway-mutate-XXXXXX";

static void write_file(const struct import_file *f) {
    char path[128];
    snprintf(path, sizeof path, "%s/%.*s", folder, STR(f->name));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, f->bytes.p, f->bytes.n) == (ssize_t)f->bytes.n);
    close(fd);
}

static void remove_files(const struct import_bytes *in) {
    char path[128];
    for (int f = 0; f < in->n; f++) {
        snprintf(path, sizeof path, "%s/%.*s", folder, STR(in->files[f].name));
        unlink(path);
    }
}

/* The sandbox must say what this process said; external data is not there, so a model that wants it
 * ends earlier. */
static void check_sandbox(const struct import_bytes *in, enum code expected,
                          struct err *in_process) {
    char path[128];
    struct err e;
    struct import i;
    struct span main = in->files[0].bytes;
    for (int f = 0; f < in->n; f++)
        write_file(&in->files[f]);
    snprintf(path, sizeof path, "%s/%s", folder, kind->main);
    enum code code = import_open(path, &(struct format_limits){.seconds = CASE_S}, &i, &e);
    if (code == OK)
        import_close(&i);
    remove_files(in);
    if (!main.n || format_sniff(main, main.n) != kind->format)
        MUST(code != OK);
    else if (code != expected && !strstr(e.text, "external data") && expected != ERR_LIMIT) {
        fprintf(stderr, "in process: %s: %s\nsandboxed: %s: %s\n", err_name(expected),
                expected == OK ? "" : in_process->text, err_name(code), code == OK ? "" : e.text);
        abort();
    }
}

static void run_case(struct tally *tally) {
    struct import_file files[LANGUAGE_FILES];
    struct err e = {0};
    uint64_t start = clock_ns();
    alarm(CASE_S);
    struct import_bytes in = files_of(files);
    enum code code = import_bytes_files(kind->format, &in, &e);
    uint64_t took = clock_ns() - start;
    bool parts = kind->format != &format_onnx && (code == ERR_NOT_FOUND || code == ERR_INVALID);
    MUST(code == OK || code == ERR_FORMAT || code == ERR_UNSUPPORTED || code == ERR_LIMIT ||
         code == ERR_TOO_LARGE || parts);
    if (now.number % SANDBOX_EVERY == 0) {
        check_sandbox(&in, code, &e);
        tally->sandboxed++;
    }
    alarm(0);
    tally->cases++;
    tally->codes[code]++;
    tally->accepted += code == OK;
    if (took > tally->slowest_ns)
        tally->slowest_ns = took;
}

static void run_file(const char *name, struct span original, long count, struct tally *tally) {
    struct text t = {.room = 2 * original.n + 64};
    MUST((t.p = malloc(t.room)) != NULL);
    now.file = name;
    for (now.number = 0; now.number < count; now.number++) {
        state = 0x9e3779b97f4a7c15u * (uint64_t)(now.number + 1);
        memcpy(t.p, original.p, original.n);
        t.n = original.n;
        if (now.number) /* case 0 is the file as it is */
            mutate(&t);
        MUST((now.bytes = malloc(t.n ? t.n : 1)) != NULL);
        memcpy(now.bytes, t.p, t.n);
        now.n = t.n;
        run_case(tally);
        free(now.bytes);
    }
    free(t.p);
}

static bool find_kind(const char *name) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (strcmp(kinds[k].format->name, name) == 0) {
            kind = &kinds[k];
            return true;
        }
    return false;
}

int main(int argc, char **argv) {
    long count = 10000;
    struct tally tally = {0};
    bool known = true;
    for (int option; (option = getopt(argc, argv, "n:f:")) != -1;) {
        if (option == 'n')
            count = strtol(optarg, NULL, 10);
        else
            known &= option == 'f' && find_kind(optarg);
    }
    int n_files = argc - optind;
    if (!known || n_files < 1 || n_files > MOST_FILES || !mkdtemp(folder)) {
        fprintf(stderr, "usage: %s [-n COUNT] [-f FORMAT] FILE...\n", argv[0]);
        return 64;
    }
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(report);
    else
        signal(SIGSEGV, on_signal);
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);
    for (int f = 0; f < n_files; f++) {
        struct map_file map;
        struct err e;
        if (map_file_open(&map, argv[optind + f], &e) != OK) {
            fprintf(stderr, "%s\n", e.text);
            return 66;
        }
        run_file(argv[optind + f], map.bytes, count / n_files + (f < count % n_files), &tally);
        map_file_close(&map);
    }
    printf("%s: %ld cases over %d files: %ld accepted, %ld malformed, %ld unsupported, %ld over a "
           "limit; %ld sandboxed; "
           "slowest %.1f ms\n",
           kind->format->name, tally.cases, n_files, tally.accepted, tally.codes[ERR_FORMAT],
           tally.codes[ERR_UNSUPPORTED], tally.codes[ERR_LIMIT] + tally.codes[ERR_TOO_LARGE],
           tally.sandboxed, (double)tally.slowest_ns / 1e6);
    rmdir(folder);
    /* Both verdicts must occur, or the cases tested nothing. */
    return tally.accepted > 0 && tally.codes[ERR_FORMAT] > tally.cases / 10 ? 0 : 1;
}
