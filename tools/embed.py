#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a file's bytes as a C array: embed.py INPUT OUTPUT NAME -> NAME[] and NAME_bytes."""
import sys

source, target, name = sys.argv[1:4]
data = open(source, "rb").read()
with open(target, "w") as out:
    out.write("/* SPDX-License-Identifier: Apache-2.0 */\n#pragma once\n#include <stddef.h>\n#include <stdint.h>\n")
    out.write(f"enum {{ {name}_bytes = {len(data)} }};\nstatic const uint8_t {name}[] = {{\n")
    for at in range(0, len(data), 24):
        out.write(",".join(str(b) for b in data[at:at + 24]) + ",\n")
    out.write("};\n")
