/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in pieces, from whatever thread makes them: server-sent events, tokens, streamed RPCs.
 *
 *   request_wait (on the loop, in a page) -> stream_begin -> stream_push* -> stream_end
 *
 * 1. Between request_wait and stream_end the request belongs to the producer, one thread at a time;
 * after stream_end it may be gone: the producer touches it no more.
 * 2. Before stream_begin the answer may still be an ordinary one or an error (request_resume).
 * 3. Pieces are copied, posted to the loop in order, and wait there for the client. FULL: they wait
 * because the client is slow; a producer that can pause does so until on_room, which may be called
 * before stream_push has returned. Beyond STREAM_MOST waiting bytes the client is given up: GONE.
 * 4. GONE (also when the client left, which sets ask.cancel): nobody reads on; stream_end still has
 * to be called. */
#pragma once

#include "serve/request.h"

enum { STREAM_WINDOW = 256 << 10, STREAM_MOST = 32 << 20 };
enum stream_state { STREAM_ROOM, STREAM_FULL, STREAM_GONE };

/* r->response: status, type and headers of the answer; its parts are not looked at. */
void stream_begin(struct request *r);
enum stream_state stream_push(struct request *r, struct span bytes);
void stream_end(struct request *r);
/* Instead of stream_end: the client shall see that the answer is not complete. */
void stream_cut(struct request *r);

void stream_note_room(struct request *r); /* for phase.c: net has room again */
