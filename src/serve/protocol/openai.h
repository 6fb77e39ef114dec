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

struct openai_kind {                /* what answers are called */
    const char *whole, *chunk, *id; /* id: what the answers' ids begin with */
};

struct openai { /* in talk->own */
    const struct openai_kind *kind;
    struct str model;
    struct str messages, tools, extra, prompt, suffix, input, instructions; /* JSON texts */
    struct str tool_choice, response_format, text, metadata;                /* JSON texts */
    struct str previous, conversation, store, background; /* JSON texts: what would be kept */
    bool include_usage, one_call, echo;
    int64_t logprobs; /* chat: 1 when wanted; completions: how many; -1: not given */
    int64_t top_logprobs;
    void *more; /* the endpoint's own */
};

/* Routes by "model", makes the talk and reads every member. */
MUST_USE enum code openai_read(struct request *r, const struct talk_form *form,
                               const struct openai_kind *kind, struct talk **t, struct err *e);
/* tool_choice, tools and response_format into the talk's grammar and what the template sees. */
MUST_USE enum code openai_constrain(struct talk *t, struct err *e);
/* The messages with content parts joined, "developer" as "system" and the arguments of calls as
 * objects, which is what templates expect. */
MUST_USE enum code openai_messages(struct talk *t, struct str messages, struct str *out,
                                   struct err *e);
/* The same of what /v1/responses calls instructions and input (JSON texts). */
MUST_USE enum code openai_items(struct talk *t, struct str instructions, struct str input,
                                struct str *out, struct err *e);
/* A content that is a text, a list of parts or null, as one text. */
MUST_USE enum code openai_content(struct talk *t, struct json *j, struct json_out *w,
                                  struct err *e);

/* {"id": ..., "object": ..., "created": ..., "model": ... and no closing brace */
void openai_put_head(struct talk *t, struct json_out *w, const char *object);
void openai_put_usage(struct talk *t, struct json_out *w);
void openai_put_event(struct buf *out, const struct buf *json); /* "data: ...\n\n" */
/* The id and type of a call in an answer; its name, which is JSON text without quotes. */
void openai_put_call_id(struct talk *t, int choice, int index, struct json_out *w);
void openai_put_name(struct json_out *w, struct str name);
/* "token", "logprob", "bytes" of one token, inside an object. */
void openai_put_logprob(const struct talk *t, const struct sample_logprob *l, struct json_out *w);
struct str openai_spelling(const struct talk *t, int32_t token); /* of a token, in logprobs */
void openai_error(const struct request *r, const struct err *e, struct json_out *w);

/* A streamed event with one choice: begin, the choice's members, end. */
struct openai_chunk {
    struct buf json;
    struct json_out w;
};
void openai_begin_chunk(struct talk *t, int choice, struct openai_chunk *k);
void openai_end_chunk(struct openai_chunk *k, struct buf *out);
void openai_end(struct talk *t, struct buf *out); /* talk_form.end: usage if asked for, [DONE] */
void openai_fail(struct talk *t, const struct err *e, struct buf *out); /* talk_form.failed */
/* talk_form.whole, with what writes the members of one choice behind its index. */
typedef void openai_choice_fn(struct talk *t, struct talk_choice *c, struct json_out *w);
MUST_USE enum code openai_whole(struct talk *t, openai_choice_fn *put, struct err *e);
