/* SPDX-License-Identifier: Apache-2.0 */
/* What the endpoints of the OpenAI API share: members of a body that all know, members of an
 * answer, events, errors. Fields of a body that nobody knows are ignored, as OpenAI does. */
#pragma once

#include "serve/answer.h"
#include "serve/protocol/protocol.h"
#include "serve/talk.h"

enum { OPENAI_TOOLS = 128, OPENAI_TOP = 20 };

struct openai_tool {
    struct str name, schema; /* schema: JSON; .n == 0: any object */
};

struct openai { /* in talk->own */
    struct str model;
    struct str messages, tools, extra, prompt, input, instructions; /* JSON texts */
    struct str tool_choice, response_format;                        /* JSON texts */
    bool include_usage, one_call, echo;
    int64_t logprobs; /* chat: 1 when wanted; completions: how many; -1: not given */
    int64_t top_logprobs;
    size_t n_calls; /* tool calls answered so far */
};

/* Routes by "model", makes the talk and reads every member. */
MUST_USE enum code openai_read(struct request *r, const struct talk_form *form, struct talk **t,
                               struct err *e);
/* tool_choice, tools and response_format into the talk's grammar and what the template sees. */
MUST_USE enum code openai_constrain(struct talk *t, struct err *e);
/* The messages with content parts joined, "developer" as "system" and the arguments of calls as
 * objects, which is what templates expect. */
MUST_USE enum code openai_messages(struct talk *t, struct str messages, struct str *out,
                                   struct err *e);

/* {"id": ..., "object": ..., "created": ..., "model": ... and no closing brace */
void openai_put_head(struct talk *t, struct json_out *w, const char *object, const char *prefix);
void openai_put_usage(struct talk *t, struct json_out *w);
void openai_put_event(struct buf *out, const struct buf *json); /* "data: ...\n\n" */
void openai_put_done(struct buf *out);
void openai_fail(struct talk *t, const struct err *e, struct buf *out); /* talk_form.fail */
void openai_error(const struct request *r, const struct err *e, struct json_out *w);
struct str openai_spelling(const struct talk *t, int32_t token); /* of a token, in logprobs */
