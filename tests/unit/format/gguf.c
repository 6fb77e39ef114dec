/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF: facts and tensors of small files written here, and one clear line for each kind of damage.
 */
#include "../../../src/format/gguf.c"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct file { /* a file being written, little-endian */
    struct buf b;
};

static void put(struct file *f, uint64_t v, size_t n) {
    for (size_t i = 0; i < n; i++)
        buf_put_byte(&f->b, (char)(v >> 8 * i));
}

static void put_name(struct file *f, const char *s) {
    put(f, strlen(s), 8);
    buf_put(&f->b, s, strlen(s));
}

static void begin(struct file *f, uint64_t tensors, uint64_t pairs) {
    buf_init(&f->b, 1 << 20);
    buf_put(&f->b, "GGUF", 4);
    put(f, 3, 4);
    put(f, tensors, 8);
    put(f, pairs, 8);
}

static void put_pair_text(struct file *f, const char *key, const char *value) {
    put_name(f, key);
    put(f, TEXT, 4);
    put_name(f, value);
}

static void put_pair_u32(struct file *f, const char *key, uint32_t value) {
    put_name(f, key);
    put(f, U32, 4);
    put(f, value, 4);
}

static void put_tensor_row(struct file *f, const char *name, uint64_t dim0, uint64_t dim1,
                           uint32_t type, uint64_t offset) {
    put_name(f, name);
    put(f, 2, 4);
    put(f, dim0, 8);
    put(f, dim1, 8);
    put(f, type, 4);
    put(f, offset, 8);
}

static void put_data(struct file *f, size_t n) {
    while (f->b.n % ALIGNMENT)
        put(f, 0, 1);
    for (size_t i = 0; i < n; i++)
        put(f, i & 0xff, 1);
}

static enum code parse(struct file *f, struct arena *a, struct model **m, struct err *e) {
    static struct import_file file = {.name = {"x.gguf", 6}};
    file.bytes = (struct span){(const uint8_t *)f->b.p, f->b.n};
    struct format_input in = {
        .name = file.name, .bytes = file.bytes, .files = &file, .n_files = 1, .arena = a};
    arena_init(a, 1 << 24);
    return format_gguf.read(&in, m, e);
}

static void facts_and_tensors(void **state) {
    (void)state;
    struct file f;
    struct arena a;
    struct model *m = NULL;
    struct err e = {0};
    begin(&f, 2, 4);
    put_pair_text(&f, "general.architecture", "llama");
    put_pair_u32(&f, "llama.block_count", 7);
    put_pair_u32(&f, "qwen2.block_count", 9); /* of another architecture */
    put_pair_text(&f, "tokenizer.ggml.model", "gpt2");
    put_tensor_row(&f, "a.weight", 64, 3, 2, 0);
    put_tensor_row(&f, "b.weight", 5, 2, 0, 128);
    put_data(&f, 128 + 40);
    assert_int_equal(parse(&f, &a, &m, &e), OK);
    assert_true(model_is_language(m));
    assert_true(str_is(model_fact(m, "arch")->s, "llama"));
    assert_int_equal(model_fact(m, "rope_pairs")->i, 1);
    assert_int_equal(model_fact(m, "layers")->i, 7);
    assert_true(str_is(model_fact(m, "tok.kind")->s, "bpe"));
    const struct value *v = &m->main->values[graph_find(m->main, LIT("a.weight"))];
    assert_int_equal(v->dtype, DT_Q4_0);
    assert_int_equal(v->shape.dims[0], 3);
    assert_int_equal(v->shape.dims[1], 64);
    assert_int_equal(v->origin.length, 3 * 2 * 18);
    v = &m->main->values[graph_find(m->main, LIT("b.weight"))];
    assert_int_equal(*(const uint8_t *)v->constant->data, 128);
    assert_int_equal(v->origin.length, 40);
    assert_int_equal(graph_verify(m, &e), OK);
    arena_deinit(&a);
    buf_deinit(&f.b);
}

static void refuse(struct file *f, enum code code, const char *text) {
    struct arena a;
    struct model *m = NULL;
    struct err e = {0};
    assert_int_equal(parse(f, &a, &m, &e), code);
    if (!strstr(e.text, text))
        fail_msg("'%s' does not speak of '%s'", e.text, text);
    arena_deinit(&a);
    buf_deinit(&f->b);
}

