/* SPDX-License-Identifier: Apache-2.0 */
/* The forward pass on tiny random models: a row's numbers are the same alone, in any batch, with
 * any chunking and any number of threads, in every architecture and type; prefixes are shared; what
 * is wrong is refused by name. That the numbers are right is tests/golden's. */
#include "llm/forward.c"

#include "tiny.h"

#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

enum { TEXTS = 5, LONGEST = 40 };
static const size_t lengths[TEXTS] = {1, 40, 17, 16, 33};

static int32_t token_at(size_t text, size_t position) {
    return (int32_t)((text * 31 + position * 17 + position * position) % TINY_VOCAB);
}

static struct forward *open_tiny(const struct tiny *t, const struct forward_options *o) {
    struct forward *f = NULL;
    struct llm_facts facts;
    struct err e;
    if (llm_facts_read(t->model, &facts, &e) != OK || forward_check(t->model, &e) != OK ||
        forward_open(t->model, &facts, o, &f, &e) != OK)
        fail_msg("%s: %s", t->arch, e.text);
    return f;
}

static const float *step(struct forward *f, const struct forward_row *rows, size_t n) {
    const float *logits = NULL;
    struct err e;
    for (size_t i = 0; i < n; i++)
        if (kv_reserve(forward_kv(f), rows[i].sequence, (size_t)rows[i].position + 1, &e) != OK)
            fail_msg("%s", e.text);
    if (forward_step(f, rows, n, &logits, &e) != OK)
        fail_msg("%s", e.text);
    return logits;
}

/* Logits of every position of every text, one token at a time, one thread. */
static float alone[TEXTS][LONGEST][TINY_VOCAB];
static void run_alone(const struct tiny *t, enum dtype kv) {
    struct forward *f = open_tiny(t, &(struct forward_options){.threads = 1, .kv_dtype = kv});
    for (size_t text = 0; text < TEXTS; text++) {
        kv_release(forward_kv(f), 0);
        for (size_t i = 0; i < lengths[text]; i++) {
            struct forward_row row = {token_at(text, i), (int32_t)i, 0, true};
            memcpy(alone[text][i], step(f, &row, 1), sizeof alone[text][i]);
        }
    }
    forward_close(f);
}

/* All texts together in chunks of so many rows each, two threads. */
static void compare_together(const struct tiny *t, enum dtype kv, size_t chunk) {
    struct forward *f = open_tiny(
        t, &(struct forward_options){.threads = 2, .max_sequences = TEXTS, .kv_dtype = kv});
    size_t done[TEXTS] = {0};
    for (;;) {
        struct forward_row rows[TEXTS * LONGEST];
        size_t n = 0;
        for (size_t text = 0; text < TEXTS; text++)
            for (size_t i = 0; i < chunk && done[text] < lengths[text]; i++, done[text]++, n++)
                rows[n] = (struct forward_row){token_at(text, done[text]), (int32_t)done[text],
                                               (int32_t)text, (done[text] + text) % 3 != 1};
        if (n == 0)
            break;
        const float *logits = step(f, rows, n);
        for (size_t i = 0; i < n; i++) {
            if (!rows[i].want)
                continue;
            if (memcmp(logits, alone[rows[i].sequence][rows[i].position],
                       TINY_VOCAB * sizeof *logits) != 0)
                fail_msg("%s %s: text %d, position %d, chunks of %zu", t->arch,
                         dtype_name(t->matrices), rows[i].sequence, rows[i].position, chunk);
            logits += TINY_VOCAB;
        }
    }
    forward_close(f);
}

static void check_invariance(const char *arch, enum dtype matrices, int64_t experts,
                             enum dtype kv) {
    struct tiny t;
    tiny_make(&t, arch, matrices, experts);
    run_alone(&t, kv);
    for (size_t i = 0; i < TINY_VOCAB; i++)
        if (!(fabsf(alone[1][39][i]) < 1e4f))
            fail_msg("%s %s: logits are not finite", arch, dtype_name(matrices));
    assert_memory_not_equal(alone[1][39], alone[1][38], sizeof alone[1][39]);
    compare_together(&t, kv, 1);
    compare_together(&t, kv, 7);
    compare_together(&t, kv, LONGEST);
    arena_deinit(&t.arena);
}

static void test_rows_do_not_depend_on_each_other(void **state) {
    static const enum dtype types[] = {DT_F32,  DT_F16,  DT_BF16, DT_Q4_0,
                                       DT_Q4_1, DT_Q8_0, DT_Q4_K, DT_Q6_K};
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        check_invariance("llama", types[i], 0, DT_F16);
}

