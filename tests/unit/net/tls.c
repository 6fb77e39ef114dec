/* SPDX-License-Identifier: Apache-2.0 */
/* TLS on bytes: OpenSSL's own client at the other end, of whose bytes some go one by one; client
 * certificates; files that change while connections go on. Certificates are made here. */
#include "net/tls.c"

#include "../base/check.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <unistd.h>

enum { LARGE = 100000 }; /* several records */

static char folder[64], cert[96], key[96], ca[96];
static struct err e;

/* A certificate that signs itself: NAME.pem and NAME.key below the folder. */
static void make(const char *name, const char *common) {
    char path[96];
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, pair);
    X509_NAME *subject = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)common, -1, -1,
                               0);
    X509_set_issuer_name(x, subject);
    assert_true(X509_sign(x, pair, EVP_sha256()) > 0);
    snprintf(path, sizeof path, "%s/%s.pem", folder, name);
    BIO *out = BIO_new_file(path, "w");
    assert_int_equal(PEM_write_bio_X509(out, x), 1);
    BIO_free(out);
    snprintf(path, sizeof path, "%s/%s.key", folder, name);
    out = BIO_new_file(path, "w");
    assert_int_equal(PEM_write_bio_PrivateKey(out, pair, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free(out);
    X509_free(x);
    EVP_PKEY_free(pair);
}

static int begin(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/slipway-tls-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    make("server", "first");
    make("client", "a client");
    snprintf(cert, sizeof cert, "%s/server.pem", folder);
    snprintf(key, sizeof key, "%s/server.key", folder);
    snprintf(ca, sizeof ca, "%s/client.pem", folder);
    return 0;
}

static int end(void **state) {
    char command[96];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* --- the other end --- */

struct peer {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
    struct tls_conn *conn;
    struct buf wire;
    uint8_t got[2 * LARGE]; /* by the server */
    size_t n_got;
    enum tls_event last;
};

static void meet(struct peer *p, struct tls *t, const char *alpn, bool with_certificate) {
    char path[96];
    *p = (struct peer){.ctx = SSL_CTX_new(TLS_client_method()), .conn = tls_begin(t)};
    buf_init(&p->wire, 1 << 20);
    if (with_certificate) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(p->ctx, ca), 1);
        snprintf(path, sizeof path, "%s/client.key", folder);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(p->ctx, path, SSL_FILETYPE_PEM), 1);
    }
    p->ssl = SSL_new(p->ctx);
    p->in = BIO_new(BIO_s_mem());
    p->out = BIO_new(BIO_s_mem());
    SSL_set_bio(p->ssl, p->in, p->out);
    SSL_set_connect_state(p->ssl);
    if (alpn)
        SSL_set_alpn_protos(p->ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
}

static void part(struct peer *p) {
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    tls_end(p->conn);
    buf_deinit(&p->wire);
}

/* What the client has to say, `step` bytes at a time; then what the server answers. */
static void carry(struct peer *p, size_t step) {
    uint8_t bytes[4096];
    size_t n;
    for (int got; (got = BIO_read(p->out, bytes, step < sizeof bytes ? (int)step : 4096)) > 0;) {
        assert_true(tls_feed(p->conn, (struct span){bytes, (size_t)got}));
        while ((p->last = tls_read(p->conn, p->got + p->n_got, sizeof p->got - p->n_got, &n)) ==
               TLS_DATA)
            p->n_got += n;
    }
    buf_clear(&p->wire);
    tls_take(p->conn, &p->wire);
    if (p->wire.n)
        assert_int_equal(BIO_write(p->in, p->wire.p, (int)p->wire.n), (int)p->wire.n);
}

static bool shake(struct peer *p, size_t step) {
    for (int i = 0; i < 10 && p->last != TLS_FAILED; i++) {
        int rc = SSL_do_handshake(p->ssl);
        carry(p, step);
        if (rc == 1 && tls_ready(p->conn))
            return true;
    }
    return false;
}

static const char *name_of(struct peer *p, char text[64]) {
    X509 *x = SSL_get1_peer_certificate(p->ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, text, 64);
    X509_free(x);
    return text;
}

/* --- tests --- */

static void both_ways(void **state) {
    static uint8_t large[LARGE], back[LARGE];
    struct tls *t;
    struct peer p;
    (void)state;
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 7);
    assert_ok(tls_open(cert, key, NULL, &t, &e));
    for (size_t step = 1; step <= 4096; step *= 64) {
        meet(&p, t, NULL, false);
        assert_true(!tls_ready(p.conn) && shake(&p, step));
        assert_int_equal(SSL_write(p.ssl, large, sizeof large), sizeof large);
        carry(&p, step);
        assert_true(p.n_got == sizeof large && memcmp(p.got, large, sizeof large) == 0);
        assert_int_equal(p.last, TLS_MORE);
        assert_true(tls_write(p.conn, large, sizeof large));
        carry(&p, step);
        for (size_t n = 0, got; n < sizeof back; n += got)
            assert_int_equal(SSL_read_ex(p.ssl, back + n, sizeof back - n, &got), 1);
        assert_memory_equal(back, large, sizeof back);
        part(&p);
    }
    tls_close(t);
}

