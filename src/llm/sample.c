/* SPDX-License-Identifier: Apache-2.0 */
/* Sampling: see sample.h. Candidates are a heap in place: a filter that keeps k tokens costs
 * O(vocab + k log vocab), never a sort of the vocabulary. */
#include "llm/sample.h"

#include "base/mem.h"

#include <math.h>

enum { ZIPF_TOKENS = 100 }; /* mirostat 1 estimates the distribution's exponent from these */

void sample_options_default(struct sample_options *o) {
    *o = (struct sample_options){.temperature = 1,
                                 .top_p = 1,
                                 .typical = 1,
                                 .repeat_penalty = 1,
                                 .repeat_last = -1,
                                 .tau = 5,
                                 .eta = 0.1f,
                                 .logprobs = -1};
}

static enum code in_range(const char *name, float v, float low, float high, struct err *e) {
    return v >= low && v <= high ? OK
                                 : fail(e, INVALID, "%s is %g, it must be from %g to %g", name,
                                        (double)v, (double)low, (double)high);
}

enum code sample_options_check(const struct sample_options *o, size_t vocab, struct err *e) {
    TRY(in_range("temperature", o->temperature, 0, 100, e));
    TRY(in_range("top_p", o->top_p, 0, 1, e));
    TRY(in_range("min_p", o->min_p, 0, 1, e));
    TRY(in_range("typical_p", o->typical, 0, 1, e));
    TRY(in_range("repetition penalty", o->repeat_penalty, 0.01f, 100, e));
    TRY(in_range("frequency_penalty", o->frequency, -100, 100, e));
    TRY(in_range("presence_penalty", o->presence, -100, 100, e));
    TRY(in_range("mirostat_tau", o->tau, 0, 100, e));
    TRY(in_range("mirostat_eta", o->eta, 0, 10, e));
    if (o->mirostat < 0 || o->mirostat > 2)
        return fail(e, INVALID, "mirostat is %d, it must be 0, 1 or 2", (int)o->mirostat);
    if (o->top_k < 0 || o->repeat_last < -1)
        return fail(e, INVALID, "top_k and repeat_last_n must not be negative");
    if (o->logprobs > SAMPLE_TOP)
        return fail(e, INVALID, "%d alternatives asked for, the limit is %d", (int)o->logprobs,
                    SAMPLE_TOP);
    for (size_t i = 0; i < o->n_biases; i++)
        if (o->biases[i].token < 0 || (size_t)o->biases[i].token >= vocab)
            return fail(e, INVALID, "logit_bias names token %d, the vocabulary has %zu",
                        (int)o->biases[i].token, vocab);
        else if (isnan(o->biases[i].bias))
            return fail(e, INVALID, "logit_bias of token %d is not a number",
                        (int)o->biases[i].token);
    return OK;
}

enum code sampler_init(struct sampler *s, size_t vocab, struct err *e) {
    *s = (struct sampler){.vocab = vocab};
    s->all = mem_zalloc(vocab, sizeof *s->all);
    s->changed = mem_zalloc(vocab, sizeof *s->changed);
    s->counts = mem_zalloc(vocab, sizeof *s->counts);
    if (s->all && s->changed && s->counts)
        return OK;
    sampler_deinit(s);
    return fail(e, NOMEM, "no memory for sampling over %zu tokens", vocab);
}

void sampler_deinit(struct sampler *s) {
    mem_free(s->all);
    mem_free(s->changed);
    mem_free(s->counts);
    *s = (struct sampler){0};
}

/* --- changing logits --- */

static void count(struct sampler *s, const int32_t *tokens, size_t from, size_t to, int32_t by) {
    for (size_t i = from; i < to; i++)
        if (tokens[i] >= 0 && (size_t)tokens[i] < s->vocab)
            s->counts[tokens[i]] += by;
}

static size_t window_start(const struct sample_options *o, size_t n) {
    return o->repeat_last < 0 || (size_t)o->repeat_last >= n ? 0 : n - (size_t)o->repeat_last;
}

