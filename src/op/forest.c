/* SPDX-License-Identifier: Apache-2.0 */
/* Walking decision trees; see forest.h. Every comparison becomes `x <= split` on doubles, exactly:
 * x < s is x <= the number below s, x >= s is the other way round, x == s is two forks.
 *
 * A walk waits for memory at each step, so LANES of them go side by side: eight rows through one
 * tree, or one row through eight trees. Rows are taken in blocks that stay in the first cache with
 * the tree at hand. */
#include "op/forest.h"

#include "base/mem.h"
#include "op/pack.h"
#include "op/team.h"

#include <math.h>
#include <string.h>

enum {
    LANES = 8,
    BLOCK_ROWS = 64,
    BLOCK_BYTES = 16 << 10, /* of features in a block of rows */
    SUMS_BYTES = 1 << 20    /* of sums in a block: else row by row */
};
#define STEP_NS 0.6

enum { MISSING_RIGHT = 1, MISSING_SET = 2 };
enum { FIRST_FORK = 2 }; /* pairs begin at even places, and no pair is at 0 */

enum code forest_draw(struct arena *a, size_t n_branches, size_t n_starts, size_t n_leaves,
                      size_t n_entries, size_t n_targets, struct forest_draft *out, struct err *e) {
    struct forest_draft *d = out;
    if (n_branches >= UINT32_MAX / 8 || n_leaves >= UINT32_MAX || n_entries >= UINT32_MAX ||
        n_starts >= UINT32_MAX / 8)
        return fail(e, LIMIT, "a forest of more than 2^29 branches");
    *d = (struct forest_draft){.n_branches = n_branches,
                               .n_starts = n_starts,
                               .n_leaves = n_leaves,
                               .n_entries = n_entries,
                               .n_targets = n_targets};
    d->branches = ARENA_ARRAY(a, n_branches + 1, struct forest_branch);
    d->starts = ARENA_ARRAY(a, n_starts + 1, struct forest_start);
    d->first = ARENA_ARRAY(a, n_leaves + 2, uint32_t);
    d->targets = ARENA_ARRAY(a, n_entries + 1, uint32_t);
    d->weights = ARENA_ARRAY(a, n_entries + 1, double);
    if (!d->branches || !d->starts || !d->first || !d->targets || !d->weights)
        return arena_fail(a, n_branches * sizeof *d->branches, "a forest", e);
    return OK;
}

/* --- packing: depths, which also finds circles --- */

struct mark { /* of a branch of the draft */
    uint32_t least, most;
    uint32_t pair, pair_inside; /* where its children are; those of the second fork of == */
    enum { NEW, OPEN, DONE } state;
};

struct packer {
    const struct forest_draft *draft;
    struct forest *f;
    struct mark *marks;    /* (n_branches) */
    uint32_t *stack;       /* (n_branches): branches being looked at */
    uint32_t *leaf_number; /* (n_leaves): 1 + of the packed forest; 0: not met yet */
    const struct operand_at *where;
};

static void depth_of(const struct packer *p, uint32_t at, bool leaf, uint32_t *least,
                     uint32_t *most) {
    *least = leaf ? 0 : p->marks[at].least;
    *most = leaf ? 0 : p->marks[at].most;
}

static bool asks_equal(const struct forest_branch *b) {
    return b->mode == FOREST_EQ || b->mode == FOREST_NEQ;
}

