/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of versions and models as JSON members, alike in every command. */
#pragma once

#include "base/json.h"
#include "plan/session.h"
#include "store/store.h"

/* "model", "version", "digest", "format", "origin", "parent", "created", "size_bytes", "own_bytes",
 * "aliases" */
void facts_put_version(struct json_out *w, const struct store_info *i);
/* [{"name","dtype","shape"}], -1 for a free dim; "dims" with names where the file has them */
void facts_put_io(struct json_out *w, const struct session_io *io, size_t n);

/* "metadata": the file's own remarks */
void facts_put_meta(struct json_out *w, const struct model *m);
/* For people: "ocr@2  (prod)", then size to parent, then metadata; each line after a title of 12.
 */
void facts_print_name(const struct store_info *i);
void facts_print_version(struct arena *a, const struct store_info *i);
void facts_print_meta(const struct model *m);

/* MODEL, MODEL@N or MODEL@ALIAS to a version of the store; without a selector the alias prod, then
 * the newest. */
MUST_USE enum code facts_resolve(struct store *s, const char *text, struct arena *a,
                                 struct store_info *out, struct err *e);