static void test_every_architecture(void **state) {
    static const char *const dense[] = {"qwen2", "qwen3", "gemma3", "phi3"};
    static const char *const sparse[] = {"llama", "qwen2moe", "qwen3moe"};
    (void)state;
    for (size_t i = 0; i < sizeof dense / sizeof dense[0]; i++)
        check_invariance(dense[i], DT_Q8_0, 0, DT_F16);
    for (size_t i = 0; i < sizeof sparse / sizeof sparse[0]; i++)
        check_invariance(sparse[i], DT_Q4_0, 6, DT_F16);
}

static void test_every_cache_type(void **state) {
    static const enum dtype types[] = {DT_F32, DT_BF16, DT_Q8_0};
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        check_invariance("llama", DT_Q4_0, 0, types[i]);
}

static void test_encoder_texts_do_not_depend_on_each_other(void **state) {
    static float together[TEXTS][256], one[256];
    struct tiny t;
    struct err e;
    (void)state;
    tiny_make(&t, "bert", DT_F32, 0);
    struct forward *f = open_tiny(&t, &(struct forward_options){.max_sequences = TEXTS});
    assert_true(forward_is_encoder(f));
    struct forward_row rows[TEXTS * LONGEST];
    size_t n = 0, starts[TEXTS];
    for (size_t text = 0; text < TEXTS; text++) {
        starts[text] = n;
        for (size_t i = 0; i < lengths[text]; i++)
            rows[n++] = (struct forward_row){token_at(text, i), (int32_t)i, (int32_t)text, false};
    }
    assert_int_equal(forward_embed(f, rows, n, together[0], &e), OK);
    for (size_t text = 0; text < TEXTS; text++) {
        assert_int_equal(forward_embed(f, rows + starts[text], lengths[text], one, &e), OK);
        assert_memory_equal(one, together[text], sizeof one);
        double square = 0;
        for (size_t i = 0; i < 256; i++)
            square += (double)one[i] * (double)one[i];
        assert_float_equal(square, 1, 1e-5);
    }
    assert_int_equal(kv_free_pages(forward_kv(f)), kv_pages(forward_kv(f)));
    const float *logits;
    assert_int_equal(forward_step(f, rows, 1, &logits, &e), ERR_UNSUPPORTED);
    forward_close(f);
    arena_deinit(&t.arena);
}

static void test_a_prefix_is_shared(void **state) {
    struct tiny t;
    (void)state;
    tiny_make(&t, "llama", DT_Q4_0, 0);
    run_alone(&t, DT_F16);
    struct forward *f = open_tiny(&t, &(struct forward_options){.max_sequences = 2});
    struct forward_row rows[LONGEST];
    for (size_t i = 0; i < LONGEST; i++)
        rows[i] = (struct forward_row){token_at(1, i), (int32_t)i, 0, false};
    step(f, rows, 36);
    kv_share(forward_kv(f), 0, 1, 32);
    kv_release(forward_kv(f), 0);
    for (size_t i = 32; i < LONGEST; i++)
        rows[i].sequence = 1, rows[i].want = i == LONGEST - 1;
    assert_memory_equal(step(f, rows + 32, LONGEST - 32), alone[1][LONGEST - 1],
                        sizeof alone[1][0]);
    forward_close(f);
    arena_deinit(&t.arena);
}

/* --- a keeper: all packs of one model --- */

enum { KEPT = 128 };
struct shelf {
    struct keeper face;
    struct {
        struct keeper_pack name;
        void *bytes;
    } kept[KEPT];
    size_t n, found;
    atomic_bool stop;
    size_t stop_at;
};

static const void *shelf_find(struct keeper *k, const struct keeper_pack *p) {
    struct shelf *s = (struct shelf *)k;
    for (size_t i = 0; i < s->n; i++) {
        const struct keeper_pack *q = &s->kept[i].name;
        if (q->constant == p->constant && q->packing == p->packing && q->bytes == p->bytes) {
            assert_string_equal(q->layout, p->layout);
            s->found++;
            return s->kept[i].bytes;
        }
    }
    return NULL;
}

static enum code shelf_keep(struct keeper *k, const struct keeper_pack *p, const void *packed,
                            struct err *e) {
    struct shelf *s = (struct shelf *)k;
    (void)e;
    assert_true(s->n < KEPT && !shelf_find(k, p));
    s->kept[s->n].name = *p;
    s->kept[s->n].bytes = mem_alloc_aligned(p->bytes, MEM_LINE);
    memcpy(s->kept[s->n].bytes, packed, p->bytes);
    if (++s->n == s->stop_at)
        atomic_store(&s->stop, true);
    return OK;
}

