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
/* The same for either kind: a session, or (language models) what lo says. draft: MODEL[@VERSION|
 * @ALIAS] that guesses what a language model will say; .n == 0: none. Answers are the same without:
 * one that is not there or does not fit (language_draft_fits) is left out, and the log says why. */
MUST_USE enum code loaded_open_any(struct store *s, struct str model, uint64_t version,
                                   const struct session_options *o,
                                   const struct language_options *lo, struct str draft,
                                   struct loaded *out, struct err *e);
/* The model without a session: for facts. loaded_close ends both. */
MUST_USE enum code loaded_open_model(struct store *s, struct str model, uint64_t version,
                                     struct loaded *out, struct err *e);
/* A session's weights that had to be packed are kept for the next start: now, or by a thread of
 * their own. After a run: only that packs. */
void loaded_keep(struct loaded *l, bool now);
void loaded_close(struct loaded *l); /* idempotent */
