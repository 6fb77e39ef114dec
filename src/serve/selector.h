/* SPDX-License-Identifier: Apache-2.0 */
/* Which model a request without a path of its own means, for protocols that name one loosely. */
#pragma once

#include "serve/request.h"

/* "ocr@3", "ocr@prod" in r->ask.model: the version or alias after '@' goes where it belongs. */
MUST_USE enum code selector_split(struct request *r, struct err *e);
/* r->ask.model when exactly one model is served; `how` ends the error that lists them otherwise:
 * "POST /predict/MODEL". */
MUST_USE enum code selector_sole(struct request *r, const char *how, struct err *e);
