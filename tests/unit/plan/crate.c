/* SPDX-License-Identifier: Apache-2.0 */
/* Crates written and read: every item again, nothing else, and nothing beyond the bytes of a
 * damaged one. */
#include "plan/crate.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { ITEMS = 50, MOST = 900 };

static struct crate_item item(unsigned k) {
    static uint8_t bytes[ITEMS][MOST];
    const size_t n = k * 37 % MOST;
    for (size_t i = 0; i < n; i++)
        bytes[k][i] = (uint8_t)(k * 31 + i);
    return (struct crate_item){{k % 7 + 1, k % 11}, k % 3, n, bytes[k]};
}

/* All items, the first of them twice. Aligned as a map is. */
static struct span written(struct buf *out, size_t cap_bytes) {
    struct crate_item items[ITEMS + 1];
    for (unsigned k = 0; k <= ITEMS; k++)
        items[k] = item(k % ITEMS);
    buf_init(out, cap_bytes);
    crate_write(items, ITEMS + 1, out);
    assert_int_equal(out->code, OK);
    return (struct span){(const uint8_t *)out->p, out->n};
}

static void all_found(void **state) {
    (void)state;
    struct buf b;
    struct crate c = crate_open(written(&b, 1 << 20));
    assert_int_equal(c.n, ITEMS);
    for (unsigned k = 0; k < ITEMS; k++) {
        struct crate_item want = item(k), other = want;
        const void *got = crate_find(&c, &want);
        assert_true(got && crate_holds(&c, got) && ((const char *)got - b.p) % MEM_LINE == 0);
        if (want.bytes)
            assert_memory_equal(got, want.data, want.bytes);
        other.packing += 3;
        assert_null(crate_find(&c, &other));
        other = want;
        other.bytes += MOST;
        assert_null(crate_find(&c, &other));
    }
    assert_false(crate_holds(&c, b.p + b.n) || crate_holds(&c, b.p - 1));
    buf_deinit(&b);
}

static void what_does_not_fit_stays_out(void **state) {
    (void)state;
    for (size_t cap = 64; cap < 20000; cap += 371) {
        struct buf b;
        struct crate c = crate_open(written(&b, cap));
        assert_true(b.n <= cap && c.n < ITEMS);
        buf_deinit(&b);
    }
}

static void none(void **state) {
    (void)state;
    const struct crate empty = {0};
    const struct crate_item name = item(1);
    assert_null(crate_find(&empty, &name));
    assert_int_equal(crate_open((struct span){0}).n, 0);
}

/* Cut anywhere, or a byte changed in head and names: whatever is found lies within. */
static void damaged(void **state) {
    (void)state;
    struct buf b;
    struct span whole = written(&b, 1 << 20);
    for (size_t n = 0; n < whole.n; n += n < 3000 ? 1 : 97)
        assert_int_equal(crate_open((struct span){whole.p, n}).n, 0);
    for (size_t at = 0; at < HEAD + ITEMS * sizeof(struct entry); at++) {
        b.p[at] ^= 0x41;
        struct crate c = crate_open(whole);
        for (size_t k = 0; k < c.n; k++) {
            struct crate_item x = crate_at(&c, k);
            const size_t offset = (size_t)((const uint8_t *)x.data - whole.p);
            assert_true(offset <= whole.n && x.bytes <= whole.n - offset);
            (void)crate_find(&c, &x);
        }
        b.p[at] ^= 0x41;
    }
    buf_deinit(&b);
}

static void names(void **state) {
    (void)state;
    const struct value told = {.origin = {.file = 0, .offset = 64, .length = 16}},
                       other = {.origin = {.file = 1, .offset = 64, .length = 16}},
                       untold = {.origin = {.file = -1, .offset = 64, .length = 16}};
    const struct attr list = {.origin = {.file = -1, .offset = 64, .length = 16}}, alone = {0};
    const struct provenance a = provenance_of(&told), b = provenance_of(&other),
                            no = provenance_of(&untold);
    assert_true(provenance_told(a) && provenance_told(b) && memcmp(&a, &b, sizeof a) != 0);
    assert_false(provenance_told(no) || provenance_told(provenance_of_attr(&alone)));
    assert_true(provenance_told(provenance_of_attr(&list)));
    const struct provenance x = provenance_then(a, "scale", "1", 1),
                            y = provenance_then(a, "scale", "2", 1),
                            z = provenance_then(a, "scales", "1", 1),
                            again = provenance_then(a, "scale", "1", 1);
    assert_memory_equal(&x, &again, sizeof x);
    assert_true(memcmp(&x, &y, sizeof x) != 0 && memcmp(&x, &z, sizeof x) != 0);
    assert_false(provenance_told(provenance_then(no, "scale", "1", 1)));
    const struct value made = {.origin = {.file = 0, .length = 9}, .made = x};
    const struct provenance kept = provenance_of(&made);
    assert_memory_equal(&kept, &x, sizeof x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_found), cmocka_unit_test(what_does_not_fit_stays_out),
        cmocka_unit_test(none),      cmocka_unit_test(damaged),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
