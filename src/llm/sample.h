/* SPDX-License-Identifier: Apache-2.0 */
/* Sampling: from one row of logits to one token.
 *
 * 1. The draw depends on the seed and on how many tokens were drawn before, never on who else is
 * being served: a counter-based generator keyed by (seed, draw). A request repeats alone, in any
 * batch and with any speculation.
 * 2. Order: biases, penalties, the mask of allowed tokens, then top-k, typical, top-p, min-p and
 * the draw. Temperature comes first where the API's filters see the tempered distribution (OpenAI,
 * vLLM), last with `temper_last` (llama.cpp, Ollama).
 * 3. Log probabilities are of the logits as the model gave them. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { SAMPLE_TOP = 64 }; /* most alternatives asked for at one token */

struct sample_bias {
    int32_t token;
    float bias; /* -INFINITY: never */
};

struct sample_options {
    float temperature;           /* 0: the most likely token */
    int32_t top_k;               /* 0: off */
    float top_p, min_p, typical; /* 1, 0, 1: off */
    float repeat_penalty;        /* 1: off */
    int32_t repeat_last;         /* tokens looked back at, prompt included; -1: all */
    float frequency, presence;   /* 0: off */
    bool count_prompt; /* frequency and presence look back at repeat_last tokens (llama.cpp), not at
                          what was generated (OpenAI) */
    bool temper_last;
    int32_t mirostat; /* 0: off; 1, 2: replaces the filters */
    float tau, eta;
    uint64_t seed;
    const struct sample_bias *biases; /* borrowed */
    size_t n_biases;
    int32_t logprobs; /* alternatives wanted beside the token drawn; -1: no log probabilities */
};
void sample_options_default(struct sample_options *o); /* temperature 1, nothing else */
MUST_USE enum code sample_options_check(const struct sample_options *o, size_t vocab,
                                        struct err *e);

struct sample_candidate {
    float logit;
    int32_t token;
};

/* Scratch of one decoding thread. */
struct sampler {
    size_t vocab;
    struct sample_candidate *all; /* (vocab) owned */
    float *changed;               /* (vocab) owned: logits after biases and penalties */
    int32_t *counts;              /* (vocab) owned: zero between calls */
};
MUST_USE enum code sampler_init(struct sampler *s, size_t vocab, struct err *e);
void sampler_deinit(struct sampler *s);

struct sample_ask {
    const struct sample_options *options;
    const int32_t *tokens; /* (n_prompt + n_drawn) so far */
    size_t n_prompt, n_drawn;
    const uint64_t *allowed; /* bit per token; NULL: all */
    float *mu;               /* mirostat's state; 0 at the beginning */
};
/* The token, or -1 when none is allowed. */
int32_t sample_draw(struct sampler *s, const float *logits, const struct sample_ask *a);

struct sample_logprob {
    int32_t token;
    float logprob;
};
/* out[0]: the token's own; then the n most likely, in order. */
void sample_logprobs(const float *logits, size_t vocab, int32_t token, int32_t n,
                     struct sample_logprob *out);
