/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.2 and 1.3 by OpenSSL, on bytes: knows no socket. A `tls` is what listeners share
 * (certificate, key, whose clients are trusted), a `tls_conn` is one connection's state.
 *
 *   bytes of the client -> tls_feed -> tls_read -> plain      plain -> tls_write -> tls_take ->
 * bytes for the client
 *
 * 1. tls_reload may be called from any thread, at any time: connections that exist keep what they
 * began with, those that begin later get the new files; when these are bad, the old ones stay.
 * 2. ALPN offers h2, then http/1.1. No renegotiation, no compression. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

struct tls;      /* opaque */
struct tls_conn; /* opaque */

/* PEM files: the certificate with its chain, its key; the CAs of clients, NULL: clients need none.
 */
MUST_USE enum code tls_open(const char *cert, const char *key, const char *client_ca,
                            struct tls **out, struct err *e);
MUST_USE enum code tls_reload(struct tls *t, struct err *e);
bool tls_changed(struct tls *t); /* a file is not the one that was read */
void tls_close(struct tls *t);   /* NULL allowed; connections may outlive it */

struct tls_conn *tls_begin(struct tls *t); /* NULL: out of memory */
void tls_end(struct tls_conn *c);          /* NULL allowed */
bool tls_ready(const struct tls_conn *c);  /* the handshake is over */
bool tls_is_h2(const struct tls_conn *c);  /* ALPN agreed on it */
bool tls_feed(struct tls_conn *c, struct span bytes);
enum tls_event { TLS_MORE, TLS_DATA, TLS_ENDED, TLS_FAILED };
/* DATA: *n bytes are in `to`. ENDED: the client has closed its side. */
enum tls_event tls_read(struct tls_conn *c, uint8_t *to, size_t room, size_t *n);
bool tls_write(struct tls_conn *c, const void *bytes, size_t n);
void tls_goodbye(struct tls_conn *c);               /* close_notify */
void tls_take(struct tls_conn *c, struct buf *out); /* appends what is to be sent */