/* Each token of the window once: its count is set to 0 when it was seen. */
static void penalise_repeats(struct sampler *s, const struct sample_ask *a) {
    size_t n = a->n_prompt + a->n_drawn, from = window_start(a->options, n);
    count(s, a->tokens, from, n, 1);
    for (size_t i = from; i < n; i++) {
        int32_t t = a->tokens[i];
        if (t < 0 || (size_t)t >= s->vocab || s->counts[t] == 0)
            continue;
        s->counts[t] = 0;
        s->changed[t] = s->changed[t] > 0 ? s->changed[t] / a->options->repeat_penalty
                                          : s->changed[t] * a->options->repeat_penalty;
    }
}

static void penalise_counts(struct sampler *s, const struct sample_ask *a) {
    const struct sample_options *o = a->options;
    size_t n = a->n_prompt + a->n_drawn;
    size_t from = o->count_prompt ? window_start(o, n) : a->n_prompt;
    count(s, a->tokens, from, n, 1);
    for (size_t i = from; i < n; i++) {
        int32_t t = a->tokens[i];
        if (t < 0 || (size_t)t >= s->vocab || s->counts[t] == 0)
            continue;
        s->changed[t] -= (float)s->counts[t] * o->frequency + o->presence;
        s->counts[t] = 0;
    }
}

/* The logits after biases and penalties: the model's own where nothing changes. */
static const float *change(struct sampler *s, const float *logits, const struct sample_ask *a) {
    const struct sample_options *o = a->options;
    bool repeats = o->repeat_penalty != 1, counts = o->frequency != 0 || o->presence != 0;
    if (o->n_biases == 0 && !repeats && !counts)
        return logits;
    memcpy(s->changed, logits, s->vocab * sizeof *logits);
    for (size_t i = 0; i < o->n_biases; i++)
        s->changed[o->biases[i].token] += o->biases[i].bias;
    if (repeats)
        penalise_repeats(s, a);
    if (counts)
        penalise_counts(s, a);
    return s->changed;
}

/* --- the heap: most likely first, the lower token where two are as likely --- */

static bool before(struct sample_candidate a, struct sample_candidate b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

static void sift(struct sample_candidate *c, size_t at, size_t n) {
    struct sample_candidate moving = c[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(c[child + 1], c[child]))
            child++;
        if (!before(c[child], moving))
            break;
        c[at] = c[child];
    }
    c[at] = moving;
}

static void heap_make(struct sample_candidate *c, size_t n) {
    for (size_t i = n / 2; i-- > 0;)
        sift(c, i, n);
}

/* Moves the first of the heap c[0..n) to c[n-1]; the heap is then c[0..n-1). */
static void heap_pop(struct sample_candidate *c, size_t n) {
    struct sample_candidate first = c[0];
    c[0] = c[n - 1];
    sift(c, 0, n - 1);
    c[n - 1] = first;
}

/* The k popped ones, which lie at the end in reverse, to the front in order. */
static void heap_gather(struct sample_candidate *c, size_t n, size_t k) {
    for (size_t i = 0; i < k / 2; i++) {
        struct sample_candidate t = c[n - 1 - i];
        c[n - 1 - i] = c[n - k + i];
        c[n - k + i] = t;
    }
    memmove(c, c + (n - k), k * sizeof *c);
}

/* --- filters: each keeps some of c[0..n) at the front and returns how many, 1 at least --- */

static float highest(const struct sample_candidate *c, size_t n) {
    float max = c[0].logit;
    for (size_t i = 1; i < n; i++)
        max = c[i].logit > max ? c[i].logit : max;
    return max;
}

static double total(const struct sample_candidate *c, size_t n, float max) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)expf(c[i].logit - max);
    return sum;
}

static size_t keep_top_k(struct sample_candidate *c, size_t n, size_t k) {
    if (k >= n)
        return n;
    heap_make(c, n);
    for (size_t i = 0; i < k; i++)
        heap_pop(c, n - i);
    heap_gather(c, n, k);
    return k;
}

static size_t keep_top_p(struct sample_candidate *c, size_t n, float p) {
    float max = highest(c, n);
    double want = (double)p * total(c, n, max), sum = 0;
    size_t k = 0;
    heap_make(c, n);
    do {
        heap_pop(c, n - k);
        sum += (double)expf(c[n - 1 - k].logit - max);
        k++;
    } while (k < n && sum < want);
    heap_gather(c, n, k);
    return k;
}

