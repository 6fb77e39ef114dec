/* SPDX-License-Identifier: Apache-2.0 */
/* A version once more, shown to clients otherwise (host/guise.h): the model's next version, of the
 * same files. Checked as any import is, so that one which would not load is not there. */
#pragma once

#include "store/store.h"

/* guise: as guise_write makes it. A version that has this guise already is *out itself. Blocks for
 * as long as an export and an import take. */
MUST_USE enum code again_add(struct store *s, struct str model, uint64_t version, struct str guise,
                             uint64_t *out, struct err *e);
