/* SPDX-License-Identifier: Apache-2.0 */
/* Against what OpenCV and Pillow made of the same pixels (image_cases.py). */
#include "serve/resample.c"

#include "../base/check.h"
#include "image_cases.h"

static void fill(struct image *i) {
    for (int y = 0; y < i->height; y++)
        for (int x = 0; x < i->width; x++)
            for (int c = 0; c < 3; c++)
                i->pixels[(y * i->width + x) * 3 + c] =
                    (uint8_t)((x * 7 + y * 13 + c * 50 + (x * y) % 31 * 4) % 256);
}

static void compare(size_t at, enum resample_filter filter, const unsigned char *want) {
    struct err e;
    struct image in, out;
    int width = resize_cases[at].to_width, height = resize_cases[at].to_height, off = 0;
    assert_ok(image_new(resize_cases[at].width, resize_cases[at].height, &in, &e));
    fill(&in);
    assert_ok(resample(&in, width, height, filter, &out, &e));
    for (int i = 0; i < width * height * 3; i++) {
        int difference = abs((int)out.pixels[i] - (int)want[i]);
        if (difference > 1)
            stop("case %zu filter %d byte %d: %d, expected %d", at, (int)filter, i, out.pixels[i],
                 want[i]);
        off += difference;
    }
    if (off * 4 > width * height * 3) /* rounding may differ, rarely */
        stop("case %zu filter %d: %d of %d bytes are off by one", at, (int)filter, off,
             width * height * 3);
    image_free(&in);
    image_free(&out);
}

static void test_linear(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof resize_cases / sizeof *resize_cases; i++)
        compare(i, RESAMPLE_LINEAR, resize_cases[i].linear);
}

static void test_antialias(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof resize_cases / sizeof *resize_cases; i++)
        compare(i, RESAMPLE_ANTIALIAS, resize_cases[i].antialias);
}

static void test_same_size_and_thin(void **state) {
    (void)state;
    struct err e;
    struct image in, out;
    assert_ok(image_new(9, 4, &in, &e));
    fill(&in);
    assert_ok(resample(&in, 9, 4, RESAMPLE_LINEAR, &out, &e));
    assert_memory_equal(in.pixels, out.pixels, 9 * 4 * 3);
    image_free(&out);
    image_free(&in);
    assert_ok(image_new(1, 60000, &in, &e)); /* columns first: the middle is small */
    assert_ok(resample(&in, 300, 2, RESAMPLE_ANTIALIAS, &out, &e));
    image_free(&out);
    image_free(&in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_antialias),
        cmocka_unit_test(test_same_size_and_thin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
