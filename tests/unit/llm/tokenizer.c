/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers on vocabularies small enough to follow by hand: every kind, special tokens, what comes
 * out piece by piece, and files that lie. */
#include "llm/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MOST = 24 };

struct toy { /* a model of facts only */
    struct model m;
    struct attr facts[12];
    struct str names[MOST], merges[MOST];
    int64_t kinds[MOST];
    float scores[MOST];
    size_t n;
};

static struct attr *fact(struct toy *t, const char *name, enum attr_kind kind) {
    struct attr *a = &t->facts[t->m.n_facts++];
    *a = (struct attr){.name = str_of(name), .kind = kind};
    t->m.facts = t->facts;
    return a;
}

static void toy_begin(struct toy *t, const char *kind) {
    *t = (struct toy){0};
    fact(t, "tok.kind", ATTR_STR)->s = str_of(kind);
}

static void token(struct toy *t, const char *name, int kind, float score) {
    t->names[t->n] = str_of(name);
    t->kinds[t->n] = kind;
    t->scores[t->n++] = score;
}

static void toy_end(struct toy *t, bool scores) {
    struct attr *a = fact(t, "tok.tokens", ATTR_STRS);
    a->strs = t->names;
    a->n = t->n;
    a = fact(t, "tok.types", ATTR_INTS);
    a->ints = t->kinds;
    a->n = t->n;
    if (!scores)
        return;
    a = fact(t, "tok.scores", ATTR_FLOATS);
    a->floats = t->scores;
    a->n = t->n;
}

static void id_fact(struct toy *t, const char *name, int64_t id) {
    fact(t, name, ATTR_INT)->i = id;
}

static struct tokenizer *opened(struct toy *t) {
    struct tokenizer *k = NULL;
    struct err e = {0};
    if (tokenizer_open(&t->m, &k, &e) != OK)
        fail_msg("%s", e.text);
    return k;
}

static void expect(const struct tokenizer *k, struct str text, unsigned flags, size_t n,
                   const int32_t *want) {
    struct arena a;
    struct err e;
    int32_t *ids = NULL;
    size_t got = 0;
    arena_init(&a, 1 << 20);
    assert_int_equal(tokenizer_encode(k, text, flags, &a, &ids, &got, &e), OK);
    assert_int_equal(got, n);
    if (n)
        assert_memory_equal(ids, want, n * sizeof *want);
    arena_deinit(&a);
}
#define EXPECT(k, text, flags, ...)                                                                \
    expect(k, LIT(text), flags, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t),                \
           (int32_t[]){__VA_ARGS__})

static void bpe_toy(struct toy *t) {
    static const char *const merges[] = {"l o", "lo w", "\xc4\xa0 low"};
    toy_begin(t, "bpe");
    token(t, "l", 1, 0);
    token(t, "o", 1, 0);
    token(t, "w", 1, 0);
    token(t, "\xc4\xa0", 1, 0); /* a space */
    token(t, "lo", 1, 0);
    token(t, "low", 1, 0);
    token(t, "\xc4\xa0low", 1, 0);
    token(t, "<end>", 3, 0);
    token(t, "<user>", 4, 0);
    token(t, "\xc3\x83", 1, 0); /* byte 0xc3 */
    token(t, "\xc2\xa9", 1, 0); /* byte 0xa9 */
    toy_end(t, false);
    for (int i = 0; i < 3; i++)
        t->merges[i] = str_of(merges[i]);
    struct attr *a = fact(t, "tok.merges", ATTR_STRS);
    a->strs = t->merges;
    a->n = 3;
    id_fact(t, "tok.eos", 7);
}

static void bpe_merges_by_rank(void **state) {
    (void)state;
    struct toy t;
    bpe_toy(&t);
    struct tokenizer *k = opened(&t);
    EXPECT(k, "low low", 0, 5, 6);
    EXPECT(k, "ol", 0, 1, 0);
    expect(k, LIT(""), 0, 0, NULL);
    assert_true(tokenizer_ends(k, 7));
    assert_false(tokenizer_ends(k, 5));
    assert_true(str_is(tokenizer_piece(k, 6), " low"));
    assert_int_equal(tokenizer_piece(k, 7).n, 0);
    assert_int_equal(tokenizer_piece(k, -1).n + tokenizer_piece(k, 99).n, 0);
    tokenizer_close(k);
}

static void users_cannot_spell_control_tokens(void **state) {
    (void)state;
    struct toy t;
    bpe_toy(&t);
    struct tokenizer *k = opened(&t);
    EXPECT(k, "low<user>low", 0, 5, 8, 5);
    EXPECT(k, "low<end>", TOKENIZE_SPECIAL_PARSE, 5, 7);
    EXPECT(k, "l<end>", 0, 0); /* its letters have no tokens here, and it is not the token */
    tokenizer_close(k);
}

