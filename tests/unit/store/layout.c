/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts: the invariants of layout.h over edge cases and random cuts. */
#include "store/layout.c"

#include "shelf.h"

static const uint8_t bytes[100000];

/* Each file is covered exactly and in order; each blob's size is that of its extents; alignment
 * holds. */
static void check(const struct store_new *n, const struct layout *l) {
    size_t at = 0;
    for (size_t file = 0; file < n->n_sources; file++) {
        uint64_t offset = 0;
        bool first = true;
        for (; at < l->n_segments && l->segments[at].file == file; at++, first = false) {
            const struct layout_segment *x = &l->segments[at];
            assert_int_equal(x->offset, offset);
            assert_true(x->blob < l->n_blobs && x->at + x->length <= l->blobs[x->blob].size);
            assert_true(!first || x->at % LAYOUT_ALIGN == 0);
            offset += x->length;
        }
        assert_int_equal(offset, n->sources[file].bytes.n);
    }
    assert_int_equal(at, l->n_segments);
    for (size_t blob = 0; blob < l->n_blobs; blob++) {
        uint64_t size = 0;
        for (size_t i = 0; i < l->blobs[blob].n_extents; i++) {
            const struct layout_extent *x = &l->blobs[blob].extents[i];
            assert_true(x->n > 0 && (x->p || x->n < LAYOUT_ALIGN));
            size += x->n;
        }
        assert_int_equal(size, l->blobs[blob].size);
    }
}

static enum code build(struct arena *a, const struct store_source *sources, size_t n_sources,
                       struct layout *l, struct err *e) {
    struct store_new n = {.sources = sources, .n_sources = n_sources};
    TRY(layout_build(&n, a, l, e));
    check(&n, l);
    return OK;
}

static enum code build_one(struct arena *a, size_t size, const struct store_piece *pieces,
                           size_t n_pieces, struct layout *l, struct err *e) {
    struct store_source source = {LIT("f"), {bytes, size}, pieces, n_pieces};
    return build(a, &source, 1, l, e);
}

static void shapes(void **state) {
    (void)state;
    struct arena a;
    struct err e;
    struct layout l;
    arena_init(&a, 1 << 20);
    assert_int_equal(build_one(&a, 0, NULL, 0, &l, &e), OK); /* an empty file: nothing at all */
    assert_int_equal(l.n_blobs + l.n_segments, 0);
    assert_int_equal(build_one(&a, 777, NULL, 0, &l, &e), OK); /* no pieces: one packed blob */
    assert_int_equal(l.n_blobs, 1);
    assert_int_equal(l.blobs[0].size, 777);
    struct store_piece all = {0, 5000};
    assert_int_equal(build_one(&a, 5000, &all, 1, &l, &e),
                     OK); /* all of it one piece: no packed blob */
    assert_int_equal(l.n_blobs, 1);
    assert_int_equal(l.n_segments, 1);
    struct store_piece edges[] = {{0, 4095}, {4095, 4096}, {8191, 0}, {8191, 1}};
    assert_int_equal(build_one(&a, 10000, edges, 4, &l, &e), OK);
    assert_int_equal(l.n_blobs, 2); /* 4096 is worth a blob, 4095 is not */
    assert_int_equal(l.blobs[1].size, 4096);
    assert_int_equal(l.segments[0].blob, 0);
    assert_int_equal(l.segments[1].blob, 1);
    assert_int_equal(l.segments[2].at, 4096); /* the piece of one byte, aligned up from 4095 */
    assert_int_equal(l.segments[2].length,
                     1809); /* and what follows it goes on in the same segment */
    arena_deinit(&a);
}

static void small_pieces_are_aligned(void **state) {
    (void)state;
    struct arena a;
    struct err e;
    struct layout l;
    arena_init(&a, 1 << 20);
    struct store_piece pieces[] = {{10, 20}, {31, 100}, {200, 3}};
    assert_int_equal(build_one(&a, 300, pieces, 3, &l, &e), OK);
    for (size_t i = 0; i < l.n_segments; i++)
        for (size_t p = 0; p < 3; p++)
            if (l.segments[i].offset == pieces[p].offset)
                assert_int_equal(l.segments[i].at % LAYOUT_ALIGN, 0);
    assert_int_equal(l.n_segments, 4); /* the gap after a small piece goes on in its segment */
    arena_deinit(&a);
}

static void wrong_pieces(void **state) {
    (void)state;
    struct arena a;
    struct err e;
    struct layout l = {.n_blobs = 77};
    arena_init(&a, 1 << 20);
    static const struct store_piece bad[][2] = {{{0, 101}, {0, 0}},
                                                {{101, 0}, {0, 0}},
                                                {{5, 10}, {14, 3}},
                                                {{50, 10}, {5, 10}},
                                                {{1, UINT64_MAX}, {0, 0}}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(build_one(&a, 100, bad[i], 2, &l, &e), ERR_INVALID);
        assert_non_null(strstr(e.text, "'f': piece"));
    }
    assert_int_equal(l.n_blobs, 77);
    struct store_source many = {LIT("f"), {bytes, 1}, NULL, LAYOUT_PIECES + 1};
    assert_int_equal(build(&a, &many, 1, &l, &e), ERR_LIMIT);
    arena_deinit(&a);
    arena_init(&a, 1000);
    static struct store_piece lots[100];
    assert_int_equal(build_one(&a, 100, lots, 100, &l, &e), ERR_LIMIT); /* the arena's cap */
    arena_deinit(&a);
}

static size_t cut(struct store_piece *pieces, size_t size, unsigned *seed) {
    size_t n = 0;
    for (uint64_t at = 0; n < 64;) {
        at += (unsigned)rand_r(seed) % 3 ? (unsigned)rand_r(seed) % 200 : 0;
        uint64_t length =
            rand_r(seed) % 4 ? (unsigned)rand_r(seed) % 6000 : 64u * ((unsigned)rand_r(seed) % 3);
        if (at > size || length > size - at)
            break;
        pieces[n++] = (struct store_piece){at, length};
        at += length;
    }
    return n;
}

static void random_cuts(void **state) {
    (void)state;
    unsigned seed = 1;
    for (int round = 0; round < 2000; round++) {
        struct arena a;
        struct err e;
        struct layout l;
        static struct store_piece pieces[3][64];
        struct store_source sources[3];
        arena_init(&a, 1 << 20);
        for (size_t i = 0; i < 3; i++) {
            size_t size = (unsigned)rand_r(&seed) % sizeof bytes;
            sources[i] = (struct store_source){
                LIT("f"), {bytes, size}, pieces[i], cut(pieces[i], size, &seed)};
        }
        assert_int_equal(build(&a, sources, 3, &l, &e), OK);
        arena_deinit(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes), cmocka_unit_test(small_pieces_are_aligned),
        cmocka_unit_test(wrong_pieces), cmocka_unit_test(random_cuts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
