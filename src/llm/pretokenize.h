/* SPDX-License-Identifier: Apache-2.0 */
/* Text into the pieces that byte-level BPE merges within. Each family of models splits by a regular
 * expression of its own; here each is a matcher written by hand. */
#pragma once

#include "base/str.h"

enum pretoken_kind {
    PRETOKEN_NONE,
    PRETOKEN_GPT2,   /* GPT-2, Phi-2 and others */
    PRETOKEN_SMOLLM, /* digits one by one, then as GPT-2 */
    PRETOKEN_LLAMA3, /* digits by up to three */
    PRETOKEN_QWEN2,  /* as LLAMA3, digits one by one */
    PRETOKEN_GPT4O,  /* words by case, marks belong to letters */
    PRETOKEN_TEKKEN, /* as GPT4O without contractions, digits one by one */
};

/* By the name in tokenizer.ggml.pre; NONE: not known. */
enum pretoken_kind pretoken_find(struct str name);
/* Pieces that are whole words of the vocabulary are not merged but taken. */
bool pretoken_takes_words(struct str name);
/* Where the piece that begins at `at` ends; at < text.n, the answer is larger. Bytes that are not
 * UTF-8 count as characters without a category. */
size_t pretoken_next(enum pretoken_kind kind, struct str text, size_t at);
