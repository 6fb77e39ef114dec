/* SPDX-License-Identifier: Apache-2.0 */
/* Tool calls in what a model wrote, per family of models, while it is being written.
 *
 *   hermes   <tool_call>{"name": N, "arguments": {...}}</tool_call>     Qwen, Hermes, SmolLM,
 * others mistral  [TOOL_CALLS] [{"name": N, "arguments": {...}}, ...] llama    {"name": N,
 * "parameters": {...}}, the whole answer, <|python_tag|> before it or not
 *
 * Text goes in as it comes; out come pieces of content, the beginning of a call (its name) and
 * pieces of its arguments, which joined are the JSON text the model wrote. What turns out not to be
 * a call comes out as content: a wrong call never fails the request. */
#pragma once

#include "base/buf.h"

enum toolcall_family { TOOLCALL_NONE, TOOLCALL_HERMES, TOOLCALL_MISTRAL, TOOLCALL_LLAMA };
enum { TOOLCALL_BODY = 1 << 20 }; /* bytes of one call */

/* By what the model's chat template writes. */
enum toolcall_family toolcall_family_of(struct str chat_template);
/* Tokens that are control tokens in that family's vocabularies and must be seen as text. */
const char *toolcall_marker(enum toolcall_family f);

struct toolcall_sink {
    void *ctx;
    void (*content)(void *ctx, struct str text);
    void (*call)(void *ctx, int index, struct str name); /* name: JSON text without quotes */
    void (*arguments)(void *ctx, int index, struct str piece);
};

struct toolcall_reader {
    enum toolcall_family family;
    bool begun; /* content other than white space was seen: llama calls begin the answer */
    enum { TOOLCALL_TEXT, TOOLCALL_INSIDE, TOOLCALL_BEHIND } state; /* of a call */
    bool named;                                                     /* its name was said */
    bool edge;       /* behind a call came nothing but white space, which is nobody's */
    struct buf held; /* text not decided on, or the call's text so far */
    size_t said;     /* bytes of its arguments already said */
    int n_calls;
};
void toolcall_begin(struct toolcall_reader *r, enum toolcall_family f);
void toolcall_feed(struct toolcall_reader *r, struct str text, const struct toolcall_sink *s);
void toolcall_end(struct toolcall_reader *r, const struct toolcall_sink *s); /* frees */

/* GBNF of exactly one call (or one and more: `many`) in the family's form, with these names and the
 * rules of their arguments: rule NAME is `rules[i]`. */
struct toolcall_rule {
    struct str name, rule;
};
void toolcall_grammar(enum toolcall_family f, const struct toolcall_rule *rules, size_t n,
                      bool many, struct buf *out);
