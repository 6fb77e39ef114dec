/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways people write a model's inputs in JSON, by the signature of r->ask.live:
 *   rows     [row, row, ...]       one input: each row its value; several: each row an object
 * {name: value} columns  value or {name: value}  one input: its tensor; several: an object of
 * tensors Both fill r->ask.inputs. */
#pragma once

#include "serve/request.h"

MUST_USE enum code records_rows(struct request *r, struct json *j, struct err *e);
MUST_USE enum code records_columns(struct request *r, struct json *j, struct err *e);
/* The one input that must be given: the only one, or the only one without a default. NULL: there
 * are several. */
const struct live_io *records_sole(const struct live *l);
/* What to read the value at j as: an input of numbers may be sent as images, which are strings. */
enum dtype records_kind(const struct live_io *io, struct json j);
/* Room for the inputs in the arena; sets r->ask.inputs. */
MUST_USE enum code records_room(struct request *r, size_t n, struct err *e);
const char *records_names(const struct live_io *io, size_t n, char *text,
                          size_t room); /* "'a', 'b'" */