/* All branches below `start` get their depths; INVALID: a branch is below itself. */
static enum code measure(struct packer *p, uint32_t start, struct err *e) {
    size_t n = 0;
    if (p->marks[start].state == DONE)
        return OK;
    p->stack[n++] = start;
    while (n) {
        const uint32_t at = p->stack[n - 1];
        const struct forest_branch *b = &p->draft->branches[at];
        struct mark *m = &p->marks[at];
        bool wait = false;
        m->state = OPEN;
        for (int side = 0; side < 2 && !wait; side++) {
            const uint32_t next = b->next[side];
            if (b->leaf[side] || p->marks[next].state == DONE)
                continue;
            if (p->marks[next].state == OPEN)
                return operand_fail(p->where, e, INVALID, "a tree runs in a circle at node %u",
                                    next);
            p->stack[n++] = next;
            wait = true;
        }
        if (wait)
            continue;
        uint32_t least[2], most[2];
        for (int side = 0; side < 2; side++)
            depth_of(p, b->next[side], b->leaf[side], &least[side], &most[side]);
        m->least = 1 + (least[0] < least[1] ? least[0] : least[1]);
        m->most = 1 + asks_equal(b) + (most[0] > most[1] ? most[0] : most[1]);
        m->state = DONE;
        n--;
    }
    return OK;
}

/* --- packing: places --- */

/* The number of a leaf, met for the first time or again; its entries move behind those before. */
static uint32_t leaf_number(struct packer *p, uint32_t leaf) {
    const struct forest_draft *d = p->draft;
    struct forest *f = p->f;
    if (!p->leaf_number[leaf]) {
        const uint32_t number = (uint32_t)f->n_leaves++;
        p->leaf_number[leaf] = number + 1;
        f->first[number] = (uint32_t)f->n_entries;
        for (uint32_t k = d->first[leaf]; k < d->first[leaf + 1]; k++) {
            f->targets[f->n_entries] = d->targets[k];
            f->weights[f->n_entries++] = d->weights[k];
        }
    }
    return p->leaf_number[leaf] - 1;
}

static double leaf_split(uint32_t number) {
    const uint64_t bits = 0x7ff8000000000000u | number;
    double split;
    memcpy(&split, &bits, sizeof split);
    return split;
}

static double below(double s) { return s == -(double)INFINITY ? NAN : nextafter(s, -INFINITY); }

/* Fork `at` asks what branch b asks, or the first half of it. */
static void put_question(struct packer *p, size_t at, const struct forest_branch *b,
                         uint32_t left) {
    struct forest_fork *fork = &p->f->forks[at];
    const bool turned = b->mode == FOREST_GTE || b->mode == FOREST_GT;
    double split = b->split;
    if (turned && isnan(split)) /* false whatever x is */
        split = INFINITY;
    else if (b->mode == FOREST_LT || b->mode == FOREST_GTE)
        split = below(split);
    *fork = (struct forest_fork){split, b->feature, left};
    const bool right = turned ? b->missing_true : !b->missing_true || b->mode == FOREST_NEQ;
    p->f->missing[at] = right ? MISSING_RIGHT : 0;
    if (b->mode == FOREST_MEMBER) {
        p->f->missing[at] |= MISSING_SET;
        p->f->sets[at] = (struct forest_set){b->member, b->n_members};
    }
    if (p->f->n_features <= b->feature)
        p->f->n_features = (size_t)b->feature + 1;
}

static uint32_t new_pair(struct packer *p) {
    uint32_t at = (uint32_t)p->f->n_forks;
    p->f->n_forks += 2;
    return at;
}

/* Fork `at` becomes a leaf, or a branch, whose children get a place when it is met first and are
 * then due: appended to the stack. */
static void put_fork(struct packer *p, size_t at, uint32_t next, bool leaf, size_t *n_due) {
    if (leaf) {
        p->f->forks[at] =
            (struct forest_fork){leaf_split(leaf_number(p, next)), 0, (uint32_t)at - 1};
        p->f->missing[at] = MISSING_RIGHT;
        return;
    }
    struct mark *m = &p->marks[next];
    const struct forest_branch *b = &p->draft->branches[next];
    if (!m->pair) {
        m->pair = new_pair(p);
        m->pair_inside = asks_equal(b) ? new_pair(p) : 0;
        p->stack[(*n_due)++] = next;
    }
    put_question(p, at, b, m->pair);
}