static void which_protocol(void **state) {
    static const struct {
        const char *offered;
        bool h2;
    } cases[] = {{"\x02h2\x08http/1.1", true},
                 {"\x08http/1.1\x02h2", true},
                 {"\x08http/1.1", false},
                 {"\x04spdy", false},
                 {NULL, false}};
    struct tls *t;
    struct peer p;
    (void)state;
    assert_ok(tls_open(cert, key, NULL, &t, &e));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        meet(&p, t, cases[i].offered, false);
        assert_true(shake(&p, 4096));
        assert_true(tls_is_h2(p.conn) == cases[i].h2);
        part(&p);
    }
    tls_close(t);
}

static void how_it_ends(void **state) {
    struct tls *t;
    struct peer p;
    char byte;
    size_t n;
    (void)state;
    assert_ok(tls_open(cert, key, NULL, &t, &e));
    meet(&p, t, NULL, false);
    assert_true(shake(&p, 4096));
    tls_goodbye(p.conn);
    carry(&p, 4096);
    assert_int_equal(SSL_read_ex(p.ssl, &byte, 1, &n), 0);
    assert_int_equal(SSL_get_error(p.ssl, 0), SSL_ERROR_ZERO_RETURN);
    SSL_shutdown(p.ssl);
    carry(&p, 4096);
    assert_int_equal(p.last, TLS_ENDED);
    part(&p);
    meet(&p, t, NULL, false);
    assert_true(tls_feed(p.conn, (struct span){(const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18}));
    assert_int_equal(tls_read(p.conn, p.got, 1, &n), TLS_FAILED);
    part(&p);
    meet(&p, t, NULL, false); /* 1.1 was enough once */
    SSL_set_max_proto_version(p.ssl, TLS1_1_VERSION);
    assert_false(shake(&p, 4096));
    part(&p);
    tls_close(t);
}

static void clients_with_certificates(void **state) {
    struct tls *t;
    struct peer p;
    (void)state;
    assert_ok(tls_open(cert, key, ca, &t, &e));
    meet(&p, t, NULL, true);
    assert_true(shake(&p, 4096));
    part(&p);
    meet(&p, t, NULL, false);
    (void)shake(&p, 4096);
    assert_true(p.last == TLS_FAILED && !tls_ready(p.conn));
    part(&p);
    make("client", "another"); /* of a CA that the server does not know */
    meet(&p, t, NULL, true);
    (void)shake(&p, 4096);
    assert_int_equal(p.last, TLS_FAILED);
    part(&p);
    tls_close(t);
}

static void new_files(void **state) {
    char text[64];
    struct tls *t;
    struct peer before, after;
    (void)state;
    assert_ok(tls_open(cert, key, NULL, &t, &e));
    assert_false(tls_changed(t));
    meet(&before, t, NULL, false);
    usleep(20000); /* a clock's step, for the files' times */
    make("server", "second");
    assert_true(tls_changed(t));
    assert_ok(tls_reload(t, &e));
    assert_false(tls_changed(t));
    assert_true(shake(&before, 4096)); /* with what it began with */
    assert_string_equal(name_of(&before, text), "first");
    meet(&after, t, NULL, false);
    assert_true(shake(&after, 4096));
    assert_string_equal(name_of(&after, text), "second");
    part(&after);
    BIO *out = BIO_new_file(key, "w");
    BIO_puts(out, "no key\n");
    BIO_free(out);
    assert_fails(tls_reload(t, &e), INVALID, "cannot read the key");
    meet(&after, t, NULL, false); /* the ones before stay */
    assert_true(shake(&after, 4096));
    tls_close(t); /* connections outlive it */
    assert_true(tls_write(after.conn, "x", 1));
    part(&after);
    part(&before);
}

static void bad_files(void **state) {
    struct tls *t;
    char other[96];
    (void)state;
    make("server", "again");
    assert_fails(tls_open("/nowhere.pem", key, NULL, &t, &e), INVALID, "'/nowhere.pem'");
    assert_fails(tls_open(key, key, NULL, &t, &e), INVALID, "certificate");
    snprintf(other, sizeof other, "%s/client.key", folder);
    assert_fails(tls_open(cert, other, NULL, &t, &e), INVALID, other);
    assert_fails(tls_open(cert, key, key, &t, &e), INVALID, "client CAs");
    tls_close(NULL);
    tls_end(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),   cmocka_unit_test(which_protocol),
        cmocka_unit_test(how_it_ends), cmocka_unit_test(clients_with_certificates),
        cmocka_unit_test(new_files),   cmocka_unit_test(bad_files),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
