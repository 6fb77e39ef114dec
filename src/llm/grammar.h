/* SPDX-License-Identifier: Apache-2.0 */
/* Grammars (GBNF) that the generated text must follow: compiled rules, and a machine that says
 * after each token which tokens may come next.
 *
 *   grammar_parse ─▶ struct grammar (immutable) ─▶ grammar_machine_open (one decoding thread)
 *
 * GBNF: name ::= alternatives; "text" with \n \r \t \\ \" \[ \] \xHH \uHHHH \UHHHHHHHH; [a-z],
 * [^...] and . over code points; ( ) | * + ? {m} {m,} {m,n} {,n}; # comments. It begins at `root`.
 *
 * 1. The machine works on bytes: a token may end in the middle of a character. Its states are sets
 * of stacks; stacks share their tails, states are numbered, steps and masks are remembered.
 * 2. Repetitions are counted on the stack, not copied: x{0,100000} costs what x costs.
 * 3. Left recursion, more than GRAMMAR_* of anything and text that no cap can hold are refused when
 * parsed (INVALID), or LIMIT when only the text shows it (ambiguity without end).
 * 4. An end-of-generation token is allowed exactly where the grammar may end; control tokens never.
 */
#pragma once

#include "llm/tokenizer.h"

enum {
    GRAMMAR_BYTES = 1 << 20, /* of its text */
    GRAMMAR_RULES = 1 << 16,
    GRAMMAR_PARTS = 1 << 20,  /* elements of all rules */
    GRAMMAR_NESTING = 64,     /* of ( ) */
    GRAMMAR_REPEAT = 1 << 20, /* a count in { } */
    GRAMMAR_STACKS = 1 << 14, /* of one state */
    GRAMMAR_DEPTH = 1 << 10,  /* of one stack: how deep what is generated may nest */
};

struct grammar;         /* opaque; immutable */
struct grammar_vocab;   /* opaque; immutable: the vocabulary as a tree of bytes */
struct grammar_machine; /* opaque; of one thread */

MUST_USE enum code grammar_parse(struct str text, struct grammar **out, struct err *e);
void grammar_close(struct grammar *g); /* NULL allowed */
struct str grammar_text(const struct grammar *g);
/* The whole text follows the grammar; for tests and checks. */
bool grammar_matches(const struct grammar *g, struct str text);

MUST_USE enum code grammar_vocab_open(const struct tokenizer *t, struct grammar_vocab **out,
                                      struct err *e);
void grammar_vocab_close(struct grammar_vocab *v);

/* Copies g. */
MUST_USE enum code grammar_machine_open(const struct grammar *g, const struct grammar_vocab *v,
                                        struct grammar_machine **out, struct err *e);
void grammar_machine_close(struct grammar_machine *m);
const struct grammar *grammar_machine_grammar(const struct grammar_machine *m);
size_t grammar_machine_bytes(const struct grammar_machine *m);

/* States are numbers; they stay valid as long as the machine. */
MUST_USE enum code grammar_begin(struct grammar_machine *m, int32_t *state, struct err *e);
/* Bit per token of what may come next, borrowed until the machine's next call. INTERNAL when
 * nothing may come (a vocabulary that cannot spell the grammar). */
MUST_USE enum code grammar_mask(struct grammar_machine *m, int32_t state, const uint64_t **mask,
                                struct err *e);
/* Whether this token may come next; cheaper than a mask. */
bool grammar_allows(struct grammar_machine *m, int32_t state, int32_t token);
/* The state behind a token that was allowed (an end-of-generation token: the same state). */
MUST_USE enum code grammar_push(struct grammar_machine *m, int32_t *state, int32_t token,
                                struct err *e);
bool grammar_may_end(const struct grammar_machine *m, int32_t state);
bool grammar_must_end(const struct grammar_machine *m, int32_t state);
