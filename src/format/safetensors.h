/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors: the header of one file, as values of a graph. */
#pragma once

#include "base/map.h"
#include "format/format.h"

/* Our name of a tensor: in `text`, or the same; .n == 0: it is left out. */
typedef struct str safetensors_name_fn(void *ctx, struct str name, char text[160]);

struct safetensors_input {
    struct span bytes;
    int file; /* its index in the model's files */
    safetensors_name_fn *rename;
    void *ctx;
};

bool safetensors_sniff(struct span head, uint64_t size);
/* Adds the tensors of the file to g as constants; `names` holds our names so far: none comes twice,
 * within a file or between them. */
MUST_USE enum code safetensors_read(const struct safetensors_input *in, struct graph *g,
                                    struct map *names, struct err *e);
