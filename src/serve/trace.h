/* SPDX-License-Identifier: Apache-2.0 */
/* What a request says about itself in its headers beside its body: its W3C trace context, the key a
 * split of traffic sorts it by, its priority and deadline; and what CORS allows a browser. */
#pragma once

#include "serve/request.h"

enum { TRACE_PARENT = 55 };

/* A valid traceparent (W3C Trace Context §3.2): our own span of the same trace into r->trace, which
 * goes into the answer and the log; else r->trace.n == 0. */
void trace_begin(struct request *r, uint64_t span);
/* ask.sticky: the value of a header, a cookie, or a member of a JSON body (of its "parameters"
 * too). */
struct str trace_sticky(struct ask *a, enum sticky_kind kind, const char *name);
/* X-Priority and X-Timeout-Ms into r->ask. */
MUST_USE enum code trace_terms(struct request *r, struct err *e);
/* The same in the words of the Open Inference Protocol's parameters: microseconds from now, unless
 * the deadline is sooner; priority 1 goes first, 2 is normal, higher numbers go last, 0 is none. */
void trace_timeout(struct request *r, int64_t us);
void trace_level(struct request *r, int64_t level);
/* CORS (Fetch §3.2): headers of the answer when the request's Origin is allowed. */
void trace_cors(struct request *r);
