/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/image.c"

#include "../base/check.h"
#include "image_cases.h"

static void decodes(const unsigned char *file, size_t n, const unsigned char *pixels, int width,
                    int height) {
    struct err e;
    struct image i;
    assert_ok(image_decode((struct span){file, n}, 1 << 20, &i, &e));
    assert_int_equal(i.width, width);
    assert_int_equal(i.height, height);
    for (int at = 0; at < width * height * 3; at++)
        if (abs((int)i.pixels[at] - (int)pixels[at]) > 0)
            stop("byte %d: %d, expected %d", at, i.pixels[at], pixels[at]);
    image_free(&i);
}
#define DECODES(file, pixels, width, height) decodes(file, sizeof file, pixels, width, height)

static void test_jpeg(void **state) {
    (void)state;
    DECODES(jpeg_file, jpeg_want, 20, 12);
    DECODES(jpeg_grey_file, jpeg_grey_pixels, 20, 12);
}

static void test_orientation(void **state) {
    (void)state;
    DECODES(jpeg_file_2, jpeg_want_2, 20, 12);
    DECODES(jpeg_file_3, jpeg_want_3, 20, 12);
    DECODES(jpeg_file_4, jpeg_want_4, 20, 12);
    DECODES(jpeg_file_5, jpeg_want_5, 12, 20);
    DECODES(jpeg_file_6, jpeg_want_6, 12, 20);
    DECODES(jpeg_file_7, jpeg_want_7, 12, 20);
    DECODES(jpeg_file_8, jpeg_want_8, 12, 20);
}

static void test_png(void **state) {
    (void)state;
    DECODES(png_file, png_want, 6, 5);
    DECODES(png_alpha_file, png_want, 6, 5);
    DECODES(png_palette_file, png_palette_pixels, 6, 5);
    DECODES(png_grey_file, png_grey_pixels, 6, 5);
}

static void test_refused(void **state) {
    (void)state;
    struct err e;
    struct image i;
    const struct span jpeg = {jpeg_file, sizeof jpeg_file}, png = {png_file, sizeof png_file};
    assert_fails(image_decode((struct span){(const uint8_t *)"GIF89a..", 8}, 100, &i, &e),
                 MEDIA_TYPE, "neither a JPEG nor a PNG");
    assert_fails(image_decode(jpeg, 20 * 12 - 1, &i, &e), TOO_LARGE,
                 "20x12 pixels, the limit is 239 in all (--max-pixels)");
    assert_fails(image_decode(png, 29, &i, &e), TOO_LARGE, "--max-pixels");
    assert_fails(image_decode((struct span){jpeg_cmyk_file, sizeof jpeg_cmyk_file}, 1000, &i, &e),
                 UNSUPPORTED, "CMYK");
    for (size_t n = 3; n < jpeg.n - 2; n++)
        if (image_decode((struct span){jpeg.p, n}, 1000, &i, &e) == OK)
            stop("a JPEG of %zu bytes was decoded from its first %zu", jpeg.n, n);
    for (size_t n = 8; n < png.n - 16; n++) /* IEND and the last CRC may be missing */
        if (image_decode((struct span){png.p, n}, 1000, &i, &e) == OK)
            stop("a PNG of %zu bytes was decoded from its first %zu", png.n, n);
}

static void test_hostile_size(void **state) {
    (void)state;
    struct err e;
    struct image i;
    unsigned char file[sizeof png_file];
    memcpy(file, png_file, sizeof file);
    memset(file + 16, 0x7f, 8); /* IHDR: 2139062143 x 2139062143; its CRC is wrong now, too */
    assert_int_not_equal(image_decode((struct span){file, sizeof file}, 1 << 20, &i, &e), OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jpeg),         cmocka_unit_test(test_orientation),
        cmocka_unit_test(test_png),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hostile_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
