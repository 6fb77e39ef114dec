/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of a language model in the making: what gguf.c and huggingface.c translate their words
 * into. llm/facts.h is the vocabulary. */
#pragma once

#include "graph/model.h"

struct fact_list {
    struct arena *arena;
    struct attr *attrs; /* in the arena */
    int n, room;
    bool full; /* sticks; fact_list_end reports it */
};

void fact_list_begin(struct fact_list *l, struct arena *a);
/* Names are literals; lists and text are borrowed and must outlive the model. */
void fact_int(struct fact_list *l, const char *name, int64_t v);
void fact_float(struct fact_list *l, const char *name, double v);
void fact_str(struct fact_list *l, const char *name, struct str v);
void fact_ints(struct fact_list *l, const char *name, const int64_t *v, size_t n);
void fact_floats(struct fact_list *l, const char *name, const float *v, size_t n);
void fact_strs(struct fact_list *l, const char *name, const struct str *v, size_t n);
void fact_add(struct fact_list *l, struct attr a); /* a of any kind, with its name */
bool fact_list_has(const struct fact_list *l, const char *name);
/* Becomes the model's. */
MUST_USE enum code fact_list_end(struct fact_list *l, struct model *m, struct err *e);
