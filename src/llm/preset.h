/* SPDX-License-Identifier: Apache-2.0 */
/* How a model's maker says it should be sampled: generation_config.json of a folder, general.
 * sampling.* of a GGUF file. It stands in for what a request leaves out. */
#pragma once

#include "graph/model.h"
#include "llm/sample.h"

enum { PRESET_N = 7 };

struct preset {
    float values[PRESET_N];
    bool there[PRESET_N];
};

/* From the facts sample.*; INVALID when one is out of range. */
MUST_USE enum code preset_read(const struct model *m, struct preset *out, struct err *e);
/* Over what is in *o already. */
void preset_apply(const struct preset *p, struct sample_options *o);
/* The name of value i, as requests spell it: "temperature". */
const char *preset_name(int i);
