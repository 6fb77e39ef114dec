/* SPDX-License-Identifier: Apache-2.0 */
/* What trials found out about a version on this kind of processor: a fact of the store, scope
 * "kernels", key "MODEL@V FLAGS". Text: "1", then a line for each node that was tried, its name in
 * 16 hexadecimal digits and the number of its way. `slipway bench M --tune` writes it. */
#pragma once

#include "plan/choice.h"
#include "store/store.h"

/* Beside what is there about other nodes. choices are put in order. */
MUST_USE enum code tune_put(struct store *s, struct str model, uint64_t version,
                            struct choice *choices, size_t n, struct err *e);
/* In the order of nodes, in `a`. A record that is damaged, or that another program wrote, counts as
 * none. */
void tune_get(struct store *s, struct str model, uint64_t version, struct arena *a,
              const struct choice **out, size_t *n);
