/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen2 and 2.5: the common block with biases on q, k and v, which are recognised by being there.
 */
#include "llm/arch.h"

static enum code plan(const struct llm_facts *f, struct blueprint *b, struct err *e) {
    (void)f, (void)b, (void)e;
    return OK;
}

const struct arch arch_qwen2 = {.name = "qwen2", .plan = plan};
