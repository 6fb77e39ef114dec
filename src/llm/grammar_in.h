/* SPDX-License-Identifier: Apache-2.0 */
/* What grammar.c (rules) and automaton.c (states) share: the compiled form. */
#pragma once

#include "llm/grammar.h"

enum part_kind { PART_END, PART_BYTE, PART_SET, PART_RULE, PART_REPEAT };

struct part {
    enum part_kind kind;
    int32_t what;     /* byte, index of a set, index of a rule */
    int32_t min, max; /* REPEAT; max -1: no end */
};

struct rule {
    struct str name;             /* borrowed from the text; made ones: of the rule they are in */
    int32_t first, n;            /* alternatives: indexes into `starts` */
    bool defined, empty, finite; /* empty: may take nothing; finite: some text ends it */
};

struct byteset {
    uint64_t bits[4];
};

struct grammar {
    char *text; /* owned; names point into it */
    size_t text_n;
    struct part *parts; /* each alternative ends with PART_END */
    size_t n_parts, room_parts;
    int32_t *starts; /* of alternatives */
    size_t n_starts, room_starts;
    struct rule *rules;
    size_t n_rules, room_rules;
    struct byteset *sets;
    size_t n_sets, room_sets;
    int32_t root;
};

static inline bool byteset_has(const struct byteset *s, unsigned byte) {
    return s->bits[byte / 64] >> (byte % 64) & 1;
}
