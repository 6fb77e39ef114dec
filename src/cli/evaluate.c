/* SPDX-License-Identifier: Apache-2.0 */
/* slipway evaluate: how well a language model predicts a text, and how far another version is from
 * it.
 *
 * Perplexity as llama.cpp measures it: the text in windows of --context tokens, each beginning with
 * the model's own beginning; the second half of each window counts, so that every token counted has
 * at least half a window before it. */
#include "base/cpu.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/facts.h"
#include "host/loaded.h"
#include "base/cores.h"

#include <math.h>

enum { CONTEXT = 512, TEXT_BYTES = 256 << 20 };

struct options {
    const char *perplexity, *against, *kv_type;
    int64_t context, chunks, threads;
};

struct subject { /* a version being measured */
    struct loaded loaded;
    struct tokenizer *tokenizer;
    struct forward *forward;
};

struct result {
    size_t n, same; /* tokens counted; of these both versions put the same one first */
    double nll, nll_squares, nll_other, kl, kl_max;
};

static void subject_close(struct subject *s) {
    forward_close(s->forward);
    tokenizer_close(s->tokenizer);
    loaded_close(&s->loaded);
}

static enum code subject_open(struct cli *c, const char *name, const struct forward_options *fo,
                              struct subject *s, struct err *e) {
    struct store_info info;
    struct llm_facts facts;
    *s = (struct subject){0};
    TRY(facts_resolve(c->store, name, &c->arena, &info, e));
    TRY(loaded_open_model(c->store, info.model, info.version, &s->loaded, e));
    if (!model_is_language(s->loaded.model))
        return fail(e, INVALID, "'%s' is not a language model", name);
    TRY(llm_facts_read(s->loaded.model, &facts, e));
    TRY(tokenizer_open(s->loaded.model, &s->tokenizer, e));
    TRY(forward_open(s->loaded.model, &facts, fo, &s->forward, e));
    if (forward_is_encoder(s->forward))
        return fail(e, INVALID, "'%s' embeds text, it predicts none", name);
    return OK;
}

/* Logits of a whole window, (n, vocab), copied. */
static enum code logits_of(struct subject *s, const int32_t *ids, size_t n,
                           struct forward_row *rows, const float **out, struct err *e) {
    kv_release(forward_kv(s->forward), 0);
    TRY(kv_reserve(forward_kv(s->forward), 0, n, e));
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct forward_row){ids[i], (int32_t)i, 0, i + 1 >= n / 2};
    return forward_step(s->forward, rows, n, out, e);
}

static double log_sum(const float *l, size_t n) {
    double max = (double)l[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        max = (double)l[i] > max ? (double)l[i] : max;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)l[i] - max);
    return log(sum) + max;
}

static size_t first_of(const float *l, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = l[i] > l[best] ? i : best;
    return best;
}

static void count(struct result *r, const float *p, const float *q, size_t vocab, int32_t next) {
    double lp = log_sum(p, vocab), nll = lp - (double)p[next];
    r->n++;
    r->nll += nll;
    r->nll_squares += nll * nll;
    if (!q)
        return;
    double lq = log_sum(q, vocab), kl = 0;
    for (size_t i = 0; i < vocab; i++) {
        double a = (double)p[i] - lp;
        kl += exp(a) * (a - ((double)q[i] - lq));
    }
    r->nll_other += lq - (double)q[next];
    r->kl += kl;
    r->kl_max = kl > r->kl_max ? kl : r->kl_max;
    r->same += first_of(p, vocab) == first_of(q, vocab);
}

static enum code measure(struct cli *c, struct subject *a, struct subject *b, const int32_t *ids,
                         size_t n, size_t window, struct result *r, struct err *e) {
    const struct options *o = c->options;
    size_t vocab = forward_vocab(a->forward), chunks = n / window, half = window / 2;
    int32_t *tokens = ARENA_ARRAY(&c->arena, window, int32_t);
    struct forward_row *rows = ARENA_ARRAY(&c->arena, window, struct forward_row);
    struct progress progress;
    if (!tokens || !rows)
        return arena_fail(&c->arena, window * sizeof *rows, "window", e);
    if (o->chunks > 0 && (size_t)o->chunks < chunks)
        chunks = (size_t)o->chunks;
    if (chunks == 0)
        return fail(e, INVALID, "the text has %zu tokens, a window %zu", n, window);
    progress_begin(&progress, c);
    for (size_t k = 0; k < chunks; k++) {
        const float *p, *q = NULL;
        memcpy(tokens, ids + k * window, window * sizeof *tokens);
        if (tokenizer_adds_bos(a->tokenizer))
            tokens[0] = tokenizer_bos(a->tokenizer);
        TRY(logits_of(a, tokens, window, rows, &p, e));
        if (b)
            TRY(logits_of(b, tokens, window, rows, &q, e));
        for (size_t i = half; i + 1 < window; i++) {
            size_t at = i - (half - 1);
            count(r, p + at * vocab, q ? q + at * vocab : NULL, vocab, tokens[i + 1]);
        }
        progress_show(&progress, "windows", k + 1, chunks);
    }
    progress_end(&progress);
    return OK;
}

