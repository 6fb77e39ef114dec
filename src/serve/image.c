/* SPDX-License-Identifier: Apache-2.0 */
/* Images: see image.h. libjpeg-turbo decodes as Pillow and OpenCV do (both stand on it), libspng
 * PNG.
 *
 * 1. Dimensions are checked against the cap from the header, before pixels are allocated.
 * 2. A JPEG that ends early or is damaged inside is refused, not half shown. */
#include "serve/image.h"

#include "base/late.h"
#include "base/mem.h"

#include <spng.h>
#include <turbojpeg.h>

/* clang-format off */
#define JPEG_FUNCTIONS(X) \
    X(tjDecompress2) X(tjDecompressHeader3) X(tjDestroy) \
    X(tjGetErrorStr2) X(tjInitDecompress)
#define PNG_FUNCTIONS(X) \
    X(spng_ctx_free) X(spng_ctx_new) X(spng_decode_image) \
    X(spng_decoded_image_size) X(spng_get_ihdr) X(spng_set_chunk_limits) \
    X(spng_set_image_limits) X(spng_set_png_buffer) X(spng_strerror)
/* clang-format on */
static struct { JPEG_FUNCTIONS(LATE_FIELD) PNG_FUNCTIONS(LATE_FIELD) } lib;
static struct late turbojpeg = LATE("libturbojpeg.so.0", JPEG_FUNCTIONS);
static struct late spng = LATE("libspng.so.0", PNG_FUNCTIONS);

enum { CHANNELS = 3, PNG_CHUNKS = 16 << 20, SIDE_MAX = 65535 };

enum image_kind image_kind(struct span b) {
    if (b.n >= 3 && memcmp(b.p, "\xff\xd8\xff", 3) == 0)
        return IMAGE_JPEG;
    return b.n >= 8 && memcmp(b.p, "\x89PNG\r\n\x1a\n", 8) == 0 ? IMAGE_PNG : IMAGE_NONE;
}

void image_free(struct image *i) {
    mem_free(i->pixels);
    *i = (struct image){0};
}

enum code image_new(int width, int height, struct image *out, struct err *e) {
    size_t bytes;
    if (!mul_size((size_t)width * CHANNELS, (size_t)height, &bytes))
        return fail(e, LIMIT, "image of %dx%d pixels is too large", width, height);
    uint8_t *pixels = mem_zalloc(bytes, 1);
    if (!pixels)
        return fail(e, NOMEM, "image of %dx%d pixels: out of memory", width, height);
    *out = (struct image){pixels, width, height};
    return OK;
}

static enum code check_size(uint64_t width, uint64_t height, size_t max_pixels, struct err *e) {
    if (width == 0 || height == 0)
        return fail(e, INVALID, "the image has no pixels (%llux%llu)", (unsigned long long)width,
                    (unsigned long long)height);
    if (width > SIDE_MAX || height > SIDE_MAX || width * height > max_pixels)
        return fail(e, TOO_LARGE,
                    "the image has %llux%llu pixels, the limit is %zu in all (--max-pixels)",
                    (unsigned long long)width, (unsigned long long)height, max_pixels);
    return OK;
}

/* --- EXIF orientation (EXIF 2.3 §4.6.4 A, tag 0x112) --- */

static uint32_t take_uint(const uint8_t *p, int bytes, bool big) {
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint32_t)p[i] << 8 * (big ? bytes - 1 - i : i);
    return v;
}

/* t: the TIFF structure of an APP1 segment. 1 when it says nothing usable. */
static int tiff_orientation(struct span t) {
    if (t.n < 14)
        return 1;
    bool big = t.p[0] == 'M';
    uint32_t at = take_uint(t.p + 4, 4, big);
    if (at > t.n - 2)
        return 1;
    uint32_t n = take_uint(t.p + at, 2, big);
    for (at += 2; n > 0 && at + 12 <= t.n; n--, at += 12)
        if (take_uint(t.p + at, 2, big) == 0x112) {
            uint32_t v = take_uint(t.p + at + 8, 2, big);
            return v >= 1 && v <= 8 ? (int)v : 1;
        }
    return 1;
}

/* Walks the JPEG's segments up to the scan. */
static int orientation(struct span b) {
    size_t at = 2;
    while (at + 4 <= b.n && b.p[at] == 0xff && b.p[at + 1] != 0xda) {
        size_t length = take_uint(b.p + at + 2, 2, true);
        if (length < 2 || length > b.n - at - 2)
            return 1;
        const uint8_t *data = b.p + at + 4;
        if (b.p[at + 1] == 0xe1 && length >= 8 && memcmp(data, "Exif\0\0", 6) == 0)
            return tiff_orientation((struct span){data + 6, length - 8});
        at += 2 + length;
    }
    return 1;
}

/* Where the pixel (x, y) of the upright image comes from: 5..8 swap the axes, the others only
 * mirror. */
