/* SPDX-License-Identifier: Apache-2.0 */
/* A version of the store turned into a session: what a live wraps, and what the command line uses
 * directly. */
#pragma once

#include "host/keep.h"
#include "llm/language.h"
#include "plan/session.h"
#include "store/store.h"

struct loaded {
    struct store_version *version; /* reference held; the constants' bytes */
    struct arena arena;            /* the model */
    struct model *model;
    struct session *session;     /* of a graph */
    struct tokenizer *tokenizer; /* of a graph that is asked in text; NULL: numbers only */
    struct language *language;   /* of a language model */
    struct keep *keep;           /* its packed weights */
    struct loaded *draft;        /* (owned) the model that guesses for it, or NULL; no language */
    uint64_t load_ns;
};

/* Reads the "graph" part into *out (which must stay where it is until loaded_close; zeroed on
 * failure), points its constants into the mapped blobs, verifies, opens a session. o may be NULL.
 */
MUST_USE enum code loaded_open(struct store *s, struct str model, uint64_t version,
                               const struct session_options *o, struct loaded *out, struct err *e);
#define DRAFT_PART "draft" /* of a version: the text below */
/* Which model guesses what a language model will say: MODEL[@VERSION|@ALIAS], or "none". Answers
 * are the same without: one that is not there or does not fit (language_draft_fits) is left out,
 * and the log says why. */
struct loaded_draft {
    struct str first; /* whatever the version says; .n == 0: */
    struct str last;  /* where the version says nothing; not for versions of itself */
};
/* The name that counts for an open version; .n == 0: none. */
struct str loaded_draft_name(const struct loaded *l, const struct loaded_draft *d);

struct loaded_options {
    const struct session_options *session;   /* of graphs; NULL: zero */
    const struct language_options *language; /* NULL: language models are refused */
    struct loaded_draft draft;
};
/* Either kind of model. */
MUST_USE enum code loaded_open_any(struct store *s, struct str model, uint64_t version,
                                   const struct loaded_options *o, struct loaded *out,
                                   struct err *e);
/* The model without a session: for facts. loaded_close ends both. */
MUST_USE enum code loaded_open_model(struct store *s, struct str model, uint64_t version,
                                     struct loaded *out, struct err *e);
/* A session's weights that had to be packed are kept for the next start: now, or by a thread of
 * their own. After a run: only that packs. */
void loaded_keep(struct loaded *l, bool now);
void loaded_close(struct loaded *l); /* idempotent */
