/* SPDX-License-Identifier: Apache-2.0 */
/* TLS: see tls.h. */
#include "net/tls.h"

#include "base/late.h"
#include "base/mem.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/stat.h>

/* clang-format off */
#define FUNCTIONS(X) \
    X(BIO_ctrl) X(BIO_free) X(BIO_new) X(BIO_read) X(BIO_s_mem) X(BIO_write) X(ERR_clear_error) \
    X(ERR_error_string_n) X(ERR_peek_last_error) X(SSL_CTX_check_private_key) X(SSL_CTX_ctrl) \
    X(SSL_CTX_free) X(SSL_CTX_load_verify_file) X(SSL_CTX_new) X(SSL_CTX_set_alpn_select_cb) \
    X(SSL_CTX_set_cipher_list) X(SSL_CTX_set_client_CA_list) X(SSL_CTX_set_options) \
    X(SSL_CTX_set_session_id_context) X(SSL_CTX_set_verify) X(SSL_CTX_use_PrivateKey_file) \
    X(SSL_CTX_use_certificate_chain_file) X(SSL_free) X(SSL_get0_alpn_selected) X(SSL_get_error) \
    X(SSL_is_init_finished) X(SSL_load_client_CA_file) X(SSL_new) X(SSL_read_ex) \
    X(SSL_select_next_proto) X(SSL_set_accept_state) X(SSL_set_bio) X(SSL_shutdown) \
    X(SSL_write_ex) X(TLS_server_method)
/* clang-format on */

#define QUOTE(number) #number
#define FILE_OF(major) "libssl.so." QUOTE(major)

/* Opened by the first tls_open (decision 0012); it brings libcrypto, where the functions of BIO and
 * ERR are found. */
static struct { FUNCTIONS(LATE_FIELD) } lib;
static struct late openssl = LATE(FILE_OF(OPENSSL_VERSION_MAJOR), FUNCTIONS);

enum { FILES = 3 };

struct tls {
    pthread_mutex_t lock; /* guards ctx and stamps */
    SSL_CTX *ctx;         /* a reference */
    char *files[FILES];   /* owned; certificate, key, client CA or NULL */
    struct timespec stamps[FILES];
};

struct tls_conn {
    SSL *ssl;
    BIO *in, *out; /* the ssl's */
};

static enum code fail_ssl(struct err *e, const char *what, const char *file) {
    char text[160] = "no reason given";
    unsigned long code = lib.ERR_peek_last_error();
    if (code)
        lib.ERR_error_string_n(code, text, sizeof text);
    lib.ERR_clear_error();
    return fail(e, INVALID, "TLS: %s '%s': %s", what, file, text);
}

/* RFC 7301: the first of ours that the client has. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *n,
                           const unsigned char *in, unsigned int n_in, void *arg) {
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    (void)ssl;
    (void)arg;
    int rc = lib.SSL_select_next_proto((unsigned char **)(uintptr_t)out, n, ours, sizeof ours - 1,
                                       in, n_in);
    return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static enum code load_files(SSL_CTX *ctx, char *const files[FILES], struct err *e) {
    if (lib.SSL_CTX_use_certificate_chain_file(ctx, files[0]) != 1)
        return fail_ssl(e, "cannot read the certificate", files[0]);
    if (lib.SSL_CTX_use_PrivateKey_file(ctx, files[1], SSL_FILETYPE_PEM) != 1)
        return fail_ssl(e, "cannot read the key", files[1]);
    if (lib.SSL_CTX_check_private_key(ctx) != 1)
        return fail_ssl(e, "the certificate is not that of the key", files[1]);
    if (!files[2])
        return OK;
    STACK_OF(X509_NAME) *names = lib.SSL_load_client_CA_file(files[2]);
    if (!names || lib.SSL_CTX_load_verify_file(ctx, files[2]) != 1)
        return fail_ssl(e, "cannot read the client CAs", files[2]);
    lib.SSL_CTX_set_client_CA_list(ctx, names);
    lib.SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return OK;
}

static enum code new_ctx(char *const files[FILES], SSL_CTX **out, struct err *e) {
    static const unsigned char session[] = "slipway";
    SSL_CTX *ctx = lib.SSL_CTX_new(lib.TLS_server_method());
    if (!ctx)
        return fail(e, NOMEM, "TLS: out of memory");
    lib.SSL_CTX_ctrl(ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    lib.SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    lib.SSL_CTX_ctrl(ctx, SSL_CTRL_MODE,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                         SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
                     NULL);
    /* RFC 9113 §9.2.2 forbids the others in TLS 1.2 */
    lib.SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    lib.SSL_CTX_set_session_id_context(ctx, session, sizeof session - 1);
    lib.SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    enum code code = load_files(ctx, files, e);
    if (code != OK)
        lib.SSL_CTX_free(ctx);
    else
        *out = ctx;
    return code;
}

static void read_stamps(const struct tls *t, struct timespec stamps[FILES]) {
    for (int i = 0; i < FILES; i++) {
        struct stat s;
        stamps[i] = (struct timespec){0};
        if (t->files[i] && stat(t->files[i], &s) == 0)
            stamps[i] = s.st_mtim;
    }
}

