/* SPDX-License-Identifier: Apache-2.0 */
/* The short form of a recipe, as flags of `slipway add`:
 *
 *   input    [NAME=]image[:WxH][,word]... | text[:N],    output    [NAME=]classes[:K] |
 * boxes[:form] | text, then
 *            [,word]...
 *
 * and the names of the classes from a file, one a line or JSON (recipe.h). */
#pragma once

#include "base/arena.h"

struct spec {
    struct str input, output; /* .n == 0: not given */
    struct span labels;       /* a file's bytes */
};

/* The recipe as JSON, in the arena; it was read back by recipe_read. */
MUST_USE enum code spec_write(const struct spec *s, struct arena *a, struct span *out,
                              struct err *e);
