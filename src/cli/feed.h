/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs for a session: from files, or made up for measuring. */
#pragma once

#include "cli/command.h"
#include "plan/session.h"

/* One tensor per input, in order: shape from `shapes` ("x=1,3,224,224"), else the declared one with
 * free dims = batch (first) or 1; uniform values, others for another seed: floats in [0,1),
 * integers in [0,200), the type's range or the table they index, bools 0/1. */
MUST_USE enum code feed_random(const struct session *s, const struct option_list *shapes,
                               int64_t batch, uint64_t seed, struct arena *a, struct tensor *out,
                               struct err *e);

/* A run of made-up inputs failed: *e names an input whose shape was made up too, when there is one
 * and the model may have minded. Returns e->code. */
enum code feed_blame(const struct session *s, const struct option_list *shapes, struct err *e);

/* "NAME=FILE" items, or bare files by position: .npy, .json (nested numbers or text), .png/.jpg
 * (resized to the input's shape by the version's preprocessing), .txt (one string), "-" (npy or
 * JSON on standard input). Others: DT_NONE. */
struct recipe;
MUST_USE enum code feed_files(const struct session *s, const struct recipe *recipe,
                              char *const *items, int n, struct arena *a, struct tensor *out,
                              struct err *e);

/* The session's input of that name; INVALID lists the names there are. */
MUST_USE enum code feed_index(const struct session_io *io, size_t n, struct str name,
                              const char *what, size_t *out, struct err *e);
