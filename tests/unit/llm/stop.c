/* SPDX-License-Identifier: Apache-2.0 */
/* Stop strings, cut into tokens in every way. */
#include "llm/stop.c"

#include "../base/check.h"

/* Feeds text in pieces of `size` bytes; what is sent must not depend on it. */
static size_t feed(const struct str *stops, size_t n, const char *text, size_t size, char *out) {
    char held[256];
    size_t n_held = 0, sent = 0, found = n, all = strlen(text);
    for (size_t at = 0; at < all; at += size) {
        size_t k = all - at < size ? all - at : size;
        memcpy(held + n_held, text + at, k);
        n_held += k;
        size_t safe = stop_scan(stops, n, (struct str){held, n_held}, &found);
        memcpy(out + sent, held, safe);
        sent += safe;
        out[sent] = '\0';
        if (found < n)
            return found;
        memmove(held, held + safe, n_held - safe);
        n_held -= safe;
    }
    memcpy(out + sent, held, n_held);
    out[sent + n_held] = '\0';
    return n;
}

static void check(const struct str *stops, size_t n, const char *text, const char *want,
                  size_t which) {
    char out[256];
    for (size_t size = 1; size < 20; size++) {
        size_t found = feed(stops, n, text, size, out);
        assert_string_equal(out, want);
        assert_int_equal(found, which);
    }
}

static void test_cut_everywhere(void **state) {
    const struct str stops[] = {LIT("\n\n"), LIT("END"), LIT("ENDING!")};
    (void)state;
    check(stops, 3, "hello END of it", "hello ", 1);
    check(stops, 3, "hello EN D\nx", "hello EN D\nx", 3);
    check(stops, 3, "a\n\nEND", "a", 0);
    check(stops, 3, "EEND", "E", 1);
    check(stops, 0, "anything", "anything", 0);
    const struct str overlap[] = {LIT("aab")};
    check(overlap, 1, "aaab", "a", 0);
    check(overlap, 1, "aaac", "aaac", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut_everywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