static void damage(void **state) {
    (void)state;
    struct file f;
    begin(&f, 0, 1);
    put_pair_text(&f, "general.architecture", "plan9");
    refuse(&f, ERR_UNSUPPORTED, "plan9");
    begin(&f, 0, 0);
    refuse(&f, ERR_FORMAT, "general.architecture");
    begin(&f, 0, 1ull << 60);
    refuse(&f, ERR_FORMAT, "metadata pairs");
    begin(&f, 1ull << 60, 0);
    refuse(&f, ERR_FORMAT, "tensors");
    begin(&f, 1, 1);
    put_pair_text(&f, "general.architecture", "llama");
    put_tensor_row(&f, "wrap", 1ull << 33, 1ull << 33, 0, 0);
    put_data(&f, 64);
    refuse(&f, ERR_FORMAT, "wrap");
    begin(&f, 1, 1);
    put_pair_text(&f, "general.architecture", "llama");
    put_tensor_row(&f, "ragged", 33, 1, 2, 0);
    put_data(&f, 64);
    refuse(&f, ERR_FORMAT, "ragged");
    begin(&f, 1, 1);
    put_pair_text(&f, "general.architecture", "llama");
    put_tensor_row(&f, "far", 32, 1, 0, 1ull << 40);
    put_data(&f, 64);
    refuse(&f, ERR_FORMAT, "far");
    begin(&f, 0, 2);
    put_pair_text(&f, "general.name", "x");
    put_pair_text(&f, "general.name", "x");
    refuse(&f, ERR_FORMAT, "twice");
}

static void begin_llama(struct file *f, uint64_t tensors, uint64_t more_pairs) {
    begin(f, tensors, 1 + more_pairs);
    put_pair_text(f, "general.architecture", "llama");
}

/* A list that says it has n elements. */
static void put_list(struct file *f, const char *key, uint32_t type, uint64_t n) {
    put_name(f, key);
    put(f, ARRAY, 4);
    put(f, type, 4);
    put(f, n, 8);
}

/* Lengths that readers elsewhere believed. */
static void lengths_that_lie(void **state) {
    (void)state;
    struct file f;
    static const uint64_t huge[] = {1ull << 63, ~0ull, 1ull << 40, 17ull << 20};
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        begin_llama(&f, 0, 1);
        put_list(&f, "tokenizer.ggml.tokens", TEXT, huge[i]);
        refuse(&f, ERR_LIMIT, "tokenizer.ggml.tokens");
        begin_llama(&f, 0, 1);
        put_name(&f, "general.name");
        put(&f, TEXT, 4);
        put(&f, huge[i], 8);
        refuse(&f, ERR_FORMAT, "general.name");
        begin_llama(&f, 0, 1);
        put(&f, huge[i], 8); /* of the key itself */
        put_data(&f, 32);
        refuse(&f, ERR_FORMAT, "header");
    }
    begin_llama(&f, 0, 1);
    put_list(&f, "tokenizer.ggml.scores", F32, 1000); /* and then the file ends */
    refuse(&f, ERR_FORMAT, "tokenizer.ggml.scores");
    begin_llama(&f, 0, 1);
    put_list(&f, "x", ARRAY, 1); /* lists of lists of lists ... */
    refuse(&f, ERR_FORMAT, "unknown type 9");
    begin_llama(&f, 0, 1);
    put_list(&f, "x", 13, 1);
    refuse(&f, ERR_FORMAT, "unknown type 13");
}

/* Values of another type than their readers cast them to. */
static void types_that_lie(void **state) {
    (void)state;
    static const char *const keys[] = {"tokenizer.ggml.scores", "tokenizer.ggml.token_type",
                                       "tokenizer.ggml.tokens", "tokenizer.ggml.merges"};
    struct file f;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        begin_llama(&f, 0, 1);
        put_list(&f, keys[i], i == 1 ? F32 : U8, 4);
        put(&f, 0x41424344, i == 1 ? 8 : 4);
        put(&f, 0, 8);
        refuse(&f, ERR_FORMAT, keys[i]);
    }
    begin_llama(&f, 0, 1);
    put_pair_text(&f, "llama.block_count", "7");
    refuse(&f, ERR_FORMAT, "llama.block_count");
    begin_llama(&f, 0, 1);
    put_pair_u32(&f, "tokenizer.chat_template", 7);
    refuse(&f, ERR_FORMAT, "tokenizer.chat_template");
    begin_llama(&f, 0, 2);
    put_pair_text(&f, "tokenizer.ggml.model", "t5");
    put_pair_text(&f, "tokenizer.ggml.precompiled_charsmap", "map");
    refuse(&f, ERR_FORMAT, "precompiled_charsmap");
    begin(&f, 0, 1);
    put_pair_u32(&f, "general.architecture", 1);
    refuse(&f, ERR_FORMAT, "general.architecture");
}

