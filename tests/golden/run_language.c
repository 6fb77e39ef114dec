/* SPDX-License-Identifier: Apache-2.0 */
/* The forward pass behind a pipe, for the golden tests and the benchmark: loads one language model,
 * then obeys lines of stdin.
 *
 *   logits FILE ID...        one step; FILE gets the logits of all rows, (rows, vocab) f32; "ok"
 *   greedy N ID... , ID...   "ID:GAP ... , ID:GAP ..." N times the best token of each sequence, all
 *                            at one time, and how far the second is behind
 *   embed FILE ID... , ID... texts; FILE gets (texts, width) f32; "ok"
 *   bench                    "prefill_tps decode_tps decode_8_tps decode_16_tps", best of 4
 *   bench_depth N            "prefill_tps decode_tps": a prompt of N, then 32 tokens behind it
 *   bench_embed              texts of 64 tokens per second, 64 at once, best of 4
 *
 * Usage: run_language MODEL [--threads N] [--kv f16|bf16|q8_0|f32] [--rows N]. A failure is one
 * line "error CODE text". */
#include "base/cpu.h"
#include "format/format.h"
#include "llm/forward.h"
#include "llm/stopwatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDS_MAX = 8192 + 64, LINE_ROOM = 16 * IDS_MAX, SEQUENCES = 64, GREEDY_MAX = 1024 };

struct driver {
    struct import import;
    struct forward *forward;
    struct forward_row rows[IDS_MAX];
    size_t n;
    char *rest; /* of the line */
};

static int number(const char *text) { return text ? (int)strtol(text, NULL, 10) : 0; }

/* The line's next word; NULL at its end. */
static char *next_word(struct driver *d) { return strtok_r(NULL, " \n", &d->rest); }

/* Ids into rows; a comma begins the next sequence. */
static void read_ids(struct driver *d) {
    int32_t position = 0, sequence = 0;
    d->n = 0;
    for (char *word; d->n < IDS_MAX && (word = next_word(d));) {
        if (*word == ',') {
            position = 0, sequence++;
            continue;
        }
        d->rows[d->n++] = (struct forward_row){number(word), position++, sequence, false};
    }
}

/* The rows in chunks of a step; *logits are those of the last chunk. */
static enum code run_rows(struct driver *d, const float **logits, struct err *e) {
    size_t most = forward_max_rows(d->forward);
    kv_release(forward_kv(d->forward), 0);
    TRY(kv_reserve(forward_kv(d->forward), 0, d->n, e));
    for (size_t at = 0; at < d->n; at += most) {
        size_t n = d->n - at < most ? d->n - at : most;
        TRY(forward_step(d->forward, d->rows + at, n, logits, e));
    }
    return OK;
}

static enum code save(const char *path, const float *x, size_t n, struct err *e) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(x, sizeof *x, n, f) != n) {
        if (f)
            fclose(f);
        return fail(e, IO, "%s", path);
    }
    fclose(f);
    puts("ok");
    return OK;
}

static enum code do_logits(struct driver *d, struct err *e) {
    char *path = next_word(d);
    const float *logits = NULL;
    read_ids(d);
    for (size_t i = 0; i < d->n; i++)
        d->rows[i].want = true;
    TRY(run_rows(d, &logits, e));
    return save(path, logits, d->n * forward_vocab(d->forward), e);
}

static enum code do_embed(struct driver *d, struct err *e) {
    char *path = next_word(d);
    read_ids(d);
    size_t texts = d->n ? (size_t)d->rows[d->n - 1].sequence + 1 : 0;
    float *out = calloc(texts, forward_width(d->forward) * sizeof *out);
    enum code code =
        out ? forward_embed(d->forward, d->rows, d->n, out, e) : fail(e, NOMEM, "embeddings");
    if (code == OK)
        code = save(path, out, texts * forward_width(d->forward), e);
    free(out);
    return code;
}