static void characters_come_out_whole(void **state) {
    (void)state;
    struct toy t;
    struct detokenizer d;
    bpe_toy(&t);
    struct tokenizer *k = opened(&t);
    detokenizer_begin(&d, k);
    assert_int_equal(detokenizer_push(&d, 9).n, 0);
    assert_true(str_is(detokenizer_push(&d, 10), "\xc3\xa9"));
    assert_int_equal(detokenizer_push(&d, 9).n, 0);
    assert_true(str_is(detokenizer_push(&d, 0), "\xef\xbf\xbdl"));
    assert_int_equal(detokenizer_push(&d, 9).n, 0);
    assert_true(str_is(detokenizer_end(&d), "\xef\xbf\xbd"));
    assert_int_equal(detokenizer_end(&d).n, 0);
    tokenizer_close(k);
}

static void spm_merges_by_score(void **state) {
    (void)state;
    struct toy t;
    struct detokenizer d;
    toy_begin(&t, "spm");
    token(&t, "<unk>", 2, 0);
    token(&t, "<s>", 3, 0);
    token(&t, "<0x41>", 6, 0);
    token(&t, "\xe2\x96\x81", 1, -4);
    token(&t, "h", 1, -5);
    token(&t, "i", 1, -6);
    token(&t, "hi", 1, -1);
    token(&t, "\xe2\x96\x81hi", 1, -2);
    toy_end(&t, true);
    id_fact(&t, "tok.bos", 1);
    id_fact(&t, "tok.unk", 0);
    struct tokenizer *k = opened(&t);
    EXPECT(k, "hi hi", 0, 7, 7);
    EXPECT(k, "hi", TOKENIZE_SPECIAL_ADD, 1, 7);
    EXPECT(k, "A", 0, 3, 2); /* by its byte */
    EXPECT(k, "Z", 0, 3, 0); /* no byte token either */
    detokenizer_begin(&d, k);
    assert_true(str_is(detokenizer_push(&d, 7), "hi"));
    assert_true(str_is(detokenizer_push(&d, 7), " hi"));
    tokenizer_close(k);
}

static void unigram_takes_the_best_way(void **state) {
    (void)state;
    struct toy t;
    toy_begin(&t, "unigram");
    token(&t, "<unk>", 2, 0);
    token(&t, "\xe2\x96\x81", 1, -2);
    token(&t, "a", 1, -3);
    token(&t, "b", 1, -3);
    token(&t, "ab", 1, -4);
    token(&t, "aba", 1, -9);
    token(&t,
          "\xe2\x96\x81"
          "a",
          1, -6);
    toy_end(&t, true);
    id_fact(&t, "tok.unk", 0);
    struct tokenizer *k = opened(&t);
    EXPECT(k, "aba", 0, 1, 4, 2); /* -2 -4 -3, not -2 -9 and not -6 -3 -3 */
    EXPECT(k, "zz", 0, 1, 0);     /* unknown characters in a row are one */
    tokenizer_close(k);
}

static void wordpiece_cleans_and_covers(void **state) {
    (void)state;
    struct toy t;
    toy_begin(&t, "wordpiece");
    token(&t, "[UNK]", 3, 0);
    token(&t, "[CLS]", 3, 0);
    token(&t, "[SEP]", 3, 0);
    token(&t,
          "\xe2\x96\x81"
          "cafe",
          1, 0);
    token(&t,
          "\xe2\x96\x81"
          "un",
          1, 0);
    token(&t, "do", 1, 0);
    token(&t, "\xe2\x96\x81!", 1, 0);
    toy_end(&t, false);
    id_fact(&t, "tok.unk", 0);
    id_fact(&t, "tok.cls", 1);
    id_fact(&t, "tok.sep", 2);
    struct tokenizer *k = opened(&t);
    EXPECT(k, "Caf\xc3\xa9 undo!", TOKENIZE_SPECIAL_ADD, 1, 3, 4, 5, 6, 2);
    EXPECT(k, "unx cafe", 0, 0, 3);
    tokenizer_close(k);
}

static void refuse(struct toy *t, const char *text) {
    struct tokenizer *k = NULL;
    struct err e = {0};
    assert_int_not_equal(tokenizer_open(&t->m, &k, &e), OK);
    if (!strstr(e.text, text))
        fail_msg("'%s' does not speak of '%s'", e.text, text);
}

static void files_that_lie(void **state) {
    (void)state;
    struct toy t;
    toy_begin(&t, "rwkv");
    refuse(&t, "rwkv");
    toy_begin(&t, "spm");
    refuse(&t, "vocabulary");
    toy_begin(&t, "spm");
    token(&t, "<0xZZ>", 6, 0);
    toy_end(&t, true);
    refuse(&t, "<0x1F>");
    toy_begin(&t, "spm");
    token(&t, "a", 99, 0);
    toy_end(&t, true);
    refuse(&t, "type 99");
    bpe_toy(&t);
    t.merges[1] = LIT("nospace");
    refuse(&t, "merge 1");
    bpe_toy(&t);
    fact(&t, "tok.pre", ATTR_STR)->s = LIT("martian");
    refuse(&t, "martian");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bpe_merges_by_rank),
        cmocka_unit_test(users_cannot_spell_control_tokens),
        cmocka_unit_test(characters_come_out_whole),
        cmocka_unit_test(spm_merges_by_score),
        cmocka_unit_test(unigram_takes_the_best_way),
        cmocka_unit_test(wordpiece_cleans_and_covers),
        cmocka_unit_test(files_that_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
