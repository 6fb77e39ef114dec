/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4), see hash.h: by the processor's own instructions where it has them, else as
 * the standard writes it. Ours, because every start hashes a little and OpenSSL's libcrypto takes
 * 0.7 ms to link. */
#include "base/hash.h"

#include "base/cpu.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { BLOCK = 64, LENGTH_AT = 56, ROUNDS = 64 };

/* §4.2.2 */
static const uint32_t K[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, int by) { return x >> by | x << (32 - by); }

static uint32_t take_word(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* §6.2.2. The schedule is a ring of 16 words; letters do not move from variable to variable, their
 * names do: in round k the letter i (0 is a) lies in s[(i - k) mod 8]. */
static void block_scalar(uint32_t h[8], const uint8_t *p) {
    uint32_t w[16], s[8];
    memcpy(s, h, sizeof s);
    for (int i = 0; i < 16; i++)
        w[i] = take_word(p + 4 * i);
    for (int t = 0; t < ROUNDS; t += 16)
#pragma GCC unroll 16
        for (int k = 0; k < 16; k++) {
            const uint32_t a = s[-k & 7], b = s[(1 - k) & 7], c = s[(2 - k) & 7];
            const uint32_t e = s[(4 - k) & 7], f = s[(5 - k) & 7], g = s[(6 - k) & 7];
            const uint32_t one = s[(7 - k) & 7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) +
                                 ((e & f) ^ (~e & g)) + K[t + k] + w[k];
            s[(3 - k) & 7] += one;
            s[(7 - k) & 7] =
                one + (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            const uint32_t x = w[(k + 1) & 15], y = w[(k + 14) & 15];
            w[k] += (turn(x, 7) ^ turn(x, 18) ^ x >> 3) + w[(k + 9) & 15] +
                    (turn(y, 17) ^ turn(y, 19) ^ y >> 10);
        }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
}

#ifdef __x86_64__
/* Intel SDM volume 2B, SHA256RNDS2: the state lies in two registers as (a b e f) and (c d g h);
 * each turn of k is four rounds, and makes the four words of the schedule that are 16 further on.
 */
__attribute__((target("sha,sse4.1"))) static void blocks_sha(uint32_t h[8], const uint8_t *p,
                                                             size_t n) {
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i *at = (__m128i *)(void *)h;
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(at), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(at + 1), 0x1b);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
    for (; n; n--, p += BLOCK) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w[4];
        for (int i = 0; i < 4; i++)
            w[i] =
                _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)p + i), big_endian);
#pragma GCC unroll 16
        for (int k = 0; k < ROUNDS / 4; k++) {
            __m128i *now = &w[k & 3], last = w[(k + 3) & 3];
            __m128i m = _mm_loadu_si128((const __m128i *)(const void *)K + k);
            m = _mm_add_epi32(m, *now);
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, m);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(m, 0x0e));
            const __m128i seventh = _mm_alignr_epi8(last, w[(k + 2) & 3], 4);
            *now = _mm_add_epi32(_mm_sha256msg1_epu32(*now, w[(k + 1) & 3]), seventh);
            *now = _mm_sha256msg2_epu32(*now, last);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128(at, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(at + 1, _mm_alignr_epi8(dchg, feba, 8));
}
#endif

static void blocks(uint32_t h[8], const uint8_t *p, size_t n) {
#ifdef __x86_64__
    if (cpu_has_sha()) {
        blocks_sha(h, p, n);
        return;
    }
#endif
    for (; n; n--, p += BLOCK)
        block_scalar(h, p);
}

void sha256_begin(struct sha256 *h) {
    static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}; /* §5.3.3 */
    memcpy(h->state, first, sizeof first);
    h->bytes = 0;
}

void sha256_add(struct sha256 *h, const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    const size_t have = h->bytes % BLOCK;
    h->bytes += n;
    if (have) {
        const size_t some = n < BLOCK - have ? n : BLOCK - have;
        memcpy(h->rest + have, p, some);
        if (have + some < BLOCK)
            return;
        blocks(h->state, h->rest, 1);
        p += some;
        n -= some;
    }
    blocks(h->state, p, n / BLOCK);
    if (n % BLOCK)
        memcpy(h->rest, p + n / BLOCK * BLOCK, n % BLOCK);
}

/* §5.1.1: a one bit, zeros, and the length in bits end the last block */
void sha256_end(struct sha256 *h, uint8_t digest[SHA256_BYTES]) {
    const uint64_t bits = h->bytes * 8;
    size_t have = h->bytes % BLOCK;
    h->rest[have++] = 0x80;
    memset(h->rest + have, 0, BLOCK - have);
    if (have > LENGTH_AT) {
        blocks(h->state, h->rest, 1);
        memset(h->rest, 0, BLOCK);
    }
    for (int i = 0; i < 8; i++)
        h->rest[LENGTH_AT + i] = (uint8_t)(bits >> (56 - 8 * i));
    blocks(h->state, h->rest, 1);
    for (int i = 0; i < SHA256_BYTES; i++)
        digest[i] = (uint8_t)(h->state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256_of(struct span bytes, uint8_t digest[SHA256_BYTES]) {
    struct sha256 h;
    sha256_begin(&h);
    sha256_add(&h, bytes.p, bytes.n);
    sha256_end(&h, digest);
}
