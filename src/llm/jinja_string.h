/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on text that filters and methods share; marks of foreign bytes come along. */
#pragma once

#include "llm/jinja_in.h"

enum string_case { CASE_LOWER, CASE_UPPER, CASE_TITLE, CASE_CAPITAL };

/* White space, or the given characters, off the ends. */
struct text string_strip(struct text t, const struct text *chars, bool front, bool back);
MUST_USE enum code string_case(struct rendering *r, struct text t, enum string_case how,
                               struct datum *out);
/* The first `most` occurrences; < 0: all. */
MUST_USE enum code string_replace(struct rendering *r, struct text t, struct text from,
                                  struct text to, int64_t most, struct datum *out);
/* At separators, NULL: at runs of white space; at most `most` times, < 0: all. */
MUST_USE enum code string_split(struct rendering *r, struct text t, const struct text *separator,
                                int64_t most, bool from_back, struct datum *out);
/* Bytes before the first occurrence at or after `from`; SIZE_MAX: none. */
size_t string_find(struct text t, struct text what, size_t from);
