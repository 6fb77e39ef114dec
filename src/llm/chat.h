/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation to the tokens its model was trained on, by the model's own template.
 *
 * What a request brought stays marked through the rendering (jinja.h): a control token is found
 * only where every byte of its spelling was written by the template, so nobody can end a turn or
 * speak as the system by spelling it in a message. */
#pragma once

#include "llm/tokenizer.h"

struct chat_template; /* opaque; immutable, usable from any thread */

/* UNSUPPORTED names what the template uses that this build does not know; INVALID its line. The
 * tokenizer must outlive it. */
MUST_USE enum code chat_open(struct str source, const struct tokenizer *t,
                             struct chat_template **out, struct err *e);
/* Of a model's facts: its template, and the one it has for requests with tools. *out NULL: it has
 * none. */
MUST_USE enum code chat_open_model(const struct model *m, const struct tokenizer *t,
                                   struct chat_template **out, struct err *e);
struct str chat_source(const struct model *m, bool tools); /* borrowed from the model */
void chat_close(struct chat_template *c);                  /* NULL allowed */

struct chat_ask {             /* JSON as clients of the OpenAI API send it; borrowed */
    struct str messages_json; /* an array */
    struct str tools_json;    /* an array; .n == 0: none */
    struct str extra_json;    /* an object of further variables; .n == 0: none */
    bool generation_prompt;   /* ends with the beginning of the assistant's turn */
};

/* *ids and *rendered (the text; may be NULL) in the arena, which pays for the rendering too.
 * INVALID when the messages are not what the template takes, with its own words where it has some.
 */
MUST_USE enum code chat_tokens(const struct chat_template *c, const struct chat_ask *ask,
                               struct arena *a, int32_t **ids, size_t *n, struct str *rendered,
                               struct err *e);
