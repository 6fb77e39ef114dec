#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes image_cases.h: what Pillow and OpenCV decode and resize, for resample.c, image.c and prepare.c.

python3 tests/unit/serve/image_cases.py > tests/unit/serve/image_cases.h      (needs numpy, pillow, opencv-python)
"""

import io

import cv2
import numpy as np
from PIL import Image


def pattern(width, height):
    """Smooth and busy at once; image_pattern() in the test makes the same."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    return ((x * 7 + y * 13 + c * 50 + (x * y) % 31 * 4) % 256).astype(np.uint8)


def c_bytes(name, data):
    data = bytes(data)
    rows = [",".join(str(b) for b in data[at : at + 30]) for at in range(0, len(data), 30)]
    print(f"static const unsigned char {name}[{len(data)}] = {{\n" + ",\n".join(rows) + "};\n")


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def main():
    print(
        "/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by image_cases.py; do not edit. */\n/* clang-format off */"
    )
    cases = []
    for index, (width, height, to_width, to_height) in enumerate(
        [(13, 7, 5, 9), (40, 30, 11, 8), (5, 4, 16, 12), (1, 6, 3, 3), (64, 2, 7, 2)]
    ):
        source = pattern(width, height)
        c_bytes(
            f"linear_{index}", cv2.resize(source, (to_width, to_height), interpolation=cv2.INTER_LINEAR).tobytes()
        )
        c_bytes(f"antialias_{index}", Image.fromarray(source).resize((to_width, to_height), Image.BILINEAR).tobytes())
        cases.append(f"{{{width}, {height}, {to_width}, {to_height}, linear_{index}, antialias_{index}}}")
    print(
        "static const struct {\n    int width, height, to_width, to_height;\n"
        "    const unsigned char *linear, *antialias;\n} resize_cases[] = {\n"
        + ",\n".join(cases)
        + "};\n"
    )

    picture = Image.fromarray(pattern(20, 12))
    jpeg = encoded(picture, "JPEG", quality=85)
    c_bytes("jpeg_file", jpeg)
    c_bytes("jpeg_want", Image.open(io.BytesIO(jpeg)).tobytes())
    exif = Image.Exif()
    for how in range(2, 9):
        exif[0x112] = how
        turned = encoded(picture, "JPEG", quality=85, exif=exif.tobytes())
        c_bytes(f"jpeg_file_{how}", turned)
        upright = cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        c_bytes(f"jpeg_want_{how}", upright.tobytes())
    c_bytes("jpeg_grey_file", encoded(picture.convert("L"), "JPEG", quality=85))
    c_bytes(
        "jpeg_grey_pixels",
        Image.open(io.BytesIO(encoded(picture.convert("L"), "JPEG", quality=85))).convert("RGB").tobytes(),
    )
    c_bytes("jpeg_cmyk_file", encoded(picture.convert("CMYK"), "JPEG", quality=85))
    small = Image.fromarray(pattern(6, 5))
    c_bytes("png_want", small.tobytes())
    c_bytes("png_file", encoded(small, "PNG"))
    alpha = small.convert("RGBA")
    alpha.putalpha(77)
    c_bytes("png_alpha_file", encoded(alpha, "PNG"))
    palette = small.convert("P", palette=Image.ADAPTIVE, colors=16)
    c_bytes("png_palette_file", encoded(palette, "PNG"))
    c_bytes("png_palette_pixels", palette.convert("RGB").tobytes())
    grey = small.convert("L")
    c_bytes("png_grey_file", encoded(grey, "PNG"))
    c_bytes("png_grey_pixels", grey.convert("RGB").tobytes())


main()
