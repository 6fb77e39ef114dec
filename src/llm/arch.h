/* SPDX-License-Identifier: Apache-2.0 */
/* Architectures of language models: each is a file that turns a model's facts into the blueprint of
 * its forward pass. list.h names them. */
#pragma once

#include "llm/llm_facts.h"
#include "llm/weights.h"

struct arch {
    const char *name; /* the fact "arch" */
    /* Called with the common part already set from the facts; sets what is special. */
    enum code (*plan)(const struct llm_facts *f, struct blueprint *b, struct err *e);
};

/* The blueprint of a model. UNSUPPORTED names an architecture that has no file here. */
MUST_USE enum code arch_plan(const struct llm_facts *f, struct blueprint *out, struct err *e);
/* What needs the tensors too: scaled rotary positions, for sessions of b->context positions.
 * Vectors live in the arena. */
MUST_USE enum code arch_finish(const struct llm_facts *f, const struct weights *w, struct arena *a,
                               struct blueprint *b, struct err *e);

#define ARCH(name) extern const struct arch arch_##name;
#include "llm/list.h"
#undef ARCH
