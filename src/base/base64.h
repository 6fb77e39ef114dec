/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648 §4, and the URL alphabet §5 when reading). */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* padded or not; INVALID names the byte */
MUST_USE enum code base64_take(struct str text, struct buf *out, struct err *e);
void base64_put(struct span bytes, struct buf *out); /* padded */
