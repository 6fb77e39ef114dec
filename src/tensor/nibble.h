/* SPDX-License-Identifier: Apache-2.0 */
/* 4- and 2-bit elements as files hold them: several to a byte, the first in the lowest bits, the
 * last byte padded. */
#pragma once

#include "tensor/dtype.h"

int nibble_bits(enum dtype t); /* 4 or 2 for packed types; 0 for all others */
/* Bytes of count elements in a file: packed, or as in memory; false on overflow or where the last
 * block is not whole. */
bool nibble_bytes(enum dtype t, size_t count, size_t *out);
/* One element per byte from here on: signed types sign-extended, the others zero-extended. t must
 * be a packed type. */
void nibble_open(enum dtype t, void *out, const uint8_t *in, size_t count);