/* x == s: x <= s, and then not x <= the number below s. */
static void put_inside(struct packer *p, const struct forest_branch *b, const struct mark *m,
                       size_t *n_due) {
    const int in = b->mode == FOREST_EQ, out = !in;
    p->f->forks[m->pair] = (struct forest_fork){below(b->split), b->feature, m->pair_inside};
    p->f->missing[m->pair] = MISSING_RIGHT;
    put_fork(p, m->pair + 1, b->next[out], b->leaf[out], n_due);
    put_fork(p, m->pair_inside, b->next[out], b->leaf[out], n_due);
    put_fork(p, m->pair_inside + 1, b->next[in], b->leaf[in], n_due);
}

static void put_children(struct packer *p, uint32_t branch, size_t *n_due) {
    const struct forest_branch *b = &p->draft->branches[branch];
    const struct mark *m = &p->marks[branch];
    const int left = b->mode != FOREST_GTE && b->mode != FOREST_GT;
    if (asks_equal(b)) {
        put_inside(p, b, m, n_due);
        return;
    }
    put_fork(p, m->pair, b->next[left], b->leaf[left], n_due);
    put_fork(p, m->pair + 1, b->next[!left], b->leaf[!left], n_due);
}

/* A tree, level by level. */
static void put_tree(struct packer *p, size_t root) {
    const struct forest_start s = p->draft->starts[root];
    struct forest_root *r = &p->f->roots[root];
    size_t n_due = 0;
    r->at = new_pair(p) + 1;
    depth_of(p, s.at, s.leaf, &r->least, &r->most);
    put_fork(p, r->at, s.at, s.leaf, &n_due);
    for (size_t k = 0; k < n_due; k++)
        put_children(p, p->stack[k], &n_due);
    p->f->steps += r->most;
}

/* What leaves give is looked at once. */
static void look_at_entries(struct forest *f) {
    bool single = f->n_entries == f->n_leaves;
    f->positive = f->one_target = true;
    for (size_t k = 0; k < f->n_entries; k++) {
        f->positive = f->positive && f->weights[k] >= 0;
        f->one_target = f->one_target && f->targets[k] == f->targets[0];
    }
    f->first[f->n_leaves] = (uint32_t)f->n_entries;
    for (size_t k = 0; k < f->n_leaves && single; k++)
        single = f->first[k] == k;
    if (single)
        f->first = NULL;
}

static inline uint32_t leaf_of(const struct forest *f, uint32_t at) {
    uint64_t bits;
    memcpy(&bits, &f->forks[at].split, sizeof bits);
    return (uint32_t)bits;
}

/* --- packing: memory --- */

/* The packed form, which may have been kept for us: a head, then the arrays, each from a line of
 * its own. Where the head is a form by itself its size is known before anything else is. */
struct form {
    uint64_t bytes; /* of the arrays */
    uint64_t forks, roots, leaves, entries, members, targets, features;
    double steps;
    uint32_t sum, positive, one_target, sets, single; /* single: no `first` */
};

/* The next array of a block that begins at `at`, NULL: which is only measured. */
static void *cut(char *at, size_t *used, size_t bytes) {
    void *array = at && bytes ? at + *used : NULL;
    *used += mem_round_up(bytes, MEM_LINE);
    return array;
}

/* How many bytes; the arrays' places when `at` is given. */
static size_t lay_out(const struct form *h, char *at, struct forest *f) {
    size_t used = 0;
    f->forks = cut(at, &used, h->forks * sizeof *f->forks);
    f->missing = cut(at, &used, h->forks);
    f->roots = cut(at, &used, h->roots * sizeof *f->roots);
    f->first = cut(at, &used, h->single ? 0 : (h->leaves + 1) * sizeof *f->first);
    f->targets = cut(at, &used, h->entries * sizeof *f->targets);
    f->weights = cut(at, &used, h->entries * sizeof *f->weights);
    f->sets = cut(at, &used, h->sets ? h->forks * sizeof *f->sets : 0);
    f->members = cut(at, &used, h->sets ? h->members * sizeof *f->members : 0);
    return used;
}

