/* SPDX-License-Identifier: Apache-2.0 */
/* What json.c, json_string.c and json_number.c share. Not for other folders. */
#pragma once

#include "base/json.h"

static inline const char *json_space(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* "expected WHAT, found ..." at the next value. */
enum code json_expected(struct json *r, const char *what, struct err *e);

/* Takes the word when it stands here whole. */
bool json_take_word(struct json *r, const char *word);

/* r->p is at the opening quote. out NULL: checked but not delivered. */
MUST_USE enum code json_take_string(struct json *r, struct str *out, struct err *e);

MUST_USE enum code json_skip_number(struct json *r, struct err *e);
