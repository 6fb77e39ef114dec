/* SPDX-License-Identifier: Apache-2.0 */
/* A request's body as inputs when no protocol says what it is: JSON in any of the usual forms,
 * .npy, JPEG, PNG, plain text, or a form with such files. */
#pragma once

#include "serve/request.h"

/* r->body into r->ask.inputs, by the signature of r->ask.live. */
MUST_USE enum code body_take(struct request *r, struct err *e);
/* One named part of it: a field of a form, an entry of a map. */
MUST_USE enum code body_part(struct request *r, struct str name, struct span bytes, struct err *e);
