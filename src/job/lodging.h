/* SPDX-License-Identifier: Apache-2.0 */
/* A folder within the store's for files that live as long as one call: an import reads files, also
 * what came as bytes. */
#pragma once

#include "store/store.h"

enum { LODGING_BYTES = 4096 };

struct lodging {
    char folder[LODGING_BYTES], path[LODGING_BYTES + 256];
};

MUST_USE enum code lodging_open(struct store *s, struct lodging *l, struct err *e);
/* l->path: of a file called as the last part of `name` is, "model" when that is nothing. */
void lodging_place(struct lodging *l, struct str name);
/* Removes it with all that is in it. Of a failure's message (code, *e) its name, which is ours and
 * says nothing to whoever sent the bytes. */
void lodging_close(const struct lodging *l, enum code code, struct err *e);