static struct form form_of(const struct forest *f) {
    struct form h = {.forks = f->n_forks,
                     .roots = f->n_roots,
                     .leaves = f->n_leaves,
                     .entries = f->n_entries,
                     .members = f->n_members,
                     .targets = f->n_targets,
                     .features = f->n_features,
                     .steps = f->steps,
                     .sum = f->sum,
                     .positive = f->positive,
                     .one_target = f->one_target,
                     .sets = f->sets != NULL,
                     .single = f->first == NULL};
    h.bytes = lay_out(&h, NULL, &(struct forest){0});
    return h;
}

static struct forest forest_of(const struct form *h, void *arrays) {
    struct forest f = {.n_forks = h->forks,
                       .n_roots = h->roots,
                       .n_leaves = h->leaves,
                       .n_entries = h->entries,
                       .n_members = h->members,
                       .n_targets = h->targets,
                       .n_features = h->features,
                       .steps = h->steps,
                       .sum = (enum forest_sum)h->sum,
                       .positive = h->positive,
                       .one_target = h->one_target};
    (void)lay_out(h, arrays, &f);
    return f;
}

enum part { PART_FOREST = PACK_OTHER + 0xf0e, PART_HEAD, PART_ARRAYS };

/* Memory by the name of the constant that stands for the node. */
static void *take(struct op_prepare *c, const void *constant, enum part part, size_t bytes,
                  bool *filled) {
    *filled = false;
    if (!c->packs)
        return arena_push_aligned(c->arena, bytes, MEM_LINE);
    return c->packs->get(c->packs, constant, part, bytes, part != PART_FOREST, filled);
}

/* A leaf that no number leads away from. */
static bool stays(const struct forest *f, uint32_t k) {
    const double split = leaf_split(leaf_of(f, k));
    return memcmp(&split, &f->forks[k].split, sizeof split) == 0 && leaf_of(f, k) < f->n_leaves &&
           f->missing[k] == MISSING_RIGHT;
}

/* Forks lead to forks behind them, leaves to leaves that are there, and no walk is longer than its
 * root says. depth: (n_forks). Forks that lead back, as where branches meet again, are not looked
 * through: such a forest is packed anew. */
static bool forks_end(const struct forest *f, uint32_t *depth) {
    enum { UNUSED = UINT32_MAX >> 1 }; /* the fork beside a root */
    for (size_t k = f->n_forks; k-- > FIRST_FORK;) {
        const struct forest_fork *fork = &f->forks[k];
        const size_t left = fork->left;
        const bool leaf = left + 1 == k, unused = left == 0;
        if ((fork->feature && fork->feature >= f->n_features) || (leaf && !stays(f, (uint32_t)k)) ||
            (!leaf && !unused && (left <= k || left + 1 >= f->n_forks)))
            return false;
        if (unused)
            depth[k] = UNUSED;
        else if (!leaf)
            depth[k] = 1 + (depth[left] > depth[left + 1] ? depth[left] : depth[left + 1]);
    }
    for (size_t k = 0; k < f->n_roots; k++) {
        const struct forest_root *r = &f->roots[k];
        if (r->at < FIRST_FORK || r->at >= f->n_forks || r->most >= f->n_forks ||
            r->least > r->most || depth[r->at] > r->most)
            return false;
    }
    return true;
}

static bool leaves_fit(const struct forest *f) {
    bool fit = f->first || f->n_leaves == f->n_entries;
    for (size_t k = 0; k < f->n_entries; k++)
        fit = fit && f->targets[k] < f->n_targets;
    for (size_t k = 0; f->first && k <= f->n_leaves; k++)
        fit = fit && f->first[k] <= f->n_entries;
    for (size_t k = 0; f->sets && k < f->n_forks; k++)
        fit = fit && f->sets[k].first <= f->n_members &&
              f->sets[k].n <= f->n_members - f->sets[k].first;
    return fit;
}

