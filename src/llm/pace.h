/* SPDX-License-Identifier: Apache-2.0 */
/* Whether guessing pays, as measured: time per token with guesses and without, by how many
 * sequences answer at one time. What share of the guesses is right is in the first of the two.
 *
 *   learning ─▶ with guesses ◀──────── a trial, when the time it takes is a small part of what
 *      │              │ slower         │  passed since the last
 *      └──────────────┴──▶ without ────┘
 *
 * 1. While guesses are made, a step now and then goes without: both numbers are fresh.
 * 2. Without, only a trial can tell; it learns anew. It costs PACE_LEARN steps, and that the draft
 * model reads what was said meanwhile: at most one part in PACE_TRIALS of the time since the last,
 * and one in PACE_READING.
 *
 * Owned by the decoding thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACE_CLASSES = 8, PACE_LEARN = 6, PACE_LOOK = 64, PACE_TRIALS = 100, PACE_READING = 30 };

struct pace_way {
    double ns, tokens; /* of a step */
    unsigned steps;    /* seen, as far as it matters */
};
struct pace {
    struct pace_class {
        struct pace_way plain, guessed;
        unsigned turn; /* steps with guesses since some went without */
        bool without;
    } classes[PACE_CLASSES]; /* 1 sequence, 2, 3-4, 5-8, ... more than 64 */
    double since_ns;         /* time in steps since the last trial */
    double row_ns;           /* of one token that the draft model reads to catch up */
    bool guessed;            /* the step before */
};

/* Whether the next step of n sequences is to guess; behind: tokens the draft model has not read. */
bool pace_guesses(struct pace *p, size_t n, size_t behind);
/* What a step of n sequences that did (or did not) as pace_guesses said took, and how many tokens
 * came out of it. */
void pace_note(struct pace *p, size_t n, bool guessed, uint64_t ns, size_t tokens);
/* What it took to read `rows` tokens to catch up. */
void pace_note_reading(struct pace *p, size_t rows, uint64_t ns);
