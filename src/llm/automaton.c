/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar's machine: see grammar.h. A stack is a chain of frames, the innermost last; frames
 * are numbered and shared, so that a state (a set of stacks) is a sorted list of numbers.
 *
 * A frame says where to go on: part `part` of the rules, for a repetition also how often its rule
 * was taken (no further than its minimum when it has no maximum). A frame that would only return to
 * the one below is left out, so that right recursion does not grow the stack. */
#include "llm/grammar_in.h"

#include "base/mem.h"

enum {
    BOTTOM = -1,
    UNKNOWN = -2,
    DEAD = -1,
    FRAMES = 1 << 21, /* of one machine */
    STATES = 1 << 20,
    WORK = 1 << 16,   /* frames looked at between two bytes */
    TOKEN_BYTES = 512 /* of a token; longer ones are never allowed */
};

struct frame {
    int32_t parent, part, count, depth;
    int32_t next;  /* in its bucket */
    uint32_t seen; /* stamp of the last expansion that met it */
};

struct state {
    int32_t *tops; /* (n) in the pool: frames at a byte or set */
    int32_t n;
    bool may_end;
    int32_t next;   /* in its bucket */
    int32_t *after; /* (256) owned: states, DEAD or UNKNOWN; NULL: none known */
    uint64_t *mask; /* owned; NULL: not made */
};

struct grammar_machine {
    const struct grammar *g;
    struct grammar *owned; /* the copy behind g, when it is ours */
    const struct grammar_vocab *v;
    struct frame *frames;
    size_t n_frames, room_frames;
    int32_t *frame_buckets;
    size_t frame_mask;
    struct state *states;
    size_t n_states, room_states;
    int32_t *state_buckets;
    size_t state_mask;
    int32_t *work, *tops; /* (WORK), (GRAMMAR_STACKS): scratch of an expansion */
    size_t n_work, n_tops;
    uint32_t stamp;
    bool may_end;
    size_t bytes;
};

/* --- vocabulary --- */

struct word {       /* a node of the tree, in depth-first order */
    uint32_t end;   /* behind its last descendant */
    uint32_t first; /* its tokens: ids[first .. first + n) */
    uint16_t n, depth;
    uint8_t byte;
};

struct grammar_vocab {
    const struct tokenizer *t;
    size_t n_tokens, n_words;
    struct word *words;
    int32_t *ids;
    uint64_t *ends; /* bit per end-of-generation token */
};

struct spelled {
    struct str text;
    int32_t id;
};

static int by_text(const void *a, const void *b) {
    const struct spelled *x = a, *y = b;
    size_t n = x->text.n < y->text.n ? x->text.n : y->text.n;
    int order = memcmp(x->text.p, y->text.p, n);
    if (order)
        return order;
    return x->text.n != y->text.n ? (x->text.n < y->text.n ? -1 : 1) : x->id - y->id;
}

static size_t shared(struct str a, struct str b) {
    size_t k = 0;
    while (k < a.n && k < b.n && a.p[k] == b.p[k])
        k++;
    return k;
}

static void close_words(struct grammar_vocab *v, uint32_t *open, size_t from, size_t to) {
    for (size_t d = from; d-- > to;)
        v->words[open[d]].end = (uint32_t)v->n_words;
}

static void build_words(struct grammar_vocab *v, const struct spelled *all, size_t n) {
    uint32_t open[TOKEN_BYTES];
    struct str last = {0};
    for (size_t i = 0; i < n; i++) {
        struct str text = all[i].text;
        size_t k = shared(last, text);
        close_words(v, open, last.n, k);
        for (size_t d = k; d < text.n; d++) {
            open[d] = (uint32_t)v->n_words;
            v->words[v->n_words++] = (struct word){
                .first = (uint32_t)i, .depth = (uint16_t)d, .byte = (uint8_t)text.p[d]};
        }
        v->words[open[text.n - 1]].n++;
        v->ids[i] = all[i].id;
        last = text;
    }
    close_words(v, open, last.n, 0);
}

