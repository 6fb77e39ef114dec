/* SPDX-License-Identifier: Apache-2.0 */
/* Sampling: every filter alone against what its definition says, and the same draw every time. */
#include "llm/sample.c"

#include "../base/check.h"

enum { VOCAB = 64, DRAWS = 4000 };

static struct sampler sampler;
static float logits[VOCAB];

static int set_up(void **state) {
    struct err e;
    (void)state;
    for (int i = 0; i < VOCAB; i++) /* the likeliest is 7, then 14, 21, ... */
        logits[i] = -0.25f * (float)(i * 55 % VOCAB);
    return sampler_init(&sampler, VOCAB, &e) == OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    sampler_deinit(&sampler);
    return 0;
}

static int32_t one(const struct sample_options *o, size_t n_drawn, const uint64_t *allowed) {
    float mu = 0;
    int32_t tokens[VOCAB * 2] = {0};
    return sample_draw(&sampler, logits,
                       &(struct sample_ask){o, tokens, 0, n_drawn % VOCAB, allowed, &mu});
}

/* How often each token is drawn with seeds 0, 1, 2, ... */
static void draw_many(struct sample_options o, int counts[VOCAB]) {
    memset(counts, 0, VOCAB * sizeof *counts);
    for (int i = 0; i < DRAWS; i++) {
        o.seed = (uint64_t)i * 7919;
        int32_t t = one(&o, 0, NULL);
        assert_in_range(t, 0, VOCAB - 1);
        counts[t]++;
    }
}

static int distinct(const int counts[VOCAB]) {
    int n = 0;
    for (int i = 0; i < VOCAB; i++)
        n += counts[i] > 0;
    return n;
}

static double probability(int token, float temperature) {
    double sum = 0;
    for (int i = 0; i < VOCAB; i++)
        sum += exp((double)(logits[i] / temperature));
    return exp((double)(logits[token] / temperature)) / sum;
}

static void test_greedy(void **state) {
    struct sample_options o;
    (void)state;
    sample_options_default(&o);
    o.temperature = 0;
    assert_int_equal(one(&o, 0, NULL), 0);
    uint64_t allowed = ~(uint64_t)1;
    assert_int_equal(one(&o, 0, &allowed), 7);
    allowed = 0;
    assert_int_equal(one(&o, 0, &allowed), -1);
    o.temperature = 1;
    assert_int_equal(one(&o, 0, &allowed), -1);
}

static void test_distribution(void **state) {
    struct sample_options o;
    int counts[VOCAB];
    (void)state;
    sample_options_default(&o);
    for (int k = 0; k < 2; k++) {
        o.temperature = k ? 0.7f : 1.5f;
        draw_many(o, counts);
        for (int i = 0; i < VOCAB; i++) {
            double p = probability(i, o.temperature), sigma = sqrt(p * (1 - p) * DRAWS);
            assert_true(fabs(counts[i] - p * DRAWS) < 5 * sigma + 2);
        }
    }
}

static void test_reproducible(void **state) {
    struct sample_options o;
    int32_t first[VOCAB];
    int same = 0;
    (void)state;
    sample_options_default(&o);
    o.temperature = 2;
    o.seed = 42;
    for (size_t i = 0; i < VOCAB; i++)
        first[i] = one(&o, i, NULL);
    for (size_t i = VOCAB; i-- > 0;)
        assert_int_equal(one(&o, i, NULL), first[i]);
    o.seed = 43;
    for (size_t i = 0; i < VOCAB; i++)
        same += one(&o, i, NULL) == first[i];
    assert_true(same < VOCAB / 2);
}

static void test_filters(void **state) {
    struct sample_options o;
    int counts[VOCAB];
    (void)state;
    sample_options_default(&o);
    o.temperature = 5;
    o.top_k = 3;
    draw_many(o, counts);
    assert_int_equal(distinct(counts), 3);
    assert_true(counts[0] && counts[7] && counts[14]);

    sample_options_default(&o);
    o.top_p = 0.5f; /* 0.22, 0.17, 0.13: three reach it */
    draw_many(o, counts);
    assert_int_equal(distinct(counts), 3);

    sample_options_default(&o);
    o.min_p = 0.55f; /* e^-0.25 = 0.78, e^-0.5 = 0.61, e^-0.75 = 0.47 */
    draw_many(o, counts);
    assert_int_equal(distinct(counts), 3);

    o.temperature = 4;
    o.temper_last = true; /* the filter does not see the temperature */
    draw_many(o, counts);
    assert_int_equal(distinct(counts), 3);
    o.temper_last = false;
    draw_many(o, counts);
    assert_int_equal(distinct(counts), 10);

    sample_options_default(&o);
    o.top_p = 0;
    draw_many(o, counts);
    assert_int_equal(distinct(counts), 1);
}

