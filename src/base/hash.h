/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes: SHA-256 (FIPS 180-4) for identity, CRC-32C for framing, a fast seeded one for
 * tables. */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum { SHA256_BYTES = 32, SHA256_HEX = 64 };

struct sha256 {
    uint32_t state[8];
    uint64_t bytes;   /* so far */
    uint8_t rest[64]; /* the block that is not full yet */
};
void sha256_begin(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *bytes, size_t n);
void sha256_end(struct sha256 *h, uint8_t digest[SHA256_BYTES]);
void sha256_of(struct span bytes, uint8_t digest[SHA256_BYTES]);

void hex_put(const uint8_t *bytes, size_t n, char *out); /* 2n lower-case digits and a NUL */
bool hex_take(struct str text, uint8_t *out, size_t n);  /* exactly 2n digits */

uint32_t crc32c(uint32_t crc, const void *bytes, size_t n);
/* for tables; seeded per process against collision attacks */
uint64_t hash_bytes(const void *bytes, size_t n);