/* What a disk gave is looked through once; a walk needs no checks. */
static bool is_sound(const struct forest *f) {
    uint32_t *depth = mem_zalloc(f->n_forks, sizeof *depth);
    const bool sound = depth && leaves_fit(f) && forks_end(f, depth);
    mem_free(depth);
    return sound;
}

/* No product of it overflows, and its arrays are as long as it says. */
static bool fits(const struct form *h) {
    const uint64_t counts[] = {h->forks, h->roots, h->leaves, h->entries, h->members};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
        if (counts[k] > UINT32_MAX)
            return false;
    return lay_out(h, NULL, &(struct forest){0}) == h->bytes;
}

/* As an earlier session packed it. */
static bool find_kept(const struct op_prepare *c, const void *constant, size_t targets,
                      struct forest *out) {
    if (!c->packs)
        return false;
    const struct form *h = c->packs->find(c->packs, constant, PART_HEAD, sizeof *h);
    void *arrays =
        h ? (void *)(uintptr_t)c->packs->find(c->packs, constant, PART_ARRAYS, h->bytes) : NULL;
    if (!arrays || h->targets != targets || !fits(h))
        return false;
    struct forest f = forest_of(h, arrays);
    f.ready = is_sound(&f);
    if (f.ready)
        *out = f;
    return f.ready;
}

enum code forest_find(struct op_prepare *c, const void *constant, size_t targets,
                      struct forest **out, struct err *e) {
    bool filled;
    struct forest *f = take(c, constant, PART_FOREST, sizeof *f, &filled);
    if (!f)
        return arena_fail(c->arena, sizeof *f, "a forest", e);
    if (!f->ready)
        (void)find_kept(c, constant, targets, f);
    *out = f;
    return OK;
}

/* Room for the largest possible packed form of this draft. */
static enum code make_room(struct arena *a, const struct forest_draft *d, struct forest *f,
                           struct err *e) {
    struct form most = {.forks = FIRST_FORK + 2 * d->n_starts,
                        .roots = d->n_starts,
                        .leaves = d->n_leaves,
                        .entries = d->n_entries,
                        .members = d->members ? tensor_count(d->members) : 0};
    for (size_t k = 0; k < d->n_branches; k++) {
        const struct forest_branch *b = &d->branches[k];
        most.forks += asks_equal(b) ? 4 : b->mode == FOREST_NONE ? 0 : 2;
        most.sets = most.sets || b->mode == FOREST_MEMBER;
    }
    const size_t bytes = lay_out(&most, NULL, f);
    char *arrays = arena_push_aligned(a, bytes, MEM_LINE);
    if (!arrays)
        return arena_fail(a, bytes, "a forest", e);
    (void)lay_out(&most, arrays, f);
    f->n_members = most.sets ? most.members : 0;
    return OK;
}

/* Memory to be written: of the plan where the packs have something already, which was not sound. */
static void *take_new(struct op_prepare *c, const void *constant, enum part part, size_t bytes) {
    bool filled;
    void *to = take(c, constant, part, bytes, &filled);
    return filled ? arena_push_aligned(c->arena, bytes, MEM_LINE) : to;
}

/* From the moment's memory to where it lasts. */
static enum code settle(struct op_prepare *c, const void *constant, const struct forest *f,
                        struct forest *out, struct err *e) {
    const struct form h = form_of(f);
    struct form *head = take_new(c, constant, PART_HEAD, sizeof h);
    char *arrays = head ? take_new(c, constant, PART_ARRAYS, h.bytes) : NULL;
    if (!arrays)
        return arena_fail(c->arena, h.bytes, "a forest", e);
    struct forest to = forest_of(&h, arrays);
    *head = h;
    memcpy(to.forks, f->forks, f->n_forks * sizeof *f->forks);
    memcpy(to.missing, f->missing, f->n_forks);
    memcpy(to.roots, f->roots, f->n_roots * sizeof *f->roots);
    if (f->first)
        memcpy(to.first, f->first, (f->n_leaves + 1) * sizeof *f->first);
    memcpy(to.targets, f->targets, f->n_entries * sizeof *f->targets);
    memcpy(to.weights, f->weights, f->n_entries * sizeof *f->weights);
    if (f->sets) {
        memcpy(to.sets, f->sets, f->n_forks * sizeof *f->sets);
        memcpy(to.members, f->members, f->n_members * sizeof *f->members);
    }
    to.ready = true;
    *out = to;
    return OK;
}

