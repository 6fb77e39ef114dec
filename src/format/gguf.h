/* SPDX-License-Identifier: Apache-2.0 */
/* Between the two halves of the GGUF reader: gguf.c knows the bytes, gguf_facts.c the words. */
#pragma once

#include "format/format.h"

struct gguf_pairs { /* metadata as the file has it: numbers as INT or FLOAT, text, lists of them */
    struct attr *pairs;
    size_t n;
};

/* NULL when absent. */
const struct attr *gguf_pair(const struct gguf_pairs *p, const char *key);

/* Metadata -> m->facts. UNSUPPORTED names an architecture or tokenizer this build does not run. */
MUST_USE enum code gguf_facts(const struct gguf_pairs *p, struct model *m, struct err *e);