enum code tls_reload(struct tls *t, struct err *e) {
    struct timespec stamps[FILES];
    SSL_CTX *ctx = NULL, *old;
    read_stamps(t, stamps);
    enum code code = new_ctx(t->files, &ctx, e);
    pthread_mutex_lock(&t->lock);
    memcpy(t->stamps, stamps, sizeof stamps); /* bad files are not tried again and again */
    old = ctx ? t->ctx : NULL;
    t->ctx = ctx ? ctx : t->ctx;
    pthread_mutex_unlock(&t->lock);
    lib.SSL_CTX_free(old);
    return code;
}

bool tls_changed(struct tls *t) {
    struct timespec stamps[FILES];
    read_stamps(t, stamps);
    pthread_mutex_lock(&t->lock);
    bool changed = false;
    for (int i = 0; i < FILES; i++)
        changed |=
            stamps[i].tv_sec != t->stamps[i].tv_sec || stamps[i].tv_nsec != t->stamps[i].tv_nsec;
    pthread_mutex_unlock(&t->lock);
    return changed;
}

enum code tls_open(const char *cert, const char *key, const char *client_ca, struct tls **out,
                   struct err *e) {
    const char *files[FILES] = {cert, key, client_ca};
    TRY(late_want(&openssl, "TLS", e));
    struct tls *t = mem_zalloc(1, sizeof *t);
    if (!t)
        return fail(e, NOMEM, "TLS: out of memory");
    pthread_mutex_init(&t->lock, NULL);
    enum code code = OK;
    for (int i = 0; i < FILES && code == OK; i++)
        if (files[i] && !(t->files[i] = mem_strdup(files[i])))
            code = fail(e, NOMEM, "TLS: out of memory");
    if (code == OK)
        code = tls_reload(t, e);
    if (code == OK)
        *out = t;
    else
        tls_close(t);
    return code;
}

void tls_close(struct tls *t) {
    if (!t)
        return;
    lib.SSL_CTX_free(t->ctx);
    for (int i = 0; i < FILES; i++)
        mem_free(t->files[i]);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

/* --- a connection --- */

struct tls_conn *tls_begin(struct tls *t) {
    struct tls_conn *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return NULL;
    pthread_mutex_lock(&t->lock);
    c->ssl = lib.SSL_new(t->ctx); /* takes a reference */
    pthread_mutex_unlock(&t->lock);
    c->in = lib.BIO_new(lib.BIO_s_mem());
    c->out = lib.BIO_new(lib.BIO_s_mem());
    if (!c->ssl || !c->in || !c->out) {
        lib.BIO_free(c->in);
        lib.BIO_free(c->out);
        lib.SSL_free(c->ssl);
        mem_free(c);
        lib.ERR_clear_error();
        return NULL;
    }
    lib.BIO_ctrl(c->in, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, NULL);
    lib.SSL_set_bio(c->ssl, c->in, c->out);
    lib.SSL_set_accept_state(c->ssl);
    return c;
}

void tls_end(struct tls_conn *c) {
    if (!c)
        return;
    lib.SSL_free(c->ssl); /* and its BIOs */
    mem_free(c);
}

bool tls_ready(const struct tls_conn *c) { return lib.SSL_is_init_finished(c->ssl) == 1; }

bool tls_is_h2(const struct tls_conn *c) {
    const unsigned char *name;
    unsigned n;
    lib.SSL_get0_alpn_selected(c->ssl, &name, &n);
    return n == 2 && memcmp(name, "h2", 2) == 0;
}

bool tls_feed(struct tls_conn *c, struct span bytes) {
    return lib.BIO_write(c->in, bytes.p, (int)bytes.n) == (int)bytes.n;
}

enum tls_event tls_read(struct tls_conn *c, uint8_t *to, size_t room, size_t *n) {
    lib.ERR_clear_error();
    if (lib.SSL_read_ex(c->ssl, to, room, n) == 1)
        return TLS_DATA;
    int why = lib.SSL_get_error(c->ssl, 0);
    lib.ERR_clear_error();
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return TLS_MORE;
    return why == SSL_ERROR_ZERO_RETURN ? TLS_ENDED : TLS_FAILED;
}

bool tls_write(struct tls_conn *c, const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    for (size_t done; n; p += done, n -= done)
        if (lib.SSL_write_ex(c->ssl, p, n, &done) != 1) { /* a memory BIO is never full */
            lib.ERR_clear_error();
            return false;
        }
    return true;
}

void tls_goodbye(struct tls_conn *c) {
    if (tls_ready(c))
        (void)lib.SSL_shutdown(c->ssl);
    lib.ERR_clear_error();
}

void tls_take(struct tls_conn *c, struct buf *out) {
    int n = (int)lib.BIO_ctrl(c->out, BIO_CTRL_PENDING, 0, NULL);
    char *to = n > 0 ? buf_extend(out, (size_t)n) : NULL;
    if (to)
        (void)lib.BIO_read(c->out, to, n);
}