enum code forest_pack(struct op_prepare *c, struct arena *a, const void *constant,
                      const struct forest_draft *d, struct forest *out, struct err *e) {
    struct forest f = {.n_forks = FIRST_FORK, .n_roots = d->n_starts, .n_targets = d->n_targets};
    struct packer p = {.draft = d, .f = &f, .where = OPERAND_AT(c)};
    p.marks = ARENA_ARRAY(a, d->n_branches + 1, struct mark);
    p.stack = ARENA_ARRAY(a, d->n_branches + 1, uint32_t);
    p.leaf_number = ARENA_ARRAY(a, d->n_leaves + 1, uint32_t);
    if (!p.marks || !p.stack || !p.leaf_number)
        return arena_fail(a, d->n_branches * sizeof *p.marks, "a forest", e);
    for (size_t k = 0; k < d->n_starts; k++)
        if (!d->starts[k].leaf)
            TRY(measure(&p, d->starts[k].at, e));
    f.sum = d->sum;
    TRY(make_room(a, d, &f, e));
    for (size_t k = 0; f.sets && k < f.n_members; k++)
        f.members[k] = tensor_f64(d->members, k);
    for (size_t k = 0; k < d->n_starts; k++)
        put_tree(&p, k);
    look_at_entries(&f);
    return settle(c, constant, &f, out, e);
}

/* --- walking --- */

enum questions { PLAIN, WITH_MISSING, WITH_SETS };

static bool is_member(const struct forest *f, const struct forest_set *s, double x) {
    for (uint32_t k = 0; k < s->n; k++)
        if (f->members[s->first + k] == x)
            return true;
    return false;
}

static inline __attribute__((always_inline)) uint32_t step(const struct forest *f, uint32_t at,
                                                           const double *x, size_t stride,
                                                           enum questions questions) {
    const struct forest_fork *fork = &f->forks[at];
    const double v = x[fork->feature * stride];
    uint32_t right = !(v <= fork->split);
    if (questions == WITH_SETS && f->missing[at] & MISSING_SET)
        right = !is_member(f, &f->sets[at], v);
    if (questions != PLAIN)
        right = isnan(v) ? f->missing[at] & MISSING_RIGHT : right;
    return fork->left + right;
}

/* LANES walks from p[] to their leaves: lane k reads feature i at x[i * stride + k * lane]. */
static inline __attribute__((always_inline)) void walk(const struct forest *f, uint32_t *at,
                                                       uint32_t least, uint32_t most,
                                                       const double *x, size_t stride, size_t lane,
                                                       enum questions questions) {
    uint32_t p[LANES];
    bool moved = true;
    for (int k = 0; k < LANES; k++)
        p[k] = at[k];
    for (uint32_t n = 0; n < least; n++)
#pragma GCC unroll 8
        for (size_t k = 0; k < LANES; k++)
            p[k] = step(f, p[k], x + k * lane, stride, questions);
    for (uint32_t n = least; n < most && moved; n++) {
        uint32_t differ = 0;
#pragma GCC unroll 8
        for (size_t k = 0; k < LANES; k++) {
            uint32_t next = step(f, p[k], x + k * lane, stride, questions);
            differ |= next ^ p[k];
            p[k] = next;
        }
        moved = differ != 0;
    }
    for (int k = 0; k < LANES; k++)
        at[k] = p[k];
}