static enum code turn(struct image *i, int how, struct err *e) {
    struct image out;
    bool swap = how >= 5, mirror_x = how == 2 || how == 3 || how == 7 || how == 8,
         mirror_y = how == 3 || how == 4 || how == 6 || how == 7;
    if (how == 1)
        return OK;
    TRY(image_new(swap ? i->height : i->width, swap ? i->width : i->height, &out, e));
    for (int y = 0; y < out.height; y++)
        for (int x = 0; x < out.width; x++) {
            int from_x = swap ? y : x, from_y = swap ? x : y;
            if (mirror_x)
                from_x = i->width - 1 - from_x;
            if (mirror_y)
                from_y = i->height - 1 - from_y;
            memcpy(out.pixels + ((size_t)y * (size_t)out.width + (size_t)x) * CHANNELS,
                   i->pixels + ((size_t)from_y * (size_t)i->width + (size_t)from_x) * CHANNELS,
                   CHANNELS);
        }
    image_free(i);
    *i = out;
    return OK;
}

/* --- JPEG --- */

static enum code jpeg_pixels(tjhandle h, struct span b, size_t max_pixels, struct image *out,
                             struct err *e) {
    int width = 0, height = 0, sampling = 0, space = 0; /* a stream of tables alone sets none */
    struct image image;
    if (b.n > UINT32_MAX || lib.tjDecompressHeader3(h, b.p, (unsigned long)b.n, &width, &height,
                                                    &sampling, &space) != 0)
        return fail(e, INVALID, "damaged JPEG: %s", lib.tjGetErrorStr2(h));
    if (width <= 0 || height <= 0)
        return fail(e, INVALID, "damaged JPEG: there is no image in it");
    TRY(check_size((uint64_t)width, (uint64_t)height, max_pixels, e));
    if (space == TJCS_CMYK || space == TJCS_YCCK)
        return fail(e, UNSUPPORTED, "CMYK JPEG images are not supported; convert it to RGB");
    TRY(image_new(width, height, &image, e));
    if (lib.tjDecompress2(h, b.p, (unsigned long)b.n, image.pixels, width, 0, height, TJPF_RGB,
                          TJFLAG_STOPONWARNING) != 0) {
        image_free(&image);
        return fail(e, INVALID, "damaged JPEG: %s", lib.tjGetErrorStr2(h));
    }
    enum code code = turn(&image, orientation(b), e);
    if (code != OK)
        image_free(&image);
    else
        *out = image;
    return code;
}

static enum code decode_jpeg(struct span b, size_t max_pixels, struct image *out, struct err *e) {
    TRY(late_want(&turbojpeg, "a JPEG image", e));
    tjhandle h = lib.tjInitDecompress();
    if (!h)
        return fail(e, NOMEM, "JPEG decoder: out of memory");
    enum code code = jpeg_pixels(h, b, max_pixels, out, e);
    lib.tjDestroy(h);
    return code;
}

/* --- PNG --- */

static enum code png_pixels(spng_ctx *c, struct span b, size_t max_pixels, struct image *out,
                            struct err *e) {
    struct spng_ihdr head;
    struct image image;
    size_t bytes;
    lib.spng_set_image_limits(c, SIDE_MAX, SIDE_MAX);
    lib.spng_set_chunk_limits(c, PNG_CHUNKS, PNG_CHUNKS);
    int code = lib.spng_set_png_buffer(c, b.p, b.n);
    if (code == 0)
        code = lib.spng_get_ihdr(c, &head);
    if (code != 0)
        return code == SPNG_EUSER_WIDTH || code == SPNG_EUSER_HEIGHT
                   ? fail(e, TOO_LARGE, "the image is wider or higher than %d pixels", SIDE_MAX)
                   : fail(e, INVALID, "damaged PNG: %s", lib.spng_strerror(code));
    TRY(check_size(head.width, head.height, max_pixels, e));
    TRY(image_new((int)head.width, (int)head.height, &image, e));
    code = lib.spng_decoded_image_size(c, SPNG_FMT_RGB8, &bytes);
    if (code == 0 && bytes != (size_t)head.width * head.height * CHANNELS)
        code = SPNG_EINTERNAL;
    if (code == 0)
        code = lib.spng_decode_image(c, image.pixels, bytes, SPNG_FMT_RGB8, 0);
    if (code != 0) {
        image_free(&image);
        return fail(e, INVALID, "damaged PNG: %s", lib.spng_strerror(code));
    }
    *out = image;
    return OK;
}

static enum code decode_png(struct span b, size_t max_pixels, struct image *out, struct err *e) {
    TRY(late_want(&spng, "a PNG image", e));
    spng_ctx *c = lib.spng_ctx_new(0);
    if (!c)
        return fail(e, NOMEM, "PNG decoder: out of memory");
    enum code code = png_pixels(c, b, max_pixels, out, e);
    lib.spng_ctx_free(c);
    return code;
}

enum code image_decode(struct span bytes, size_t max_pixels, struct image *out, struct err *e) {
    switch (image_kind(bytes)) {
    case IMAGE_JPEG: return decode_jpeg(bytes, max_pixels, out, e);
    case IMAGE_PNG: return decode_png(bytes, max_pixels, out, e);
    case IMAGE_NONE: break;
    }
    return fail(e, MEDIA_TYPE, "the body is neither a JPEG nor a PNG image");
}
