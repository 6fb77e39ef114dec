/* SPDX-License-Identifier: Apache-2.0 */
/* CloudEvents 1.0 over HTTP, as KServe speaks them: a request that is an event is answered by one,
 * in the same mode.
 *
 *   binary      ce-id, ce-type, ...: headers; the body is the data
 *   structured  Content-Type: application/cloudevents+json; the body is an object that holds the
 *               attributes, and the data as JSON ("data") or in base64 ("data_base64")
 *
 * Batches are refused. What is carried is JSON. */
#pragma once

#include "serve/request.h"

/* At the beginning of a decode: r->body becomes the data of a structured event. */
MUST_USE enum code event_take(struct request *r, struct err *e);
/* At the end of an encode: the answer becomes an event where the request was one. */
MUST_USE enum code event_put(struct request *r, struct err *e);