static enum code report(struct cli *c, const struct result *r, bool two, struct err *e) {
    double n = (double)r->n, mean = r->nll / n, spread = r->nll_squares / n - mean * mean;
    double ppl = exp(mean), error = ppl * sqrt(spread / n);
    if (!c->json) {
        printf("perplexity %.4f +- %.4f over %zu tokens\n", ppl, error, r->n);
        if (two)
            printf("the other: perplexity %.4f; KL divergence %.6f (largest %.4f); same first "
                   "choice %.2f %%\n",
                   exp(r->nll_other / n), r->kl / n, r->kl_max, 100 * (double)r->same / n);
        return OK;
    }
    struct json_out w;
    struct buf b;
    buf_init(&b, 1 << 16);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    json_put_member_f64(&w, "perplexity", ppl);
    json_put_member_f64(&w, "error", error);
    json_put_member_i64(&w, "tokens", (int64_t)r->n);
    if (two) {
        json_put_member_f64(&w, "other_perplexity", exp(r->nll_other / n));
        json_put_member_f64(&w, "kl_mean", r->kl / n);
        json_put_member_f64(&w, "kl_max", r->kl_max);
        json_put_member_f64(&w, "same_first", (double)r->same / n);
    }
    json_put_object_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static enum code evaluate(struct cli *c, struct subject *a, struct subject *b, size_t window,
                          struct err *e) {
    const struct options *o = c->options;
    struct result r = {0};
    struct map_file map;
    struct arena text;
    int32_t *ids;
    size_t n;
    if (b && forward_vocab(a->forward) != forward_vocab(b->forward))
        return fail(e, INVALID, "the two have %zu and %zu tokens: they must share a vocabulary",
                    forward_vocab(a->forward), forward_vocab(b->forward));
    TRY(map_file_open(&map, o->perplexity, e));
    arena_init(&text, (size_t)1 << 32);
    enum code code =
        tokenizer_encode(a->tokenizer, (struct str){(const char *)map.bytes.p, map.bytes.n},
                         TOKENIZE_SPECIAL_ADD, &text, &ids, &n, e);
    if (code == OK)
        code = measure(c, a, b, ids, n, window, &r, e);
    if (code == OK)
        code = report(c, &r, b != NULL, e);
    arena_deinit(&text);
    map_file_close(&map);
    return code;
}

static enum code run(struct cli *c, struct err *e) {
    const struct options *o = c->options;
    size_t window = o->context > 0 ? (size_t)o->context : CONTEXT;
    int threads = o->threads > 0 ? (int)o->threads : cpu_cores();
    struct forward_options fo = {
        .threads = threads, .max_rows = window, .max_sequences = 1, .context = window};
    struct subject a, b = {0};
    if (!o->perplexity)
        return fail(e, USAGE, "say what to measure: --perplexity FILE");
    TRY(options_kv_type(o->kv_type, &fo.kv_dtype, e));
    cores_setup(threads);
    enum code code = subject_open(c, c->args[0], &fo, &a, e);
    if (code == OK && o->against)
        code = subject_open(c, o->against, &fo, &b, e);
    if (code == OK)
        code = evaluate(c, &a, o->against ? &b : NULL, window, e);
    subject_close(&a);
    if (o->against)
        subject_close(&b);
    return code;
}

#define AT(field) offsetof(struct options, field)
static const struct option options[] = {
    {"perplexity", 'p', OPTION_TEXT, AT(perplexity), "FILE", "a text to predict", NULL},
    {"against", 'a', OPTION_TEXT, AT(against), "MODEL[@...]",
     "another version: KL divergence from it", NULL},
    {"context", 0, OPTION_INT, AT(context), "N", "tokens of a window (512)", NULL},
    {"chunks", 0, OPTION_INT, AT(chunks), "N", "most windows (all)", NULL},
    {"kv-type", 0, OPTION_TEXT, AT(kv_type), "TYPE", OPTIONS_KV_TYPE, NULL},
    {"threads", 't', OPTION_INT, AT(threads), "N", "cores to use (all)", "SLIPWAY_THREADS"},
    {0},
};

const struct command command_evaluate = {
    .name = "evaluate",
    .synopsis = "MODEL[@VERSION|@ALIAS]",
    .about = "Measure a language model on a text; compare two versions.",
    .help = "  slipway evaluate smollm2 --perplexity wiki.txt\n"
            "  slipway evaluate smollm2@1 --against smollm2@2 --perplexity wiki.txt --json",
    .flags = COMMAND_STORE,
    .min_args = 1,
    .max_args = 1,
    .options_bytes = sizeof(struct options),
    .options = options,
    .run = run,
};