enum code grammar_vocab_open(const struct tokenizer *t, struct grammar_vocab **out, struct err *e) {
    size_t n_tokens = tokenizer_vocab(t), n = 0, bytes = 0;
    struct grammar_vocab *v = mem_zalloc(1, sizeof *v);
    struct spelled *all = mem_alloc(n_tokens * sizeof *all);
    if (v) {
        v->ids = mem_alloc(n_tokens * sizeof *v->ids);
        v->ends = mem_zalloc((n_tokens + 63) / 64, sizeof *v->ends);
    }
    if (!v || !all || !v->ids || !v->ends)
        goto failed;
    v->t = t;
    v->n_tokens = n_tokens;
    for (size_t i = 0; i < n_tokens; i++) {
        struct str text = tokenizer_piece(t, (int32_t)i);
        if (tokenizer_ends(t, (int32_t)i)) {
            v->ends[i / 64] |= (uint64_t)1 << i % 64;
        } else if (text.n && text.n <= TOKEN_BYTES) {
            all[n++] = (struct spelled){text, (int32_t)i};
            bytes += text.n;
        }
    }
    v->words = mem_alloc(bytes * sizeof *v->words);
    if (!v->words)
        goto failed;
    qsort(all, n, sizeof *all, by_text);
    build_words(v, all, n);
    mem_free(all);
    *out = v;
    return OK;
failed:
    mem_free(all);
    grammar_vocab_close(v);
    return fail(e, NOMEM, "no memory for a tree of %zu tokens", n_tokens);
}

void grammar_vocab_close(struct grammar_vocab *v) {
    if (!v)
        return;
    mem_free(v->words);
    mem_free(v->ids);
    mem_free(v->ends);
    mem_free(v);
}

/* --- frames --- */

static bool grow(struct grammar_machine *m, void **array, size_t *room, size_t n, size_t bytes,
                 size_t most) {
    if (n < *room)
        return true;
    size_t more = *room ? *room * 2 : 256;
    void *p = n < most ? mem_realloc(*array, more * bytes) : NULL;
    if (!p)
        return false;
    m->bytes += (more - *room) * bytes;
    *array = p;
    *room = more;
    return true;
}

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

/* The frame's number; DEAD when there is no room or it would be too deep. */
static int32_t frame_of(struct grammar_machine *m, int32_t parent, int32_t part, int32_t count) {
    uint64_t h = mix(mix(mix(1, (uint32_t)parent), (uint32_t)part), (uint32_t)count);
    int32_t *bucket = &m->frame_buckets[h & m->frame_mask];
    for (int32_t f = *bucket; f >= 0; f = m->frames[f].next)
        if (m->frames[f].parent == parent && m->frames[f].part == part &&
            m->frames[f].count == count)
            return f;
    int32_t depth = parent == BOTTOM ? 0 : m->frames[parent].depth + 1;
    if (depth > GRAMMAR_DEPTH ||
        !grow(m, (void **)&m->frames, &m->room_frames, m->n_frames, sizeof *m->frames, FRAMES))
        return DEAD;
    int32_t f = (int32_t)m->n_frames++;
    m->frames[f] = (struct frame){parent, part, count, depth, *bucket, 0};
    *bucket = f;
    return f;
}

/* --- expansion: from where to go on to the bytes that may come --- */

static void visit(struct grammar_machine *m, int32_t parent, int32_t part, int32_t count) {
    int32_t f = frame_of(m, parent, part, count);
    if (f < 0 || m->frames[f].seen == m->stamp || m->n_work == WORK)
        return;
    m->frames[f].seen = m->stamp;
    m->work[m->n_work++] = f;
}

static void enter(struct grammar_machine *m, int32_t parent, int32_t rule) {
    const struct rule *k = &m->g->rules[rule];
    for (int32_t i = 0; i < k->n; i++)
        visit(m, parent, m->g->starts[k->first + i], 0);
}

/* A frame below whatever is entered at `part`; the one below it when it would only return. */
static bool push(struct grammar_machine *m, int32_t parent, int32_t part, int32_t count,
                 bool returns, int32_t *out) {
    *out = returns ? parent : frame_of(m, parent, part, count);
    return returns || *out >= 0;
}

static void expand_repeat(struct grammar_machine *m, struct frame f, const struct part *p) {
    int32_t below, count = f.count + 1;
    if (f.count >= p->min)
        visit(m, f.parent, f.part + 1, 0);
    if (p->max >= 0 && f.count >= p->max)
        return;
    if (p->max < 0 && count > p->min)
        count = p->min;
    bool returns = count == p->max && p[1].kind == PART_END;
    if (push(m, f.parent, f.part, count, returns, &below))
        enter(m, below, p->what);
}

static void expand(struct grammar_machine *m, int32_t index) {
    struct frame f = m->frames[index];
    const struct part *p = &m->g->parts[f.part];
    int32_t below;
    switch (p->kind) {
    case PART_END:
        if (f.parent == BOTTOM) {
            m->may_end = true;
        } else {
            struct frame to = m->frames[f.parent];
            visit(m, to.parent, to.part, to.count);
        }
        break;
    case PART_BYTE:
    case PART_SET:
        if (m->n_tops < GRAMMAR_STACKS)
            m->tops[m->n_tops++] = index;
        break;
    case PART_RULE:
        if (push(m, f.parent, f.part + 1, 0, p[1].kind == PART_END, &below))
            enter(m, below, p->what);
        break;
    case PART_REPEAT: expand_repeat(m, f, p); break;
    }
}

