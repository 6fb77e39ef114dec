/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes: see hash.h (SHA-256 is sha256.c). CRC-32C is the SSE4.2 instruction where there is one,
 * else a table; hash_bytes is wyhash's idea (multiply 64 x 64 -> 128, fold) with a per-process seed
 * from the kernel. */
#include "base/hash.h"

#include "base/cpu.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* --- hexadecimal --- */

void hex_put(const uint8_t *bytes, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t at = 0; at < n; at++) {
        out[2 * at] = digits[bytes[at] >> 4];
        out[2 * at + 1] = digits[bytes[at] & 15];
    }
    out[2 * n] = '\0';
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_take(struct str text, uint8_t *out, size_t n) {
    if (text.n != 2 * n)
        return false;
    for (size_t at = 0; at < text.n; at++)
        if (hex_value(text.p[at]) < 0)
            return false;
    for (size_t at = 0; at < n; at++)
        out[at] = (uint8_t)(hex_value(text.p[2 * at]) << 4 | hex_value(text.p[2 * at + 1]));
    return true;
}

/* --- CRC-32C (RFC 3720 appendix B.4) --- */

enum { CRC_POLYNOMIAL_BITS = 8 };
static uint32_t crc_table[256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_fill(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < CRC_POLYNOMIAL_BITS; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
        crc_table[byte] = crc;
    }
}

static uint32_t crc_scalar(uint32_t crc, const uint8_t *p, size_t n) {
    pthread_once(&crc_once, crc_fill);
    for (size_t at = 0; at < n; at++)
        crc = crc >> 8 ^ crc_table[(crc ^ p[at]) & 255];
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const uint8_t *p,
                                                            size_t n) {
    uint64_t wide = crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t eight;
        memcpy(&eight, p, 8);
        wide = __builtin_ia32_crc32di(wide, eight);
    }
    crc = (uint32_t)wide;
    for (; n; n--, p++)
        crc = __builtin_ia32_crc32qi(crc, *p);
    return crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *bytes, size_t n) {
#ifdef __x86_64__
    if (cpu_flags() & CPU_SSE42)
        return ~crc_sse42(~crc, bytes, n);
#endif
    return ~crc_scalar(~crc, bytes, n);
}

/* --- for tables --- */

static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_fill(void) {
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed =
            (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)&seed_once; /* ASLR is what is left */
}

static uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load_tail(const uint8_t *p, size_t n) { /* n < 8 */
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

uint64_t hash_bytes(const void *bytes, size_t n) {
    static const uint64_t odd[2] = {0x9e3779b97f4a7c15u, 0xe7037ed1a0b428dbu};
    pthread_once(&seed_once, seed_fill);
    const uint8_t *p = bytes;
    uint64_t h = seed ^ fold(n ^ odd[0], odd[1] ^ seed), a, b;
    for (; n > 16; n -= 16, p += 16) {
        memcpy(&a, p, 8);
        memcpy(&b, p + 8, 8);
        h = fold(a ^ odd[0] ^ h, b ^ odd[1] ^ seed);
    }
    if (n == 0)
        return fold(h ^ odd[0], odd[1] ^ seed);
    a = load_tail(p, n < 8 ? n : 0);
    b = 0;
    if (n >= 8) {
        memcpy(&a, p, 8);
        memcpy(&b, p + n - 8, 8);
    }
    return fold(a ^ odd[0] ^ h, b ^ odd[1] ^ seed);
}