/* Logits of a model opened with packs, all, some or none of them there, are those without. */
static void check_kept(const char *arch, enum dtype matrices, int64_t experts, size_t stop_at) {
    struct tiny t;
    struct err e;
    float logits[TINY_VOCAB];
    struct shelf s = {.face = {shelf_find, shelf_keep}, .stop_at = stop_at};
    const struct forward_row row = {token_at(0, 0), 0, 0, true};
    tiny_make(&t, arch, matrices, experts);
    run_alone(&t, DT_F16);
    if (forward_keep(t.model, &s.face, &s.stop, &e) != OK)
        fail_msg("%s", e.text);
    assert_true(s.n > 0 && (!stop_at || s.n == stop_at));
    s.found = 0;
    struct forward *f = open_tiny(&t, &(struct forward_options){.keeper = &s.face});
    assert_int_equal(s.found, s.n); /* each once */
    assert_true((forward_packed_bytes(f) > 0) == (stop_at > 0));
    memcpy(logits, step(f, &row, 1), sizeof logits);
    assert_memory_equal(logits, alone[0][0], sizeof logits);
    forward_close(f);
    for (size_t i = 0; i < s.n; i++)
        mem_free(s.kept[i].bytes);
    arena_deinit(&t.arena);
}

static void test_kept_packs_are_used(void **state) {
    (void)state;
    check_kept("llama", DT_Q4_0, 0, 0);
    check_kept("llama", DT_F16, 0, 0);
    check_kept("phi3", DT_Q8_0, 0, 0);
    check_kept("qwen3moe", DT_Q4_0, 6, 0);
    check_kept("llama", DT_Q4_0, 0, 3); /* interrupted */
}

static atomic_bool stepped;
static void *step_in_thread(void *f) {
    struct forward_row row = {token_at(1, 0), 0, 0, true};
    step(f, &row, 1);
    atomic_store(&stepped, true);
    return NULL;
}

/* Who has the cores is not disturbed; a step takes what is free, and says the same on less. */
static void test_a_step_takes_cores_from_the_ledger(void **state) {
    struct tiny t;
    pthread_t thread;
    (void)state;
    tiny_make(&t, "llama", DT_Q4_0, 0);
    run_alone(&t, DT_F16);
    cores_setup(2);
    struct forward *f = open_tiny(&t, &(struct forward_options){.threads = 2});
    assert_int_equal(cores_take(2), 2);
    assert_int_equal(pthread_create(&thread, NULL, step_in_thread, f), 0);
    while (cores_waiting() == 0)
        sched_yield();
    assert_false(atomic_load(&stepped));
    cores_give(1);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&stepped));
    for (size_t i = 1; i < lengths[1]; i++) { /* one core, then two */
        struct forward_row row = {token_at(1, i), (int32_t)i, 0, true};
        if (i == 20)
            cores_give(1);
        assert_memory_equal(step(f, &row, 1), alone[1][i], sizeof alone[1][i]);
    }
    assert_int_equal(cores_take(2), 2);
    cores_give(2);
    forward_close(f);
    arena_deinit(&t.arena);
}

static void test_refusals(void **state) {
    struct tiny t;
    struct err e;
    const float *logits;
    (void)state;
    tiny_make(&t, "llama", DT_Q4_0, 0);
    struct forward *f = open_tiny(&t, &(struct forward_options){.max_sequences = 2});
    struct forward_row row = {TINY_VOCAB, 0, 0, true};
    assert_int_equal(forward_step(f, &row, 1, &logits, &e), ERR_INVALID);
    row = (struct forward_row){0, 0, 2, true};
    assert_int_equal(forward_step(f, &row, 1, &logits, &e), ERR_INVALID);
    row = (struct forward_row){0, 256, 0, true};
    assert_int_equal(forward_step(f, &row, 1, &logits, &e), ERR_LIMIT);
    row = (struct forward_row){0, 0, 0, true}; /* no room was made */
    assert_int_equal(forward_step(f, &row, 1, &logits, &e), ERR_INVALID);
    assert_int_equal(forward_step(f, &row, 0, &logits, &e), ERR_INVALID);
    assert_int_equal(kv_reserve(forward_kv(f), 0, 257, &e), ERR_LIMIT);
    forward_close(f);
    struct value *v =
        &t.model->main->values[graph_find(t.model->main, str_of("blk.1.ffn_up.weight"))];
    v->constant->shape.dims[0]--;
    assert_int_equal(forward_check(t.model, &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, "blk.1.ffn_up.weight"));
    v->name = str_of("else");
    assert_int_equal(forward_check(t.model, &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, "'blk.1.ffn_up.weight' is missing"));
    t.model->facts[0].s = str_of("rwkv");
    assert_int_equal(forward_check(t.model, &e), ERR_UNSUPPORTED);
    arena_deinit(&t.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_do_not_depend_on_each_other),
        cmocka_unit_test(test_every_architecture),
        cmocka_unit_test(test_every_cache_type),
        cmocka_unit_test(test_encoder_texts_do_not_depend_on_each_other),
        cmocka_unit_test(test_a_prefix_is_shared),
        cmocka_unit_test(test_kept_packs_are_used),
        cmocka_unit_test(test_a_step_takes_cores_from_the_ledger),
        cmocka_unit_test(test_refusals),
    };
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