static void expand_all(struct grammar_machine *m) {
    for (size_t i = 0; i < m->n_work; i++)
        expand(m, m->work[i]);
}

static void begin_expansion(struct grammar_machine *m) {
    m->n_work = m->n_tops = 0;
    m->may_end = false;
    m->stamp++;
}

static int ascending(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

/* The number of the state just expanded; DEAD when nothing goes on or the caps are met. */
static int32_t state_of(struct grammar_machine *m) {
    size_t n = m->n_tops;
    uint64_t h = mix(2, m->may_end);
    if (m->n_work == WORK || n == GRAMMAR_STACKS || (n == 0 && !m->may_end))
        return DEAD;
    qsort(m->tops, n, sizeof *m->tops, ascending);
    for (size_t i = 0; i < n; i++)
        h = mix(h, (uint32_t)m->tops[i]);
    int32_t *bucket = &m->state_buckets[h & m->state_mask];
    for (int32_t s = *bucket; s >= 0; s = m->states[s].next) {
        const struct state *k = &m->states[s];
        if (k->may_end == m->may_end && (size_t)k->n == n &&
            memcmp(k->tops, m->tops, n * sizeof *k->tops) == 0)
            return s;
    }
    if (!grow(m, (void **)&m->states, &m->room_states, m->n_states, sizeof *m->states, STATES))
        return DEAD;
    int32_t *tops = mem_alloc(n * sizeof *tops);
    if (!tops)
        return DEAD;
    memcpy(tops, m->tops, n * sizeof *tops);
    m->bytes += n * sizeof *tops;
    m->states[m->n_states] =
        (struct state){.tops = tops, .n = (int32_t)n, .may_end = m->may_end, .next = *bucket};
    *bucket = (int32_t)m->n_states;
    return (int32_t)m->n_states++;
}

static bool takes(const struct grammar *g, const struct part *p, uint8_t byte) {
    return p->kind == PART_BYTE ? p->what == byte : byteset_has(&g->sets[p->what], byte);
}

static int32_t step(struct grammar_machine *m, int32_t s, uint8_t byte) {
    enum { AFTER = 256 };
    if (!m->states[s].after) {
        int32_t *after = mem_alloc(AFTER * sizeof *after);
        if (!after)
            return DEAD;
        for (int i = 0; i < AFTER; i++)
            after[i] = UNKNOWN;
        m->states[s].after = after;
        m->bytes += AFTER * sizeof *after;
    }
    int32_t to = m->states[s].after[byte];
    if (to != UNKNOWN)
        return to;
    begin_expansion(m);
    for (int32_t i = 0; i < m->states[s].n; i++) {
        struct frame f = m->frames[m->states[s].tops[i]];
        if (takes(m->g, &m->g->parts[f.part], byte))
            visit(m, f.parent, f.part + 1, 0);
    }
    expand_all(m);
    to = state_of(m);
    m->states[s].after[byte] = to;
    return to;
}

static int32_t step_text(struct grammar_machine *m, int32_t s, struct str text) {
    for (size_t i = 0; i < text.n && s >= 0; i++)
        s = step(m, s, (uint8_t)text.p[i]);
    return s;
}

/* --- the machine --- */

static int32_t *buckets(size_t n) {
    int32_t *p = mem_alloc(n * sizeof *p);
    for (size_t i = 0; p && i < n; i++)
        p[i] = -1;
    return p;
}

static enum code machine_new(const struct grammar *g, struct grammar_machine **out, struct err *e) {
    enum { BUCKETS = 1 << 14 };
    struct grammar_machine *m = mem_zalloc(1, sizeof *m);
    if (!m)
        return fail(e, NOMEM, "no memory for a grammar's machine");
    m->g = g;
    m->frame_buckets = buckets(BUCKETS);
    m->state_buckets = buckets(BUCKETS);
    m->frame_mask = m->state_mask = BUCKETS - 1;
    m->work = mem_alloc(WORK * sizeof *m->work);
    m->tops = mem_alloc(GRAMMAR_STACKS * sizeof *m->tops);
    if (!m->frame_buckets || !m->state_buckets || !m->work || !m->tops) {
        grammar_machine_close(m);
        return fail(e, NOMEM, "no memory for a grammar's machine");
    }
    *out = m;
    return OK;
}

enum code grammar_machine_open(const struct grammar *g, const struct grammar_vocab *v,
                               struct grammar_machine **out, struct err *e) {
    struct grammar *copy;
    TRY(grammar_parse(grammar_text(g), &copy, e));
    enum code code = machine_new(copy, out, e);
    if (code != OK) {
        grammar_close(copy);
        return code;
    }
    (*out)->owned = copy;
    (*out)->v = v;
    return OK;
}

void grammar_machine_close(struct grammar_machine *m) {
    if (!m)
        return;
    for (size_t i = 0; i < m->n_states; i++) {
        mem_free(m->states[i].tops);
        mem_free(m->states[i].after);
        mem_free(m->states[i].mask);
    }
    mem_free(m->states);
    mem_free(m->frames);
    mem_free(m->frame_buckets);
    mem_free(m->state_buckets);
    mem_free(m->work);
    mem_free(m->tops);
    grammar_close(m->owned);
    mem_free(m);
}

const struct grammar *grammar_machine_grammar(const struct grammar_machine *m) { return m->g; }
size_t grammar_machine_bytes(const struct grammar_machine *m) { return m->bytes; }

enum code grammar_begin(struct grammar_machine *m, int32_t *state, struct err *e) {
    begin_expansion(m);
    enter(m, BOTTOM, m->g->root);
    expand_all(m);
    int32_t s = state_of(m);
    if (s < 0)
        return fail(e, LIMIT, "the grammar is too ambiguous: over %d ways to begin",
                    GRAMMAR_STACKS);
    *state = s;
    return OK;
}

bool grammar_may_end(const struct grammar_machine *m, int32_t s) { return m->states[s].may_end; }
bool grammar_must_end(const struct grammar_machine *m, int32_t s) {
    return m->states[s].may_end && m->states[s].n == 0;
}

static bool is_end(const struct grammar_machine *m, int32_t token) {
    return m->v->ends[token / 64] >> (token % 64) & 1;
}

bool grammar_allows(struct grammar_machine *m, int32_t s, int32_t token) {
    if (is_end(m, token))
        return m->states[s].may_end;
    struct str text = tokenizer_piece(m->v->t, token);
    return text.n && text.n <= TOKEN_BYTES && step_text(m, s, text) >= 0;
}

enum code grammar_push(struct grammar_machine *m, int32_t *state, int32_t token, struct err *e) {
    if (is_end(m, token))
        return OK;
    int32_t s = step_text(m, *state, tokenizer_piece(m->v->t, token));
    if (s < 0)
        return fail(e, INTERNAL, "a token was drawn that the grammar does not allow");
    *state = s;
    return OK;
}

static bool fill_mask(struct grammar_machine *m, int32_t from, uint64_t *mask) {
    const struct grammar_vocab *v = m->v;
    int32_t at[TOKEN_BYTES + 1];
    bool any = false;
    at[0] = from;
    for (size_t i = 0; i < v->n_words;) {
        const struct word *w = &v->words[i];
        int32_t s = step(m, at[w->depth], w->byte);
        if (s < 0) {
            i = w->end;
            continue;
        }
        at[w->depth + 1] = s;
        for (uint32_t k = 0; k < w->n; k++) {
            int32_t id = v->ids[w->first + k];
            mask[id / 64] |= (uint64_t)1 << id % 64;
            any = true;
        }
        i++;
    }
    return any;
}

enum code grammar_mask(struct grammar_machine *m, int32_t s, const uint64_t **out, struct err *e) {
    size_t words = (m->v->n_tokens + 63) / 64;
    if (!m->states[s].mask) {
        uint64_t *mask = mem_zalloc(words, sizeof *mask);
        if (!mask)
            return fail(e, NOMEM, "no memory for a grammar's mask");
        m->bytes += words * sizeof *mask;
        bool any = fill_mask(m, s, mask);
        for (size_t i = 0; m->states[s].may_end && i < words; i++) {
            mask[i] |= m->v->ends[i];
            any = any || m->v->ends[i];
        }
        if (!any) {
            mem_free(mask);
            return fail(e, LIMIT,
                        "no token can continue the text: it nests deeper than %d, or the "
                        "vocabulary cannot spell what the grammar wants",
                        GRAMMAR_DEPTH);
        }
        m->states[s].mask = mask;
    }
    *out = m->states[s].mask;
    return OK;
}

bool grammar_matches(const struct grammar *g, struct str text) {
    struct grammar_machine *m;
    struct err e;
    int32_t s;
    if (machine_new(g, &m, &e) != OK)
        return false;
    bool yes =
        grammar_begin(m, &s, &e) == OK && (s = step_text(m, s, text)) >= 0 && grammar_may_end(m, s);
    grammar_machine_close(m);
    return yes;
}