/* x: (features, LANES) */
static void walk_rows(const struct forest *f, const struct forest_root *root, const double *x,
                      enum questions questions, uint32_t *at) {
    for (int k = 0; k < LANES; k++)
        at[k] = root->at;
    if (questions == PLAIN)
        walk(f, at, root->least, root->most, x, LANES, 1, PLAIN);
    else if (questions == WITH_MISSING)
        walk(f, at, root->least, root->most, x, LANES, 1, WITH_MISSING);
    else
        walk(f, at, root->least, root->most, x, LANES, 1, WITH_SETS);
}

/* x: (features); the last trees of a forest are walked again where there are fewer than LANES. */
static void walk_trees(const struct forest *f, size_t tree, const double *x,
                       enum questions questions, uint32_t *at) {
    uint32_t least = UINT32_MAX, most = 0;
    for (size_t k = 0; k < LANES; k++) {
        const struct forest_root *r = &f->roots[tree + k < f->n_roots ? tree + k : tree];
        at[k] = r->at;
        least = least < r->least ? least : r->least;
        most = most > r->most ? most : r->most;
    }
    if (questions == PLAIN)
        walk(f, at, least, most, x, 1, 0, PLAIN);
    else if (questions == WITH_MISSING)
        walk(f, at, least, most, x, 1, 0, WITH_MISSING);
    else
        walk(f, at, least, most, x, 1, 0, WITH_SETS);
}

/* --- sums --- */

/* Sums of a row and how many leaves gave to each. */
struct sums {
    double *v;        /* (n_targets) */
    uint32_t *counts; /* (n_targets) */
};

static void add_entries(const struct forest *f, uint32_t leaf, const struct sums *s) {
    for (uint32_t k = f->first[leaf]; k < f->first[leaf + 1]; k++)
        s->v[f->targets[k]] += f->weights[k];
}

static void take_extreme(const struct forest *f, uint32_t leaf, const struct sums *s) {
    const uint32_t begin = f->first ? f->first[leaf] : leaf;
    const uint32_t end = f->first ? f->first[leaf + 1] : leaf + 1;
    for (uint32_t k = begin; k < end; k++) {
        const uint32_t target = f->targets[k];
        const double w = f->weights[k], v = s->v[target];
        const bool first = s->counts[target]++ == 0;
        s->v[target] = first || (f->sum == FOREST_MIN ? w < v : w > v) ? w : v;
    }
}

static void add_leaf(const struct forest *f, uint32_t at, const struct sums *s) {
    const uint32_t leaf = leaf_of(f, at);
    if (f->sum == FOREST_MIN || f->sum == FOREST_MAX)
        take_extreme(f, leaf, s);
    else if (f->first)
        add_entries(f, leaf, s);
    else
        s->v[f->targets[leaf]] += f->weights[leaf];
}

/* --- blocks of rows --- */

struct block {
    const struct tensor *x;
    size_t row, rows, features;
    double *values;   /* (rows / LANES, features, LANES), then (rows % LANES, features) */
    struct sums sums; /* (rows, n_targets) */
};

static bool copy_row(const struct tensor *x, size_t at, size_t n, double *to, size_t stride) {
    bool missing = false;
    if (x->dtype == DT_F32) {
        const float *from = (const float *)x->data + at;
        for (size_t k = 0; k < n; k++) {
            to[k * stride] = (double)from[k];
            missing |= isnan(from[k]);
        }
        return missing;
    }
    for (size_t k = 0; k < n; k++) {
        to[k * stride] = tensor_f64(x, at + k);
        missing |= isnan(to[k * stride]);
    }
    return missing;
}

static enum questions read_rows(const struct forest *f, const struct block *b) {
    const size_t whole = b->rows / LANES * LANES;
    bool missing = false;
    for (size_t k = 0; k < b->rows; k++) {
        const bool side = k < whole;
        double *to =
            b->values + (side ? k / LANES * LANES : k) * b->features + (side ? k % LANES : 0);
        missing |= copy_row(b->x, (b->row + k) * b->features, b->features, to, side ? LANES : 1);
    }
    return f->sets ? WITH_SETS : missing ? WITH_MISSING : PLAIN;
}

