/* SPDX-License-Identifier: Apache-2.0 */
/* A request to a language model on its way: what openai, ollama, llamacpp and oip share. A protocol
 * decodes its body into a talk and says how pieces are written (struct talk_form); everything
 * between is here.
 *
 *   decode: talk_new, fields, talk_prompt / talk_chat ─▶ RUN: talk_run ─▶ decoding thread
 *      wake ─▶ loop: form->piece ─▶ the client        (streamed)
 *      done ─▶ loop: form->end, or phase ENCODE: form->whole
 *
 * 1. After talk_run all of it happens on the request's loop, but for ask.cancel.
 * 2. A slow client pauses its own sequences only: nothing is taken while its window is full.
 * 3. An error before the first piece is an ordinary error answer; after it, form->failed says it.
 */
#pragma once

#include "llm/language.h"
#include "llm/reasoning.h"
#include "llm/toolcall.h"
#include "serve/request.h"

#include <stdatomic.h>

enum { TALK_STOPS = 16, TALK_BIASES = 1024, TALK_SHOWN = 4, TALK_PROMPTS = 128 };

struct talk;
struct talk_choice;

struct talk_form {
    const char *type; /* Content-Type of a stream */
    void (*begin)(struct talk *t, struct buf *out);
    /* What choice c made; c->part.end says whether it ended. */
    void (*piece)(struct talk *t, struct talk_choice *c, struct buf *out);
    void (*end)(struct talk *t, struct buf *out);
    void (*failed)(struct talk *t, const struct err *e, struct buf *out);
    /* The answer in one piece, into r->response. */
    enum code (*whole)(struct talk *t, struct err *e);
};

struct talk_choice {
    int index;
    bool begun, ended;       /* begun: a piece of it was written; the protocol's to say */
    struct decode_part part; /* since the last piece; of a whole answer: all of it */
    struct reasoning_reader reasoning;
    struct toolcall_reader reader;
    size_t text_sent; /* bytes */
};

struct talk_sink { /* what a chat's answer is made of */
    void (*thought)(void *ctx, struct str text);
    struct toolcall_sink rest; /* its ctx is everyone's */
};

struct talk {
    struct request *r;
    const struct talk_form *form;
    struct language *language;
    struct decode_ask ask;       /* the terms; its counts are of all prompts once it is done */
    struct decode_ask *asks;     /* (n_asks): what runs; &ask, or one for each prompt */
    size_t n_asks;               /* 0: one */
    struct grammar *grammar;     /* owned */
    struct talk_choice *choices; /* (talk_choices): those of the first prompt first */
    bool streamed;
    enum toolcall_family tools;             /* NONE: text is text */
    const struct reasoning_form *reasoning; /* NULL: all is answer */
    bool thinking;                          /* the prompt leaves the model inside its thoughts */
    int32_t shown[TALK_SHOWN];
    struct str stops[TALK_STOPS];
    struct sample_bias *biases;
    struct str grammar_text, schema_text; /* GBNF, JSON schema as asked for; .n == 0: none */
    bool json_mode;
    bool no_tokens;   /* max_tokens was 0 */
    uint64_t created; /* seconds since 1970 */
    struct str id;
    void *own; /* the protocol's */

    /* private to talk.c */
    bool begun, full, done;
    _Atomic size_t going; /* asks not done */
    _Atomic bool posted;  /* wake_job is on its way */
    struct loop_job wake_job, done_job;
};

/* For r->ask.live (routed already): INVALID when that is no language model that generates. */
MUST_USE enum code talk_new(struct request *r, const struct talk_form *form, struct talk **out,
                            struct err *e);
/* "model" of a JSON body, read ahead of the rest, which depends on it; *model stays as it was where
 * there is none. */
MUST_USE enum code talk_find_model(struct request *r, struct str *model, struct err *e);
/* r->ask.model and its selector from "NAME", "NAME@3", "NAME@prod"; empty: the only language model.
 * Routes. */
MUST_USE enum code talk_route(struct request *r, struct str model, struct err *e);

/* A generation parameter by any of the names APIs give it; *taken false: none of ours. */
MUST_USE enum code talk_option(struct talk *t, struct json *j, struct str key, bool *taken,
                               struct err *e);
/* An object of them; members nobody knows are passed over. */
MUST_USE enum code talk_options(struct talk *t, struct json *j, struct err *e);
/* Defaults of llama.cpp and what follows it, instead of OpenAI's; the model's own go first. */
void talk_like_llama(const struct language *l, float top_p, struct sample_options *o);

/* The prompt. messages, tools, extra: JSON texts, .n == 0: none. After what constrains. */
MUST_USE enum code talk_chat(struct talk *t, struct str messages, struct str tools,
                             struct str extra, struct err *e);
MUST_USE enum code talk_text(struct talk *t, struct str prompt, struct err *e);
MUST_USE enum code talk_tokens(struct talk *t, const int32_t *ids, size_t n, struct err *e);
/* Room for several prompts: each talk_text or talk_tokens then sets the next of them. */
MUST_USE enum code talk_prompts(struct talk *t, size_t n, struct err *e);
/* Compiles grammar_text, schema_text or json_mode. */
MUST_USE enum code talk_constrain(struct talk *t, struct err *e);

/* What choice c made of a chat's answer, as thoughts, content and calls; all of it when c ended. */
void talk_feed(struct talk_choice *c, const struct talk_sink *s);

void talk_run(struct talk *t);
void talk_gone(struct talk *t);                 /* the client left */
const char *talk_end_name(enum decode_end end); /* "stop", "length" */
int talk_choices(const struct talk *t);         /* of all prompts */
struct decode_ask *talk_ask_of(const struct talk *t, const struct talk_choice *c);
size_t talk_count_tokens(const struct decode_part *p);
