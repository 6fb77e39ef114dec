/* SPDX-License-Identifier: Apache-2.0 */
/* Thoughts in what a model writes, split off from its answer while it is being written.
 *
 *   think     <think> ... </think> answer      DeepSeek-R1, Qwen3, QwQ, SmolLM3
 *   mistral   [THINK] ... [/THINK] answer      Magistral
 *
 * Thoughts stand before the answer or not at all; a template may have written the opening itself,
 * so that the model begins inside. White space at the edges of both is nobody's. Text that ends
 * inside was thought only. */
#pragma once

#include "base/buf.h"

struct reasoning_form {
    const char *open, *close;
};

/* By the model's chat template; NULL: its models do not think aloud. */
const struct reasoning_form *reasoning_form_of(struct str chat_template);
/* Whether a prompt leaves the model inside its thoughts. */
bool reasoning_begun(const struct reasoning_form *f, struct str prompt);

struct reasoning_sink {
    void *ctx;
    void (*thought)(void *ctx, struct str text);
    void (*answer)(void *ctx, struct str text);
};

struct reasoning_reader {
    const struct reasoning_form *form; /* NULL: all is answer */
    enum { REASONING_BEFORE, REASONING_INSIDE, REASONING_BEHIND } state;
    bool said;       /* of this state's text: something other than white space */
    struct buf held; /* text not decided on */
};
void reasoning_begin(struct reasoning_reader *r, const struct reasoning_form *f, bool inside);
void reasoning_feed(struct reasoning_reader *r, struct str text, const struct reasoning_sink *s);
void reasoning_end(struct reasoning_reader *r, const struct reasoning_sink *s); /* frees */