static size_t keep_min_p(struct sample_candidate *c, size_t n, float p) {
    float least = highest(c, n) + logf(p);
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (c[i].logit >= least)
            c[k++] = c[i];
    return k;
}

/* Locally typical sampling (Meister et al. 2022): those whose information is nearest to the
 * entropy. The heap's key takes the place of the logit meanwhile. */
static size_t keep_typical(struct sample_candidate *c, size_t n, float p, const float *logits,
                           float scale) {
    float max = highest(c, n);
    double sum = total(c, n, max), entropy = 0, log_sum = log(sum);
    for (size_t i = 0; i < n; i++) {
        double log_p = (double)(c[i].logit - max) - log_sum;
        entropy -= log_p > -700 ? exp(log_p) * log_p : 0;
    }
    for (size_t i = 0; i < n; i++) {
        double log_p = (double)(c[i].logit - max) - log_sum;
        c[i].logit = (float)-fabs(-log_p - entropy);
    }
    heap_make(c, n);
    double kept = 0;
    size_t k = 0;
    do {
        heap_pop(c, n - k);
        kept += exp((double)(logits[c[n - 1 - k].token] * scale - max) - log_sum);
        k++;
    } while (k < n && kept < (double)p);
    heap_gather(c, n, k);
    for (size_t i = 0; i < k; i++)
        c[i].logit = logits[c[i].token] * scale;
    return k;
}

/* --- drawing --- */

/* splitmix64 over (seed, draw): uniform in [0, 1). */
static double uniform(uint64_t seed, uint64_t draw) {
    uint64_t z = seed + (draw + 1) * 0x9e3779b97f4a7c15u;
    for (int round = 0; round < 2; round++) {
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z ^= z >> 31;
    }
    return (double)(z >> 11) * 0x1p-53;
}

static void scale_all(struct sample_candidate *c, size_t n, float scale) {
    for (size_t i = 0; i < n; i++)
        c[i].logit *= scale;
}

/* Index of the one drawn, and its share of the sum. */
static size_t draw(const struct sample_candidate *c, size_t n, const struct sample_ask *a,
                   double *share) {
    float max = highest(c, n);
    double sum = total(c, n, max);
    double left = uniform(a->options->seed, a->n_drawn) * sum, weight = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        weight = (double)expf(c[i].logit - max);
        if (weight > 0)
            at = i;
        if (left < weight)
            break;
        left -= weight;
    }
    *share = (double)expf(c[at].logit - max) / sum;
    return at;
}

/* Mirostat (Basu et al. 2021): the surprise of what is drawn is steered to tau bits. */
static size_t keep_surprising(struct sample_candidate *c, size_t n, float mu) { /* version 2 */
    float max = highest(c, n);
    double log_sum = log(total(c, n, max));
    size_t k = 0, best = 0;
    for (size_t i = 0; i < n; i++) {
        best = before(c[i], c[best]) ? i : best;
        if ((log_sum - (double)(c[i].logit - max)) / M_LN2 <= (double)mu) {
            struct sample_candidate t = c[k];
            c[k] = c[i];
            c[i] = t;
            best = best == k ? i : best == i ? k : best;
            k++;
        }
    }
    if (k)
        return k;
    c[0] = c[best];
    return 1;
}

static size_t keep_zipf(struct sample_candidate *c, size_t n, float mu) { /* version 1 */
    size_t most = n < ZIPF_TOKENS ? n : ZIPF_TOKENS;
    heap_make(c, n);
    for (size_t i = 0; i < most; i++)
        heap_pop(c, n - i);
    double above = 0, below = 0;
    for (size_t i = 0; i + 1 < most; i++) { /* the i-th most likely is c[n - 1 - i] */
        double t = log((double)(i + 2) / (double)(i + 1));
        double b = (double)(c[n - 1 - i].logit - c[n - 2 - i].logit);
        above += t * b;
        below += t * t;
    }
    double s = below > 0 ? above / below : 1, eps = s - 1;
    double k = fabs(eps) < 1e-6 ? pow(2, (double)mu)
                                : pow(eps * pow(2, (double)mu) / (1 - pow((double)n, -eps)), 1 / s);
    size_t keep = k >= 1 && k < (double)n ? (size_t)k : k >= (double)n ? n : 1;
    for (size_t i = most; i < keep; i++)
        heap_pop(c, n - i);
    size_t popped = keep > most ? keep : most;
    heap_gather(c, n, popped);
    return keep;
}

