/* SPDX-License-Identifier: Apache-2.0 */
/* What TorchServe's APIs share, inference and management, over HTTP and gRPC: how a version is
 * named, errors, and the form of a gRPC answer. */
#pragma once

#include "serve/protocol/protocol.h"

/* r->label as version or alias of r->ask: a number, "1.0" (the number before ".0"), or an alias. */
void torch_version(struct request *r);
/* NOT_FOUND in TorchServe's words. */
enum code torch_unknown(const struct request *r, struct err *e);
/* A body that was written becomes field 1 of the message that answers, when the call is gRPC. */
MUST_USE enum code torch_wrap(struct request *r, struct err *e);
/* {"code": 404, "type": "ModelNotFoundException", "message": "..."} */
void torch_error(const struct request *r, const struct err *e, struct json_out *w);
