/* SPDX-License-Identifier: Apache-2.0 */
#include "base/zip.c"

#include "check.h"

/* Made by Python's zipfile: an entry "MAR-INF/MANIFEST.json", and "a.txt" of 300 times "a". */
static const uint8_t deflated[] = {
    80,  75,  3,   4,   20,  0,   0,   0,  8,   0,   0,   0,   33,  80,  239, 102, 50,  253, 24,
    0,   0,   0,   27,  0,   0,   0,   21, 0,   0,   0,   77,  65,  82,  45,  73,  78,  70,  47,
    77,  65,  78,  73,  70,  69,  83,  84, 46,  106, 115, 111, 110, 171, 86,  202, 205, 79,  73,
    205, 81,  178, 170, 134, 48,  252, 18, 115, 83,  149, 172, 148, 114, 149, 106, 107, 1,   80,
    75,  3,   4,   20,  0,   0,   0,   8,  0,   0,   0,   33,  80,  9,   25,  151, 137, 7,   0,
    0,   0,   44,  1,   0,   0,   5,   0,  0,   0,   97,  46,  116, 120, 116, 75,  76,  28,  5,
    196, 2,   0,   80,  75,  1,   2,   20, 3,   20,  0,   0,   0,   8,   0,   0,   0,   33,  80,
    239, 102, 50,  253, 24,  0,   0,   0,  27,  0,   0,   0,   21,  0,   0,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   128, 1,   0,  0,   0,   0,   77,  65,  82,  45,  73,  78,  70,  47,
    77,  65,  78,  73,  70,  69,  83,  84, 46,  106, 115, 111, 110, 80,  75,  1,   2,   20,  3,
    20,  0,   0,   0,   8,   0,   0,   0,  33,  80,  9,   25,  151, 137, 7,   0,   0,   0,   44,
    1,   0,   0,   5,   0,   0,   0,   0,  0,   0,   0,   0,   0,   0,   0,   128, 1,   75,  0,
    0,   0,   97,  46,  116, 120, 116, 80, 75,  5,   6,   0,   0,   0,   0,   2,   0,   2,   0,
    118, 0,   0,   0,   117, 0,   0,   0,  0,   0,
};
/* "x": "hello", stored. */
static const uint8_t stored[] = {
    80, 75, 3, 4, 20, 0, 0, 0, 0,  0,   0,   0,   33,  80,  134, 166, 16, 54, 5, 0,   0,
    0,  5,  0, 0, 0,  1, 0, 0, 0,  120, 104, 101, 108, 108, 111, 80,  75, 1,  2, 20,  3,
    20, 0,  0, 0, 0,  0, 0, 0, 33, 80,  134, 166, 16,  54,  5,   0,   0,  0,  5, 0,   0,
    0,  1,  0, 0, 0,  0, 0, 0, 0,  0,   0,   0,   0,   128, 1,   0,   0,  0,  0, 120, 80,
    75, 5,  6, 0, 0,  0, 0, 1, 0,  1,   0,   47,  0,   0,   0,   36,  0,  0,  0, 0,   0,
};
/* "a/../../x" */
static const uint8_t slip[] = {
    80,  75,  3,  4,  20, 0, 0,  0,  0,  0,  0,  0,  33, 80, 134, 166, 16, 54,  5,   0,   0,
    0,   5,   0,  0,  0,  9, 0,  0,  0,  97, 47, 46, 46, 47, 46,  46,  47, 120, 104, 101, 108,
    108, 111, 80, 75, 1,  2, 20, 3,  20, 0,  0,  0,  0,  0,  0,   0,   33, 80,  134, 166, 16,
    54,  5,   0,  0,  0,  5, 0,  0,  0,  9,  0,  0,  0,  0,  0,   0,   0,  0,   0,   0,   0,
    128, 1,   0,  0,  0,  0, 97, 47, 46, 46, 47, 46, 46, 47, 120, 80,  75, 5,   6,   0,   0,
    0,   0,   1,  0,  1,  0, 55, 0,  0,  0,  44, 0,  0,  0,  0,   0,
};

static struct arena arena;

static int begin(void **state) {
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int end(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void test_reads(void **state) {
    (void)state;
    struct zip z;
    struct zip_entry entry;
    struct span text;
    struct err e;
    bool more;
    assert_true(zip_is((struct span){deflated, sizeof deflated}));
    assert_ok(zip_open((struct span){deflated, sizeof deflated}, &z, &e));
    assert_ok(zip_next(&z, &entry, &more, &e));
    assert_str(entry.name, "MAR-INF/MANIFEST.json");
    assert_ok(zip_read(&z, &entry, 1000, &arena, &text, &e));
    assert_int_equal(text.n, 27);
    assert_ok(zip_next(&z, &entry, &more, &e));
    assert_true(more && entry.size == 300 && entry.packed < 20);
    assert_ok(zip_read(&z, &entry, 300, &arena, &text, &e));
    assert_true(text.n == 300 && text.p[299] == 'a');
    assert_fails(zip_read(&z, &entry, 299, &arena, &text, &e), LIMIT, "the limit is 299");
    assert_ok(zip_next(&z, &entry, &more, &e));
    assert_false(more);
    assert_ok(zip_open((struct span){stored, sizeof stored}, &z, &e));
    assert_ok(zip_next(&z, &entry, &more, &e));
    assert_ok(zip_read(&z, &entry, 5, &arena, &text, &e));
    assert_memory_equal(text.p, "hello", 5);
}

static void test_refused(void **state) {
    (void)state;
    struct zip z;
    struct zip_entry entry;
    struct span text;
    struct err e;
    bool more;
    assert_fails(zip_open((struct span){deflated, 40}, &z, &e), FORMAT, "no end of directory");
    assert_ok(zip_open((struct span){slip, sizeof slip}, &z, &e));
    assert_fails(zip_next(&z, &entry, &more, &e), DENIED, "would leave its folder");
    uint8_t copy[sizeof stored];
    memcpy(copy, stored, sizeof copy);
    copy[31] ^= 1; /* the entry's first byte */
    assert_ok(zip_open((struct span){copy, sizeof copy}, &z, &e));
    assert_ok(zip_next(&z, &entry, &more, &e));
    assert_fails(zip_read(&z, &entry, 5, &arena, &text, &e), FORMAT, "checksum");
}

/* Every byte of an archive changed to everything: errors, never more. */
static void test_spoiled(void **state) {
    (void)state;
    uint8_t *copy = malloc(sizeof deflated);
    for (size_t at = 0; at < sizeof deflated; at++)
        for (int v = 0; v < 256; v += 5) {
            struct zip z;
            struct zip_entry entry;
            struct span text;
            struct err e;
            bool more = true;
            memcpy(copy, deflated, sizeof deflated);
            copy[at] = (uint8_t)v;
            if (zip_open((struct span){copy, sizeof deflated}, &z, &e) != OK)
                continue;
            struct arena_mark mark = arena_mark(&arena);
            while (zip_next(&z, &entry, &more, &e) == OK && more)
                if (zip_read(&z, &entry, 4096, &arena, &text, &e) != OK)
                    break;
            arena_reset(&arena, mark);
        }
    free(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_spoiled),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
