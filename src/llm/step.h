/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a forward pass, shared by the files that compute a step. */
#pragma once

#include "base/team.h"
#include "llm/crew.h"
#include "llm/forward.h"
#include "llm/weights.h"

/* Rows of one sequence at neighbouring positions, attended to together. */
struct tile {
    int32_t row, rows; /* of the step */
    int32_t out;       /* where the results go: rows of the intake */
    int32_t sequence;
};

struct tiles {
    struct tile *tile; /* (max_rows) */
    size_t n;
};

struct forward {
    struct arena arena; /* weights' vectors and layers */
    struct blueprint plan;
    struct weights weights;
    struct kv *kv;
    struct crew crew;
    struct team team;
    int threads, max_sequences;
    size_t max_rows, context, bytes;

    /* scratch, one block */
    void *memory;
    float *x;         /* (max_rows, width): the residual stream */
    float *side;      /* (max_rows, width): a block's output before its norm */
    float *q, *k, *v; /* (max_rows, heads * head_dim) */
    float *attended;  /* (max_rows, heads * head_dim) */
    float *angles[2]; /* (max_rows, rope_dims / 2, 2): global, local */
    float **thread_room;
    size_t thread_floats;
    struct intake in, attn, mid, out; /* of q k v and ffn; of o; of down; of the head */
    struct expert_room *expert_room;  /* NULL without experts */
    const char **pages;               /* (max_sequences, context / PAGE) */
    int32_t *lengths;                 /* (max_sequences) positions seen by encoders */
    int32_t *positions;               /* (max_rows) */
    int32_t *wanted;                  /* (max_rows) */
    struct tiles tiles, last_tiles;   /* of all rows; of wanted rows */

    /* the step being computed */
    const struct forward_row *rows;
    size_t n_rows, n_wanted;
    bool all_rows; /* an embedding: every row to the end, no head */
    float *logits;
    size_t logits_room; /* floats */
};

/* Runs the rows in f->rows through the model; ends in logits, or in x when all_rows. */
void step_run(struct forward *f, int threads); /* at most f->threads */

/* A phase: columns of several matrices times m rows of one intake. */
struct product {
    const struct linear *w;
    float *y;
    size_t y_row;
    bool add;
};
void step_products(struct forward *f, const struct intake *o, size_t m,
                   const struct product *products, int n);
/* down's intake = gate(x * gate) * (x * up) */
void step_gate(struct forward *f, const struct intake *in, const struct intake *mid, size_t m,
               const struct linear *gate, const struct linear *up, int thread);
void step_norm(const struct forward *f, const struct norm *norm, size_t n, const float *x,
               float *y);

/* attention.c */
void attention_tiles(struct forward *f);
void attention_write(struct forward *f, const struct layer *l, size_t layer, size_t from,
                     size_t to);
void attention_run(struct forward *f, const struct layer *l, size_t layer,
                   const struct tiles *tiles, int thread);

/* experts.c */
MUST_USE enum code experts_open(struct forward *f, struct err *e);
void experts_close(struct forward *f);
void experts_run(struct forward *f, const struct layer *l, size_t m, float *y, int thread);
