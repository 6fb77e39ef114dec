/* SPDX-License-Identifier: Apache-2.0 */
/* Forests drawn at random, every comparison, branches that meet again, edges of numbers, against a
 * walk that asks each question as it stands. */
#include "op/forest.c"

#include "op_case.h"

enum { BRANCHES = 40, LEAVES = 60, FEATURES = 6, TREES = 11, ROWS = 83, TARGETS = 3 };

static uint64_t seed;
static uint32_t draw(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

/* Few numbers, so that they meet: edges too. */
static double number(void) {
    static const double edges[] = {0, -0.0, INFINITY, -INFINITY, NAN, 4.9e-324, -4.9e-324, 1e300};
    return draw(4) ? (double)draw(5) - 2 : edges[draw(8)];
}

/* Children lie behind their parents: no circles. n_entries of each leaf: 1 or up to 3. */
static void grow(struct arena *a, struct forest_draft *d, bool single,
                 const struct tensor *members) {
    struct err e;
    assert_int_equal(forest_draw(a, BRANCHES, TREES, LEAVES, LEAVES * 3, TARGETS, d, &e), OK);
    d->members = members;
    for (uint32_t k = 0; k < BRANCHES; k++) {
        struct forest_branch *b = &d->branches[k];
        *b = (struct forest_branch){.split = number(),
                                    .feature = draw(FEATURES),
                                    .mode = (uint8_t)draw(members ? 7 : 6),
                                    .missing_true = draw(2)};
        b->member = members ? draw(4) : 0;
        b->n_members = members ? draw(4) : 0;
        for (int side = 0; side < 2; side++) {
            b->leaf[side] = k + 1 == BRANCHES || draw(4) == 0;
            b->next[side] = b->leaf[side] ? draw(LEAVES) : k + 1 + draw(BRANCHES - k - 1);
        }
    }
    for (int k = 0; k < TREES; k++)
        d->starts[k] = k == 5 ? (struct forest_start){draw(LEAVES), true}
                              : (struct forest_start){draw(10), false};
    for (uint32_t k = 0, at = 0; k < LEAVES; k++) {
        const uint32_t end = at + (single ? 1 : draw(4));
        d->first[k] = at;
        for (; at < end; at++) {
            d->targets[at] = draw(TARGETS);
            d->weights[at] = (double)draw(1000) - 500;
        }
        d->first[k + 1] = at;
    }
}

static bool answer(const struct forest_draft *d, const struct forest_branch *b, double x) {
    if (isnan(x) && b->missing_true)
        return true;
    switch (b->mode) {
    case FOREST_LEQ: return x <= b->split;
    case FOREST_LT: return x < b->split;
    case FOREST_GTE: return x >= b->split;
    case FOREST_GT: return x > b->split;
    case FOREST_EQ: return x == b->split;
    case FOREST_NEQ: return x != b->split;
    }
    for (uint32_t k = 0; k < b->n_members; k++)
        if (tensor_f64(d->members, b->member + k) == x)
            return true;
    return false;
}

static void expect(const struct forest_draft *d, const double *x, double *sums) {
    uint32_t counts[TARGETS] = {0};
    memset(sums, 0, TARGETS * sizeof *sums);
    for (int tree = 0; tree < TREES; tree++) {
        uint32_t at = d->starts[tree].at;
        for (bool leaf = d->starts[tree].leaf; !leaf;) {
            const struct forest_branch *b = &d->branches[at];
            const int side = answer(d, b, x[b->feature]);
            at = b->next[side];
            leaf = b->leaf[side];
        }
        for (uint32_t k = d->first[at]; k < d->first[at + 1]; k++) {
            double *s = &sums[d->targets[k]], w = d->weights[k];
            const bool first = counts[d->targets[k]]++ == 0;
            if (d->sum == FOREST_MIN || d->sum == FOREST_MAX)
                *s = first || (d->sum == FOREST_MIN ? w < *s : w > *s) ? w : *s;
            else
                *s += w;
        }
    }
    for (int k = 0; k < TARGETS && d->sum == FOREST_AVERAGE; k++)
        sums[k] /= TREES;
}

struct seen {
    double sums[ROWS][TARGETS];
    int rows;
};
static void note(const struct op_call *c, size_t row, double *sums) {
    struct seen *s = c->state;
    memcpy(s->sums[row], sums, sizeof s->sums[row]);
#pragma omp atomic
    s->rows++;
}

static void compare(struct op_prepare *p, const struct forest_draft *d, const struct forest *f,
                    const struct tensor *x, size_t rows) {
    static struct seen seen;
    struct err e;
    assert_int_equal(forest_scratch(p, f, rows, FEATURES, &e), OK);
    void *scratch = aligned_alloc(64, p->scratch_bytes);
    const struct tensor *in[1] = {x};
    struct op_call call = {.state = &seen, .in = in, .scratch = scratch, .threads = p->threads};
    seen.rows = 0;
    forest_run(&call, f, rows, FEATURES, note);
    assert_int_equal(seen.rows, rows);
    for (size_t row = 0; row < rows; row++) {
        double want[TARGETS];
        expect(d, (const double *)x->data + row * FEATURES, want);
        for (int k = 0; k < TARGETS; k++)
            assert_true(want[k] == seen.sums[row][k]);
    }
    free(scratch);
}

static void random_forests(void **state) {
    (void)state;
    static double values[ROWS * FEATURES], sets[8] = {0, 1, -2, NAN, 2, 1, INFINITY, -1};
    static const size_t counts[] = {1, 7, 8, 9, 16, ROWS};
    struct tensor x = {.dtype = DT_F64, .data = values}, members = {.dtype = DT_F64, .data = sets};
    members.shape = DIMS(8);
    struct graph graph = {0};
    struct node node = {0};
    for (seed = 0; seed < 600; seed++) {
        const uint64_t kind = seed, kept = seed;
        struct op_prepare p = {.graph = &graph, .node = &node, .threads = 1 + (int)(kind % 2)};
        struct arena a, plan;
        struct forest_draft d;
        struct forest *f;
        struct err e;
        arena_init(&a, 1 << 20);
        arena_init(&plan, 1 << 20);
        p.arena = &plan;
        grow(&a, &d, kind % 3 == 0, kind % 5 == 0 ? &members : NULL);
        d.sum = (enum forest_sum)(kind % 4);
        for (size_t k = 0; k < ROWS * FEATURES; k++)
            for (values[k] = number(); kind % 7 && isnan(values[k]);)
                values[k] = number();
        assert_int_equal(forest_find(&p, d.branches, TARGETS, &f, &e), OK);
        assert_false(f->ready);
        assert_int_equal(forest_pack(&p, &a, d.branches, &d, f, &e), OK);
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
            compare(&p, &d, f, &x, counts[k]);
        arena_deinit(&a);
        arena_deinit(&plan);
        seed = kept;
    }
}

static void circles_and_missing_features(void **state) {
    (void)state;
    struct graph graph = {0};
    struct node node = {0};
    struct arena a, plan;
    struct forest_draft d;
    struct forest *f;
    struct err e;
    arena_init(&a, 1 << 20);
    arena_init(&plan, 1 << 20);
    struct op_prepare p = {.graph = &graph, .node = &node, .threads = 1, .arena = &plan};
    seed = 1;
    grow(&a, &d, true, NULL);
    d.branches[3].feature = 40;
    d.starts[0] = (struct forest_start){3, false};
    assert_int_equal(forest_find(&p, d.branches, TARGETS, &f, &e), OK);
    assert_int_equal(forest_pack(&p, &a, d.branches, &d, f, &e), OK);
    assert_int_equal(forest_scratch(&p, f, 1, 40, &e), ERR_INVALID);
    assert_int_equal(forest_scratch(&p, f, 1, 41, &e), OK);
    d.branches[BRANCHES - 1] = (struct forest_branch){.next = {3, BRANCHES - 1}, .mode = FOREST_EQ};
    d.branches[3].next[1] = BRANCHES - 1;
    d.branches[3].leaf[1] = false;
    assert_int_equal(forest_pack(&p, &a, d.branches, &d, f, &e), ERR_INVALID);
    assert_non_null(strstr(e.text, "circle"));
    arena_deinit(&a);
    arena_deinit(&plan);
}

/* Packs of two sessions: what the first wrote is there for the second, exactly as long as it is. */
struct kept {
    struct op_packs face; /* first */
    struct arena *arena;
    struct {
        void *data;
        size_t bytes;
    } part[PART_ARRAYS + 1 - PART_FOREST];
    bool second;
};

static const void *kept_find(struct op_packs *face, const void *constant, uint64_t packing,
                             size_t bytes) {
    const struct kept *k = (struct kept *)face;
    const size_t part = packing - PART_FOREST;
    (void)constant;
    return k->second && k->part[part].bytes == bytes ? k->part[part].data : NULL;
}

static void *kept_get(struct op_packs *face, const void *constant, uint64_t packing, size_t bytes,
                      bool lasting, bool *filled) {
    struct kept *k = (struct kept *)face;
    const void *there = lasting ? kept_find(face, constant, packing, bytes) : NULL;
    *filled = there != NULL;
    if (there)
        return (void *)(uintptr_t)there;
    void *data = arena_push_aligned(k->arena, bytes, MEM_LINE);
    if (lasting) {
        k->part[packing - PART_FOREST].data = data;
        k->part[packing - PART_FOREST].bytes = bytes;
    }
    return data;
}

/* A forest that was kept answers as before without its draft; a damaged one is either packed anew
 * or walks within what is there (which the sanitizers see). */
static void kept_forests(void **state) {
    (void)state;
    static double values[ROWS * FEATURES], sets[8] = {0, 1, -2, NAN, 2, 1, INFINITY, -1};
    struct tensor x = {.dtype = DT_F64, .data = values}, members = {.dtype = DT_F64, .data = sets};
    members.shape = DIMS(8);
    struct graph graph = {0};
    struct node node = {0};
    int found = 0, refused = 0;
    for (uint64_t round = 0; round < 300; round++) {
        struct arena a, plan;
        struct forest_draft d;
        struct forest *f;
        struct err e;
        arena_init(&a, 1 << 20);
        arena_init(&plan, 1 << 20);
        struct kept packs = {.face = {kept_get, kept_find}, .arena = &plan};
        struct op_prepare p = {
            .graph = &graph, .node = &node, .threads = 1, .arena = &plan, .packs = &packs.face};
        seed = round;
        grow(&a, &d, round % 3 == 0, round % 5 == 0 ? &members : NULL);
        for (uint32_t k = 1; k + 1 < BRANCHES; k++) /* no two branches meet */
            for (int side = 0; side < 2; side++)
                d.branches[k].leaf[side] |= k >= BRANCHES / 2,
                    d.branches[k].next[side] = d.branches[k].leaf[side]
                                                   ? d.branches[k].next[side] % LEAVES
                                                   : 2 * k + (uint32_t)side;
        for (int k = 0; k < TREES; k++)
            d.starts[k] = (struct forest_start){k ? draw(LEAVES) : 1, k != 0};
        for (size_t k = 0; k < ROWS * FEATURES; k++)
            values[k] = number();
        assert_int_equal(forest_find(&p, d.branches, TARGETS, &f, &e), OK);
        assert_int_equal(forest_pack(&p, &a, d.branches, &d, f, &e), OK);
        packs.second = true;
        assert_int_equal(forest_find(&p, d.branches, TARGETS, &f, &e), OK);
        if (f->ready)
            compare(&p, &d, f, &x, ROWS);
        found += f->ready;
        for (int hit = 0; hit < 40; hit++) {
            const int part = draw(5) ? PART_ARRAYS - PART_FOREST : PART_HEAD - PART_FOREST;
            uint8_t *at = (uint8_t *)packs.part[part].data + draw((uint32_t)packs.part[part].bytes);
            const uint8_t before = *at;
            *at ^= (uint8_t)(1 + draw(255));
            assert_int_equal(forest_find(&p, d.branches, TARGETS, &f, &e), OK);
            refused += !f->ready;
            if (f->ready && f->n_targets == TARGETS &&
                forest_scratch(&p, f, 9, FEATURES, &e) == OK) {
                static struct seen seen;
                void *scratch = aligned_alloc(64, p.scratch_bytes);
                const struct tensor *in[1] = {&x};
                struct op_call call = {.state = &seen, .in = in, .scratch = scratch, .threads = 1};
                forest_run(&call, f, 9, FEATURES, note);
                free(scratch);
            }
            *at = before;
        }
        arena_deinit(&a);
        arena_deinit(&plan);
    }
    assert_true(found > 100 && refused > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_forests),
                                       cmocka_unit_test(circles_and_missing_features),
                                       cmocka_unit_test(kept_forests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
