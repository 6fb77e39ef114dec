#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what the tokenizers need of the Unicode Character Database, as Python knows it: gen-unicode.py OUTPUT
Ranges of general categories, simple mappings of case, canonical decompositions and compositions, combining classes."""
import sys
import unicodedata

CLASSES = {"Lu": "LU", "Ll": "LL", "Lt": "LT", "Lm": "LM", "Lo": "LO", "Mn": "MN", "Mc": "MC", "Me": "MC",
           "Nd": "N", "Nl": "N", "No": "N", "Cc": "CONTROL", "Cf": "CONTROL", "Co": "CONTROL"}
SPACES = {*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}


def class_of(c):
    if c in SPACES:
        return "SPACE"
    category = unicodedata.category(chr(c))
    if category in CLASSES:
        return CLASSES[category]
    return {"P": "P", "S": "S"}.get(category[0], "NONE")


def composition_of(c):
    """The pair that composes to c; Hangul is arithmetic, some compositions are excluded (Unicode Standard Annex 15)."""
    parts = unicodedata.decomposition(chr(c)).split()
    pair = "".join(chr(int(p, 16)) for p in parts) if len(parts) == 2 and not parts[0].startswith("<") else ""
    return (ord(pair[0]), ord(pair[1]), c) if pair and unicodedata.normalize("NFC", pair) == chr(c) else None


def main(target):
    ranges, lower, upper, bare, composed, combining = [], [], [], [], [], []
    for c in range(0x110000):
        kind = class_of(c)
        if not ranges or ranges[-1][1] != kind:
            ranges.append((c, kind))
        text = chr(c)
        if len(text.lower()) == 1 and text.lower() != text:
            lower.append((c, ord(text.lower())))
        if len(text.upper()) == 1 and text.upper() != text:
            upper.append((c, ord(text.upper())))
        parts = unicodedata.normalize("NFD", text)
        if parts != text and not 0xAC00 <= c < 0xD7A4:  # Hangul is arithmetic
            bare.append((c, [ord(p) for p in parts]))
        if composition_of(c):
            composed.append(composition_of(c))
        number = unicodedata.combining(text)
        if number != (combining[-1][1] if combining else 0):
            combining.append((c, number))
    with open(target, "w") as out:
        out.write("/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by tools/gen-unicode.py. */\n#pragma once\n#include \"llm/unicode.h\"\n")
        out.write("static const struct { uint32_t first; uint8_t kind; } unicode_ranges[] = {\n")
        out.writelines(f"{{{c},UNICODE_{kind}}},\n" for c, kind in ranges)
        for name, pairs in (("lowers", lower), ("uppers", upper)):
            out.write(f"}};\nstatic const struct unicode_pair unicode_{name}[] = {{\n")
            out.writelines(f"{{{a},{b}}},\n" for a, b in pairs)
        out.write("};\nstatic const struct { uint32_t from; uint32_t to[4]; } unicode_parts[] = {\n")
        out.writelines("{%d,{%s}},\n" % (a, ",".join(map(str, b))) for a, b in bare)
        out.write("};\nstatic const struct { uint32_t first, second, to; } unicode_composed[] = {\n")
        out.writelines("{%d,%d,%d},\n" % row for row in sorted(composed))
        out.write("};\nstatic const struct { uint32_t first; uint8_t number; } unicode_combining_ranges[] = {\n{0,0},\n")
        out.writelines("{%d,%d},\n" % row for row in combining)
        out.write("};\n")


main(sys.argv[1])
