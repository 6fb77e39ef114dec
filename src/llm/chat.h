/* SPDX-License-Identifier: Apache-2.0 */
/* Chat turns to a prompt, by the model's own template. Immutable after open; any thread.
 *
 * What the template writes may be control tokens; what a user wrote never becomes one. */
#pragma once

#include "llm/tokenizer.h"

struct chat_template; /* opaque */

/* UNSUPPORTED for a template this build cannot follow. The tokenizer must outlive it. */
MUST_USE enum code chat_open(struct str source, const struct tokenizer *t,
                             struct chat_template **out, struct err *e);
void chat_close(struct chat_template *c); /* NULL allowed */

struct chat_ask {
    struct str messages_json, tools_json, extra_json; /* as OpenAI's clients send them; .n == 0:
                                                         none */
    bool generation_prompt;
};
/* The prompt's tokens, and its text for people. */
MUST_USE enum code chat_tokens(const struct chat_template *c, const struct chat_ask *ask,
                               struct arena *a, int32_t **ids, size_t *n, struct str *rendered,
                               struct err *e);
