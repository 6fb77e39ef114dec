/* SPDX-License-Identifier: Apache-2.0 */
/* Element types as the Open Inference Protocol writes them: "FP32", "BYTES". Shared by oip.c,
 * repository.c, openapi.c. */
#pragma once

#include "host/host.h"

const char *datatype_name(enum dtype t); /* "FP32"; "" for types the protocol has no name for */
bool datatype_from(struct str name, enum dtype *out);
int datatype_number(enum dtype t); /* of model_config.proto's DataType; 0: none */
const char *datatype_config(
    enum dtype t); /* as Triton's model configuration: "TYPE_FP32", "TYPE_STRING" */
