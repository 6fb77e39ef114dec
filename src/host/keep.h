/* SPDX-License-Identifier: Apache-2.0 */
/* A keeper (graph/keeper.h) over the store, for one open version: packed forms of its pieces. */
#pragma once

#include "graph/keeper.h"
#include "graph/model.h"
#include "plan/session.h"
#include "store/store.h"

struct keep;
/* The store and the version outlive it. */
MUST_USE enum code keep_open(struct store *s, struct store_version *v, struct keep **out,
                             struct err *e);
struct keeper *keep_face(struct keep *k);
/* Keeps what is missing of packed weights, on a thread of its own: the next start will map them.
 * Of a session, which then outlives keep_stop, or (s is NULL) of the language model m, which
 * outlives k. */
void keep_begin(struct keep *k, const struct model *m, struct session *s);
/* The same here and now. */
MUST_USE enum code keep_all(struct keep *k, const struct model *m, struct session *s,
                            struct err *e);
void keep_stop(struct keep *k);  /* the thread ends with the tensor it is at; NULL allowed */
void keep_close(struct keep *k); /* and what was found is given back; NULL allowed */
