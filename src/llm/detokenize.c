/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens to text, one at a time. A token may end inside a character: its bytes wait until the
 * character is whole or can no longer become one. What is wrong comes out as U+FFFD, one for each
 * longest beginning of a character, as the Unicode standard recommends (§3.9). */
#include "llm/tokenizer_in.h"

#define REPLACEMENT "\xef\xbf\xbd"

enum verdict { WHOLE, CUT, BROKEN };

/* The allowed second bytes (Unicode table 3-7). */
static bool second_fits(uint8_t first, uint8_t second) {
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

/* The character at p, n >= 1 bytes there: *bytes long, or broken so far. */
static enum verdict judge(const uint8_t *p, size_t n, size_t *bytes) {
    size_t want = p[0] < 0x80   ? 1
                  : p[0] < 0xc2 ? 0
                  : p[0] < 0xe0 ? 2
                  : p[0] < 0xf0 ? 3
                  : p[0] < 0xf5 ? 4
                                : 0;
    *bytes = 1;
    if (want == 0)
        return BROKEN;
    for (; *bytes < want; ++*bytes) {
        if (*bytes == n)
            return CUT;
        uint8_t c = p[*bytes];
        if (*bytes == 1 ? !second_fits(p[0], c) : (c & 0xc0) != 0x80)
            return BROKEN;
    }
    return WHOLE;
}

void detokenizer_begin(struct detokenizer *d, const struct tokenizer *t) {
    d->t = t;
    d->begun = false;
    d->n_held = 0;
}

/* Appends what is whole of p[0..n) to text[at..]; the rest is held. Returns the new length. */
static size_t emit(struct detokenizer *d, const uint8_t *p, size_t n, size_t at) {
    d->n_held = 0;
    for (size_t i = 0, bytes; i < n; i += bytes) {
        switch (judge(p + i, n - i, &bytes)) {
        case WHOLE:
            memcpy(d->text + at, p + i, bytes);
            at += bytes;
            break;
        case BROKEN:
            memcpy(d->text + at, REPLACEMENT, 3);
            at += 3;
            break;
        case CUT:
            memcpy(d->held, p + i, n - i);
            d->n_held = n - i;
            return at;
        }
    }
    return at;
}

static struct str drop_spaces(struct str piece, enum drop how) {
    size_t n = 0, most = how == DROP_ONE ? 1 : piece.n;
    while (n < most && n < piece.n && piece.p[n] == ' ')
        n++;
    return str_sub(piece, n, piece.n);
}

static struct str push(struct detokenizer *d, struct str piece) {
    uint8_t bytes[TOKEN_BYTES_MAX + sizeof d->held];
    bool any = piece.n > 0;
    if (!d->begun && d->t->drop)
        piece = drop_spaces(piece, d->t->drop);
    d->begun |= any;
    memcpy(bytes, d->held, d->n_held);
    if (piece.n)
        memcpy(bytes + d->n_held, piece.p, piece.n);
    return (struct str){d->text, emit(d, bytes, d->n_held + piece.n, 0)};
}

struct str detokenizer_push(struct detokenizer *d, int32_t id) {
    return push(d, tokenizer_piece(d->t, id));
}

struct str detokenizer_show(struct detokenizer *d, int32_t id) {
    return push(d, tokenizer_name(d->t, id));
}

struct str detokenizer_end(struct detokenizer *d) {
    size_t n = d->n_held ? 3 : 0;
    memcpy(d->text, REPLACEMENT, 3);
    d->n_held = 0;
    return (struct str){d->text, n};
}

_Static_assert(sizeof((struct detokenizer *)0)->text >= 3 * (TOKEN_BYTES_MAX + 4),
               "every byte may come out as U+FFFD");
