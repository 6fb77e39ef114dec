/* SPDX-License-Identifier: Apache-2.0 */
/* Tables as inputs: named columns of equal length, by the signature of r->ask.live.
 *
 * 1. Columns named like the model's inputs: each becomes that input, [rows] or [rows,1] as the
 * signature asks.
 * 2. Otherwise the model's one input of rank 2 takes the table: [rows, columns], in the order of
 * the columns.
 *
 * The forms are those of pandas' to_dict: "split" and "records"; and CSV (RFC 4180). */
#pragma once

#include "serve/request.h"

/* {"columns": [...], "index": [...], "data": [[...], ...]} */
MUST_USE enum code frame_split(struct request *r, struct json *j, struct err *e);
/* [{"a": 1, "b": 2}, ...]; all rows have the columns of the first. */
MUST_USE enum code frame_records(struct request *r, struct json *j, struct err *e);
/* headed: the first line names the columns; otherwise it does when one of its cells is no number.
 */
MUST_USE enum code frame_csv(struct request *r, struct str text, bool headed, struct err *e);