/* Kept: those nearest to the entropy, so the likeliest may go. */
static void test_typical(void **state) {
    struct sample_options o;
    int counts[VOCAB];
    double entropy = 0;
    (void)state;
    for (int i = 0; i < VOCAB; i++)
        entropy -= probability(i, 1) * log(probability(i, 1));
    sample_options_default(&o);
    o.typical = 0.2f;
    draw_many(o, counts);
    double worst_kept = 0, best_dropped = 100;
    for (int i = 0; i < VOCAB; i++) {
        double distance = fabs(-log(probability(i, 1)) - entropy);
        if (counts[i] && distance > worst_kept)
            worst_kept = distance;
        if (!counts[i] && distance < best_dropped)
            best_dropped = distance;
    }
    assert_true(distinct(counts) >= 1 && distinct(counts) < 6);
    assert_true(worst_kept <= best_dropped);
}

static void test_penalties(void **state) {
    struct sample_options o;
    int32_t tokens[] = {0, 0, 7, 14, 14, 14};
    float mu = 0;
    (void)state;
    sample_options_default(&o);
    o.temperature = 0;
    struct sample_ask a = {&o, tokens, 3, 3, NULL, &mu};
    o.frequency = 0.1f; /* only 14 was generated */
    assert_int_equal(sample_draw(&sampler, logits, &a), 0);
    o.count_prompt = true;
    o.frequency = 0.3f; /* 0 twice: -0.6; 7 once: -0.55; 14: -0.5 - 0.9; 21: -0.75 */
    assert_int_equal(sample_draw(&sampler, logits, &a), 7);
    o.presence = 10;
    assert_int_equal(sample_draw(&sampler, logits, &a), 21);
    o.repeat_last = 3; /* 14 alone */
    assert_int_equal(sample_draw(&sampler, logits, &a), 0);
    o.presence = o.frequency = 0;
    o.repeat_penalty = 1.5f; /* 0 has logit 0: unchanged */
    o.repeat_last = -1;
    assert_int_equal(sample_draw(&sampler, logits, &a), 0);
    struct sample_bias biases[] = {{0, -INFINITY}, {63, 100}};
    o.biases = biases;
    o.n_biases = 1;
    assert_int_equal(sample_draw(&sampler, logits, &a), 7); /* -0.375 against 14's -0.75 */
    o.n_biases = 2;
    assert_int_equal(sample_draw(&sampler, logits, &a), 63);
    for (int i = 0; i < VOCAB; i++)
        assert_int_equal(sampler.counts[i], 0);
}

/* The mean surprise (in bits, of what was drawn among what was kept) comes to tau. */
static void test_mirostat(void **state) {
    struct sample_options o;
    (void)state;
    sample_options_default(&o);
    for (int version = 1; version <= 2; version++)
        for (int tau = 1; tau <= 2; tau++) {
            float mu = 0;
            int32_t tokens[1] = {0};
            double sum = 0;
            o.mirostat = version;
            o.tau = (float)tau;
            for (int i = 0; i < 1000; i++) {
                float before_ = mu == 0 ? 2 * o.tau : mu;
                o.seed = (uint64_t)i;
                int32_t t = sample_draw(&sampler, logits,
                                        &(struct sample_ask){&o, tokens, 0, 0, NULL, &mu});
                assert_in_range(t, 0, VOCAB - 1);
                sum += i >= 200 ? (double)((before_ - mu) / o.eta + o.tau) : 0;
            }
            assert_true(fabs(sum / 800 - tau) < 0.1);
            assert_true(mu > 0 && mu < 8);
        }
}

static void test_logprobs(void **state) {
    struct sample_logprob out[6];
    (void)state;
    sample_logprobs(logits, VOCAB, 21, 5, out);
    assert_int_equal(out[0].token, 21);
    assert_true(fabs((double)out[0].logprob - log(probability(21, 1))) < 1e-5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(out[i + 1].token, 7 * i);
        assert_true(fabs((double)out[i + 1].logprob - log(probability(7 * i, 1))) < 1e-5);
    }
}

static void test_refused(void **state) {
    struct sample_options o;
    struct sample_bias bias = {VOCAB, 1};
    struct err e;
    (void)state;
    sample_options_default(&o);
    assert_int_equal(sample_options_check(&o, VOCAB, &e), OK);
    o.temperature = -1;
    assert_int_equal(sample_options_check(&o, VOCAB, &e), ERR_INVALID);
    sample_options_default(&o);
    o.top_p = NAN;
    assert_int_equal(sample_options_check(&o, VOCAB, &e), ERR_INVALID);
    sample_options_default(&o);
    o.biases = &bias;
    o.n_biases = 1;
    assert_int_equal(sample_options_check(&o, VOCAB, &e), ERR_INVALID);
    sample_options_default(&o);
    o.logprobs = SAMPLE_TOP + 1;
    assert_int_equal(sample_options_check(&o, VOCAB, &e), ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy),       cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_reproducible), cmocka_unit_test(test_filters),
        cmocka_unit_test(test_typical),      cmocka_unit_test(test_penalties),
        cmocka_unit_test(test_mirostat),     cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