static void alignments_that_lie(void **state) {
    (void)state;
    static const uint32_t wrong[] = {0, 3, 1u << 31, ~0u, (1 << 20) + 32};
    struct file f;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        begin_llama(&f, 1, 1);
        put_pair_u32(&f, "general.alignment", wrong[i]);
        put_tensor_row(&f, "a", 32, 1, 0, 0);
        put_data(&f, 128);
        refuse(&f, ERR_FORMAT, "general.alignment");
    }
    begin_llama(&f, 1, 0);
    put_tensor_row(&f, "a", 1, 1, 0, 4);
    put_data(&f, 64);
    refuse(&f, ERR_FORMAT, "not a multiple of 32");
}

static void tensors_that_lie(void **state) {
    (void)state;
    static const struct {
        uint64_t dims[2];
        uint32_t type;
        uint64_t offset;
        enum code code;
        const char *says;
    } rows[] = {
        {{1ull << 62, 4}, 0, 0, ERR_FORMAT, "shape"}, /* wraps to 0 bytes */
        {{1ull << 32, 1ull << 32}, 8, 0, ERR_FORMAT, "shape"},
        {{~0ull, 1}, 0, 0, ERR_FORMAT, "shape"},
        {{32, 1}, 0, ~0ull - 31, ERR_FORMAT, "beyond the file"}, /* offset + length wraps */
        {{64, 1}, 0, 0, ERR_FORMAT, "beyond the file"},
        {{255, 1}, 12, 0, ERR_FORMAT, "shape"}, /* rows of Q4_K are whole blocks */
        {{256, 1}, 19, 0, ERR_UNSUPPORTED, "IQ1_S"},
        {{256, 1}, 4, 0, ERR_FORMAT, "unknown type 4"},
        {{256, 1}, 1u << 31, 0, ERR_FORMAT, "unknown type"},
    };
    struct file f;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin_llama(&f, 1, 0);
        put_tensor_row(&f, "liar", rows[i].dims[0], rows[i].dims[1], rows[i].type, rows[i].offset);
        put_data(&f, 128);
        refuse(&f, rows[i].code, rows[i].says);
    }
    begin_llama(&f, 2, 0);
    put_tensor_row(&f, "a", 32, 1, 0, 0);
    put_tensor_row(&f, "a", 32, 1, 0, 128);
    put_data(&f, 256);
    refuse(&f, ERR_FORMAT, "'a' comes twice");
    begin_llama(&f, 1, 0);
    put_name(&f, "a");
    put(&f, 5, 4); /* dims */
    put_data(&f, 64);
    refuse(&f, ERR_FORMAT, "5 dims");
}

static void versions(void **state) {
    (void)state;
    struct file f;
    begin_llama(&f, 0, 0);
    f.b.p[4] = 1;
    refuse(&f, ERR_UNSUPPORTED, "version 1");
    begin_llama(&f, 0, 0);
    memcpy(f.b.p + 4, "\0\0\0\3", 4);
    refuse(&f, ERR_UNSUPPORTED, "big-endian");
    begin_llama(&f, 0, 1);
    put_pair_text(&f, "tokenizer.ggml.model", "rwkv");
    refuse(&f, ERR_UNSUPPORTED, "rwkv");
}

/* Every beginning of a file is refused, none believed. */
static void cut_anywhere(void **state) {
    (void)state;
    struct file f;
    begin_llama(&f, 1, 2);
    put_list(&f, "tokenizer.ggml.tokens", TEXT, 2);
    put_name(&f, "ab");
    put_name(&f, "c");
    put_pair_u32(&f, "llama.block_count", 7);
    put_tensor_row(&f, "a", 32, 1, 0, 0);
    put_data(&f, 128);
    for (size_t n = f.b.n - 1; n > 0; n--) {
        struct file part;
        buf_init(&part.b, 1 << 20);
        buf_put(&part.b, f.b.p, n);
        refuse(&part, ERR_FORMAT, "");
    }
    buf_deinit(&f.b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_and_tensors),
        cmocka_unit_test(damage),
        cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(types_that_lie),
        cmocka_unit_test(alignments_that_lie),
        cmocka_unit_test(tensors_that_lie),
        cmocka_unit_test(versions),
        cmocka_unit_test(cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
