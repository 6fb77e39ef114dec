/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: see auth.h. */
#include "serve/auth.h"

#include "base/file.h"
#include "base/mem.h"

enum { KEY_FILE_BYTES = 1 << 20 };

static struct str next_line(struct str *rest) {
    size_t end;
    struct str line = *rest;
    if (str_find(*rest, '\n', &end)) {
        line.n = end;
        *rest = str_sub(*rest, end + 1, rest->n);
    } else {
        *rest = (struct str){NULL, 0};
    }
    while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
        line.n--;
    return line;
}

static enum code add_key(struct auth *a, struct str key, const char *file, struct err *e) {
    if (a->n == AUTH_KEYS)
        return fail(e, LIMIT, "key file '%s': more than %d keys", file, AUTH_KEYS);
    void *grown = mem_realloc(a->digests, (a->n + 1) * sizeof *a->digests);
    if (!grown)
        return fail(e, NOMEM, "key file '%s': out of memory", file);
    a->digests = grown;
    TRY(sha256_of((struct span){(const uint8_t *)key.p, key.n}, a->digests[a->n], e));
    a->n++;
    return OK;
}

static enum code add_keys(struct auth *a, struct span text, const char *file, struct err *e) {
    struct str rest = {(const char *)text.p, text.n};
    while (rest.n) {
        struct str line = next_line(&rest);
        if (line.n && line.p[0] != '#')
            TRY(add_key(a, line, file, e));
    }
    if (a->n == 0)
        return fail(e, INVALID, "key file '%s' holds no key: write one a line", file);
    return OK;
}

enum code auth_open(struct auth *a, const char *file, struct err *e) {
    *a = (struct auth){.wanted = file != NULL};
    if (!file)
        return OK;
    struct arena arena;
    struct span text;
    arena_init(&arena, 2 * KEY_FILE_BYTES);
    enum code code = file_read(file, KEY_FILE_BYTES, &arena, &text, e);
    if (code == OK)
        code = add_keys(a, text, file, e);
    arena_deinit(&arena);
    if (code != OK)
        auth_close(a);
    return code;
}

void auth_close(struct auth *a) {
    mem_free(a->digests);
    *a = (struct auth){0};
}

/* No early end: the time does not tell how much of a guess was right. */
static bool same(const uint8_t *a, const uint8_t *b) {
    unsigned difference = 0;
    for (int i = 0; i < SHA256_BYTES; i++)
        difference |= (unsigned)(a[i] ^ b[i]);
    return difference == 0;
}

enum code auth_check(const struct auth *a, const struct http_request *r, struct err *e) {
    if (!a->wanted)
        return OK;
    struct str value = http_header_get(r, "authorization");
    if (value.n < 8 || !str_eq_nocase(str_sub(value, 0, 7), LIT("Bearer ")))
        return fail(e, UNAUTHENTICATED,
                    "this server asks for a key: send 'Authorization: Bearer KEY'");
    uint8_t digest[SHA256_BYTES];
    struct str key = str_sub(value, 7, value.n);
    TRY(sha256_of((struct span){(const uint8_t *)key.p, key.n}, digest, e));
    bool found = false;
    for (size_t i = 0; i < a->n; i++)
        found |= same(digest, a->digests[i]);
    return found ? OK : fail(e, DENIED, "the key is not one this server knows");
}