static struct sums sums_of(const struct forest *f, const struct block *b, size_t row) {
    return (struct sums){b->sums.v + row * f->n_targets, b->sums.counts + row * f->n_targets};
}

static void sum_block(const struct forest *f, const struct block *b) {
    const size_t whole = b->rows / LANES * LANES;
    const enum questions questions = read_rows(f, b);
    uint32_t at[LANES];
    memset(b->sums.v, 0, b->rows * f->n_targets * sizeof *b->sums.v);
    memset(b->sums.counts, 0, b->rows * f->n_targets * sizeof *b->sums.counts);
    for (size_t tree = 0; tree < f->n_roots; tree++)
        for (size_t row = 0; row < whole; row += LANES) {
            walk_rows(f, &f->roots[tree], b->values + row * b->features, questions, at);
            for (size_t k = 0; k < LANES; k++) {
                const struct sums s = sums_of(f, b, row + k);
                add_leaf(f, at[k], &s);
            }
        }
    for (size_t row = whole; row < b->rows; row++) {
        const struct sums s = sums_of(f, b, row);
        for (size_t tree = 0; tree < f->n_roots; tree += LANES) {
            walk_trees(f, tree, b->values + row * b->features, questions, at);
            for (size_t k = 0; k < LANES && tree + k < f->n_roots; k++)
                add_leaf(f, at[k], &s);
        }
    }
    for (size_t k = 0; k < b->rows * f->n_targets && f->sum == FOREST_AVERAGE && f->n_roots; k++)
        b->sums.v[k] /= (double)f->n_roots;
}

static size_t block_rows(const struct forest *f, size_t rows, size_t features) {
    size_t fit = BLOCK_BYTES / sizeof(double) / (features ? features : 1) / LANES * LANES;
    fit = fit < LANES ? LANES : fit > BLOCK_ROWS ? BLOCK_ROWS : fit;
    if (f->n_targets > SUMS_BYTES / sizeof(double) / BLOCK_ROWS)
        fit = 1;
    return rows < fit ? rows : fit;
}

static size_t block_bytes(const struct forest *f, size_t rows, size_t features) {
    const size_t bytes =
        rows * (features * sizeof(double) + f->n_targets * (sizeof(double) + sizeof(uint32_t)));
    return (bytes + MEM_LINE - 1) / MEM_LINE * MEM_LINE;
}

enum code forest_scratch(struct op_prepare *c, const struct forest *f, size_t rows, size_t features,
                         struct err *e) {
    if (f->n_features > features)
        return operand_fail(c, e, INVALID, "a tree asks for feature %zu of %zu", f->n_features - 1,
                            features);
    c->scratch_bytes = (size_t)c->threads * block_bytes(f, block_rows(f, rows, features), features);
    return OK;
}

void forest_run(const struct op_call *c, const struct forest *f, size_t rows, size_t features,
                forest_finish_fn *finish) {
    const size_t room = block_rows(f, rows, features);
    const int team = team_size(c->threads, (double)rows * f->steps * STEP_NS);
#pragma omp parallel for num_threads(team) if (team > 1)
    for (int part = 0; part < team; part++) {
        const size_t end = team_cut(rows, room, team, part + 1);
        char *scratch = (char *)c->scratch + (size_t)part * block_bytes(f, room, features);
        struct block b = {.x = c->in[0], .features = features, .values = (double *)scratch};
        b.sums.v = b.values + room * features;
        b.sums.counts = (uint32_t *)(b.sums.v + room * f->n_targets);
        for (b.row = team_cut(rows, room, team, part); b.row < end; b.row += b.rows) {
            b.rows = end - b.row < room ? end - b.row : room;
            sum_block(f, &b);
            for (size_t k = 0; k < b.rows; k++)
                finish(c, b.row + k, b.sums.v + k * f->n_targets);
        }
    }
}