static int32_t draw_mirostat(struct sampler *s, size_t n, const struct sample_ask *a) {
    const struct sample_options *o = a->options;
    double share;
    if (*a->mu == 0)
        *a->mu = 2 * o->tau;
    scale_all(s->all, n, 1 / o->temperature);
    n = o->mirostat == 1 ? keep_zipf(s->all, n, *a->mu) : keep_surprising(s->all, n, *a->mu);
    size_t at = draw(s->all, n, a, &share);
    *a->mu -= o->eta * (float)(-log2(share) - (double)o->tau);
    return s->all[at].token;
}

static int32_t draw_filtered(struct sampler *s, size_t n, const float *logits,
                             const struct sample_ask *a) {
    const struct sample_options *o = a->options;
    float scale = o->temper_last ? 1 : 1 / o->temperature;
    double share;
    if (!o->temper_last)
        scale_all(s->all, n, scale);
    if (o->top_k > 0)
        n = keep_top_k(s->all, n, (size_t)o->top_k);
    if (o->typical < 1)
        n = keep_typical(s->all, n, o->typical, logits, scale);
    if (o->top_p < 1)
        n = keep_top_p(s->all, n, o->top_p);
    if (o->min_p > 0)
        n = keep_min_p(s->all, n, o->min_p);
    if (o->temper_last)
        scale_all(s->all, n, 1 / o->temperature);
    return s->all[draw(s->all, n, a, &share)].token;
}

static bool is_allowed(const uint64_t *allowed, size_t token) {
    return !allowed || (allowed[token / 64] >> (token % 64) & 1);
}

static int32_t most_likely(const float *logits, size_t vocab, const uint64_t *allowed) {
    int32_t best = -1;
    for (size_t i = 0; i < vocab; i++)
        if (is_allowed(allowed, i) && logits[i] > -INFINITY &&
            (best < 0 || logits[i] > logits[best]))
            best = (int32_t)i;
    return best;
}

int32_t sample_draw(struct sampler *s, const float *logits, const struct sample_ask *a) {
    size_t n = 0;
    logits = change(s, logits, a);
    if (a->options->temperature < 1e-5f)
        return most_likely(logits, s->vocab, a->allowed);
    for (size_t i = 0; i < s->vocab; i++)
        if (is_allowed(a->allowed, i) && logits[i] > -INFINITY)
            s->all[n++] = (struct sample_candidate){logits[i], (int32_t)i};
    if (n == 0)
        return -1;
    return a->options->mirostat ? draw_mirostat(s, n, a) : draw_filtered(s, n, logits, a);
}

/* --- log probabilities --- */

void sample_logprobs(const float *logits, size_t vocab, int32_t token, int32_t n,
                     struct sample_logprob *out) {
    float max = logits[0];
    double sum = 0;
    int32_t k = 0;
    for (size_t i = 1; i < vocab; i++)
        max = logits[i] > max ? logits[i] : max;
    for (size_t i = 0; i < vocab; i++)
        sum += (double)expf(logits[i] - max);
    double log_sum = log(sum) + (double)max;
    for (size_t i = 0; i < vocab && n > 0; i++) { /* out[1..k]: sorted, the n largest so far */
        if (k == n && !(logits[i] > out[k].logprob))
            continue;
        int32_t at = k < n ? ++k : k;
        for (; at > 1 && logits[i] > out[at - 1].logprob; at--)
            out[at] = out[at - 1];
        out[at] = (struct sample_logprob){(int32_t)i, logits[i]};
    }
    for (int32_t i = 1; i <= n; i++)
        if (i <= k)
            out[i].logprob = (float)((double)out[i].logprob - log_sum);
        else
            out[i] = (struct sample_logprob){-1, -INFINITY};
    out[0] = (struct sample_logprob){token, (float)((double)logits[token] - log_sum)};
}