static int32_t best_of(const float *logits, size_t n, float *gap) {
    size_t best = 0;
    float second = -__builtin_inff();
    for (size_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    for (size_t i = 0; i < n; i++)
        second = i != best && logits[i] > second ? logits[i] : second;
    *gap = logits[best] - second;
    return (int32_t)best;
}

struct answer {
    int32_t token[GREEDY_MAX];
    float gap[GREEDY_MAX];
};

/* Whole prompts, one after the other; the last row of each becomes its next one. */
static enum code read_prompts(struct driver *d, struct answer *answers, size_t *n, struct err *e) {
    struct kv *kv = forward_kv(d->forward);
    const float *logits = NULL;
    size_t sequences = 0;
    for (size_t from = 0, to; from < d->n; from = to, sequences++) {
        struct forward_row *last;
        for (to = from; to < d->n && d->rows[to].sequence == d->rows[from].sequence; to++)
            ;
        if (sequences == SEQUENCES || to - from > forward_max_rows(d->forward))
            return fail(e, LIMIT, "%zu prompts, one of %zu tokens", sequences + 1, to - from);
        last = &d->rows[to - 1];
        last->want = true;
        kv_release(kv, last->sequence);
        TRY(kv_reserve(kv, last->sequence, to - from, e));
        TRY(forward_step(d->forward, d->rows + from, to - from, &logits, e));
        struct answer *a = &answers[sequences];
        a->token[0] = best_of(logits, forward_vocab(d->forward), &a->gap[0]);
        d->rows[sequences] =
            (struct forward_row){a->token[0], last->position + 1, last->sequence, true};
    }
    *n = sequences;
    return OK;
}

static enum code answer_prompts(struct driver *d, size_t count, struct answer *answers,
                                struct err *e) {
    size_t vocab = forward_vocab(d->forward), n;
    const float *logits = NULL;
    TRY(read_prompts(d, answers, &n, e));
    for (size_t i = 1; i < count; i++) {
        for (size_t s = 0; s < n; s++)
            TRY(kv_reserve(forward_kv(d->forward), d->rows[s].sequence,
                           (size_t)d->rows[s].position + 1, e));
        TRY(forward_step(d->forward, d->rows, n, &logits, e));
        for (size_t s = 0; s < n; s++) {
            struct answer *a = &answers[s];
            a->token[i] = best_of(logits + s * vocab, vocab, &a->gap[i]);
            d->rows[s].token = a->token[i];
            d->rows[s].position++;
        }
    }
    for (size_t s = 0; s < n; s++)
        for (size_t i = 0; i < count; i++)
            printf("%s%d:%.5f ", s && !i ? ", " : "", answers[s].token[i],
                   (double)answers[s].gap[i]);
    putchar('\n');
    return OK;
}

static enum code do_greedy(struct driver *d, struct err *e) {
    size_t count = (size_t)number(next_word(d));
    if (count == 0 || count > GREEDY_MAX)
        return fail(e, LIMIT, "1 to %d tokens", GREEDY_MAX);
    read_ids(d);
    struct answer *answers = calloc(SEQUENCES, sizeof *answers);
    enum code code = answers ? answer_prompts(d, count, answers, e) : fail(e, NOMEM, "answers");
    free(answers);
    return code;
}

/* --- bench: as shared/peers/time_llama.py times llama.cpp --- */

static enum code do_bench(struct driver *d, struct err *e) {
    static const int widths[] = {1, 8, 16};
    double best[4] = {0}, now = 0;
    for (int round = 0; round < 4; round++) {
        TRY(stopwatch_prefill(d->forward, 512, &now, e));
        best[0] = now > best[0] ? now : best[0];
        for (int i = 0; i < 3; i++) {
            TRY(stopwatch_decode(d->forward, i ? 32 : 64, widths[i], &now, e));
            best[i + 1] = now > best[i + 1] ? now : best[i + 1];
        }
    }
    printf("%.1f %.1f %.1f %.1f\n", best[0], best[1], best[2], best[3]);
    return OK;
}

static enum code do_bench_depth(struct driver *d, struct err *e) {
    double prefill = 0, decode = 0;
    TRY(stopwatch_depth(d->forward, (size_t)number(next_word(d)), 32, &prefill, &decode, e));
    printf("%.1f %.1f\n", prefill, decode);
    return OK;
}

static enum code do_bench_embed(struct driver *d, struct err *e) {
    double best = 0, now = 0;
    for (int round = 0; round < 4; round++) {
        TRY(stopwatch_embed(d->forward, 64, 64, &now, e));
        best = now > best ? now : best;
    }
    printf("%.1f\n", best);
    return OK;
}

static enum code obey(struct driver *d, char *line, struct err *e) {
    static const struct {
        const char *name;
        enum code (*run)(struct driver *d, struct err *e);
    } commands[] = {
        {"logits", do_logits}, {"greedy", do_greedy},           {"embed", do_embed},
        {"bench", do_bench},   {"bench_depth", do_bench_depth}, {"bench_embed", do_bench_embed}};
    const char *name = strtok_r(line, " \n", &d->rest);
    for (size_t i = 0; name && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(d, e);
    return fail(e, USAGE, "no such command");
}

static enum code open_model(struct driver *d, int argc, char **argv, struct err *e) {
    struct forward_options o = {.max_sequences = SEQUENCES, .context = IDS_MAX};
    struct llm_facts facts;
    for (int i = 2; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--threads") == 0)
            o.threads = number(argv[i + 1]);
        else if (strcmp(argv[i], "--rows") == 0)
            o.max_rows = (size_t)number(argv[i + 1]);
        else if (strcmp(argv[i], "--kv") != 0 || !dtype_from_name(str_of(argv[i + 1]), &o.kv_dtype))
            return fail(e, USAGE, "flag '%s %s'", argv[i], argv[i + 1]);
    TRY(cpu_setup(e));
    TRY(import_open(argv[1], &(struct format_limits){0}, &d->import, e));
    TRY(forward_check(d->import.model, e));
    TRY(llm_facts_read(d->import.model, &facts, e));
    return forward_open(d->import.model, &facts, &o, &d->forward, e);
}

int main(int argc, char **argv) {
    static struct driver d;
    static char line[LINE_ROOM];
    struct err e;
    if (argc < 2 || open_model(&d, argc, argv, &e) != OK) {
        printf("error %s %s\n", argc < 2 ? "USAGE" : err_name(e.code), argc < 2 ? "" : e.text);
        return 1;
    }
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (obey(&d, line, &e) != OK)
            printf("error %s %s\n", err_name(e.code), e.text);
        fflush(stdout);
    }
    forward_close(d.forward);
    import_close(&d.import);
    return 0;
}
