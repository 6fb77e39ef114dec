/* SPDX-License-Identifier: Apache-2.0 */
/* Phi-3: q, k, v in one matrix, gate and up in another; both are recognised by their shapes.
 * Positions beyond the original context turn by other factors (longrope: arch.c). */
#include "llm/arch.h"

static enum code plan(const struct llm_facts *f, struct blueprint *b, struct err *e) {
    (void)f, (void)e;
    b->window = 0; /* in the files, but wider than what the model was trained to need */
    return OK;
}

const struct arch arch_phi3 = {.name = "phi3", .plan = plan};
