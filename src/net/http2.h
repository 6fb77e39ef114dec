/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 on a connection (RFC 9113), by nghttp2: frames to exchanges, exchanges to frames. Every
 * stream is an exchange like one of HTTP/1.1; the floors above see the difference in
 * `http_exchange.duplex` only.
 *
 *   conn.c sniffs the preface, or TLS agreed on it -> http2_begin -> http2_receive, http2_fill as
 * the socket allows -> http2_over -> http2_end
 *
 * 1. No callback of nghttp2 closes the session: the connection closes later, from conn.c.
 * 2. What nghttp2 calls during http2_receive may answer exchanges; frames are made in http2_fill.
 * 3. Frames wait in conn.out, at most OUT_BYTES and one frame: a client that does not read stops
 * the making of frames, not only their sending.
 * 4. Floods (CVE-2023-44487, CVE-2019-9511 ff., CVE-2024-27316): resets, pings, settings, empty
 * frames and continuations are counted against progress; over the limit the connection is told
 * ENHANCE_YOUR_CALM and ends.
 * 5. A connection that rested for a while sleeps: its session's memory goes back to the system
 * until a byte comes (doze.h). While it sleeps there is no exchange and nothing to send. */
#pragma once

#include "net/conn.h"

extern const char http2_preface[25]; /* RFC 9113 §3.4; 24 bytes */
enum { HTTP2_PREFACE = 24 };

bool http2_begin(struct conn *c);   /* sets c->h2; false: out of memory */
void http2_end(struct http2 *h);    /* frees; never from inside of a callback */
void http2_receive(struct conn *c); /* eats c->in */
void http2_fill(struct conn *c);    /* frames into c->out, as far as there is room */
void http2_writable(struct conn *c);
void http2_drain(struct conn *c);      /* GOAWAY, by way of a notice; streams begun are answered */
void http2_idle(struct conn *c);       /* nobody asked for long: GOAWAY */
bool http2_over(const struct conn *c); /* no frame will come or go any more */
bool http2_sleeps(const struct conn *c);
bool http2_may_sleep(const struct conn *c); /* it would save something */
void http2_sleep(struct conn *c);           /* no exchange, nothing to send */
bool http2_receives(const struct conn *c);  /* a request is not complete */
bool http2_blocked(const struct conn *c);   /* answers wait for the client's window */
/* A window for bodies ended. 408 to the requests that are not complete: of a slow connection all,
 * else those of which nothing came since the window before. */
void http2_body_late(struct conn *c, bool slow);

void http2_answer(struct exchange *x, const struct http_response *r);
bool http2_stream_begin(struct exchange *x, const struct http_response *r);
enum http_window http2_stream_write(struct exchange *x, struct span bytes);
void http2_stream_end(struct exchange *x, const struct http_header *trailers, int n_trailers);
void http2_stream_cut(struct exchange *x);
void http2_body_took(struct exchange *x, size_t n);
