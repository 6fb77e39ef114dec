#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gRPC services as descriptors: share/proto/*.proto -> a C header with FileDescriptorProto bytes.

usage: tools/schema.py OUT.h FILE.proto...

Reads the part of proto3 that those files use: messages and enums at the top, scalar, message and map fields, oneof,
services. No dependencies. An error names the file and the word.
"""
import os
import re
import sys

SCALARS = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9, "bytes": 12, "uint32": 13,
}  # fmt: skip
MESSAGE, ENUM, OPTIONAL, REPEATED = 11, 14, 1, 3


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def put(number, value):
    """One field: a number, text, bytes of a nested message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


class File:
    def __init__(self, path, known):
        self.name, self.known, self.package = os.path.basename(path), known, ""
        with open(path, encoding="utf-8") as f:
            text = re.sub(r"//[^\n]*", "", f.read())
        self.words = re.findall(r'"[^"]*"|[\w.]+|[{}()<>=;,]', text)
        self.at, self.imports, self.symbols, self.services = 0, [], [], []
        self.enums = set(re.findall(r"\benum (\w+)", text))
        self.body = self.read()

    def next(self, want=None):
        word = self.words[self.at]
        if want and word != want:
            sys.exit(f"{self.name}: want '{want}', got '{word}' (word {self.at})")
        self.at += 1
        return word

    def full(self, name):
        return f"{self.package}.{name}"

    def type_of(self, name):
        """Field numbers 5 (type) and 6 (type_name) of FieldDescriptorProto."""
        if name in SCALARS:
            return put(5, SCALARS[name])
        full = name if name in self.known else self.full(name)
        return put(5, ENUM if name in self.enums else MESSAGE) + put(6, "." + full)

    def field(self, owner, oneof=None):
        label, nested, word = OPTIONAL, b"", self.next()
        if word == "repeated":
            label, word = REPEATED, self.next()
        if word == "map":
            self.next("<")
            key = self.next()
            self.next(",")
            value = self.next()
            self.next(">")
        name = self.next()
        self.next("=")
        number = int(self.next())
        self.next(";")
        if word == "map":
            label, entry = REPEATED, "".join(p.capitalize() for p in name.split("_")) + "Entry"
            nested = put(1, entry)
            nested += put(2, put(1, "key") + put(3, 1) + put(4, OPTIONAL) + self.type_of(key))
            nested += put(2, put(1, "value") + put(3, 2) + put(4, OPTIONAL) + self.type_of(value))
            nested = put(3, nested + put(7, put(7, 1)))  # options { map_entry }
            kind = put(5, MESSAGE) + put(6, f".{self.full(owner)}.{entry}")
        else:
            kind = self.type_of(word)
        body = put(1, name) + put(3, number) + put(4, label) + kind
        if oneof is not None:
            body += put(9, oneof)
        return put(2, body) + nested

    def message(self):
        name, out, oneofs = self.next(), b"", []
        self.next("{")
        while self.words[self.at] != "}":
            if self.words[self.at] == "oneof":
                self.next()
                oneofs.append(self.next())
                self.next("{")
                while self.words[self.at] != "}":
                    out += self.field(name, len(oneofs) - 1)
                self.next("}")
            else:
                out += self.field(name)
        self.next("}")
        self.symbols.append(self.full(name))
        return put(4, put(1, name) + out + b"".join(put(8, put(1, o)) for o in oneofs))

    def enum(self):
        name, out = self.next(), b""
        self.next("{")
        while self.words[self.at] != "}":
            value = self.next()
            self.next("=")
            out += put(2, put(1, value) + put(2, int(self.next())))
            self.next(";")
        self.next("}")
        self.symbols.append(self.full(name))
        return put(5, put(1, name) + out)

    def argument(self):
        self.next("(")
        streams = self.words[self.at] == "stream"
        if streams:
            self.next()
        name = self.next()
        self.next(")")
        return "." + (name if name in self.known else self.full(name)), streams

    def service(self):
        name, out = self.next(), b""
        self.next("{")
        while self.words[self.at] != "}":
            self.next("rpc")
            method = self.next()
            takes, takes_stream = self.argument()
            self.next("returns")
            gives, gives_stream = self.argument()
            self.next(";")
            body = put(1, method) + put(2, takes) + put(3, gives)
            body += put(5, 1) if takes_stream else b""
            body += put(6, 1) if gives_stream else b""
            out += put(2, body)
            self.symbols.append(f"{self.full(name)}.{method}")
        self.next("}")
        self.symbols.append(self.full(name))
        self.services.append(self.full(name))
        return put(6, put(1, name) + out)

    def read(self):
        out = b""
        while self.at < len(self.words):
            word = self.next()
            if word == "syntax":
                self.at += 3
            elif word == "package":
                self.package = self.next()
                self.next(";")
            elif word == "import":
                self.imports.append(self.next().strip('"'))
                self.next(";")
            elif word in ("message", "enum", "service"):
                out += getattr(self, word)()
            else:
                sys.exit(f"{self.name}: '{word}' is not understood")
        self.known.update(self.symbols)
        head = put(1, self.name) + put(2, self.package)
        return head + b"".join(put(3, i) for i in self.imports) + out + put(12, "proto3")


def main(out, paths):
    known, files = set(), []
    for path in paths:  # in the order of their imports
        files.append(File(path, known))
    with open(out, "w", encoding="utf-8") as f:
        for i, file in enumerate(files):
            bytes_ = ",".join(str(b) for b in file.body)
            f.write(f"static const unsigned char schema_bytes_{i}[] = {{{bytes_}}};\n")
            f.write(f"static const char *const schema_symbols_{i}[] = {{")
            f.write(",".join(f'"{s}"' for s in file.symbols) + ", 0};\n")
            f.write(f"static const char *const schema_services_{i}[] = {{")
            f.write(",".join(f'"{s}"' for s in file.services) + (", 0};\n" if file.services else "0};\n"))
            f.write(f"static const char *const schema_imports_{i}[] = {{")
            f.write(",".join(f'"{s}"' for s in file.imports) + (", 0};\n" if file.imports else "0};\n"))
        f.write("static const struct schema_file schema_files[] = {\n")
        for i, file in enumerate(files):
            f.write(f'    {{"{file.name}", schema_bytes_{i}, sizeof schema_bytes_{i}, schema_symbols_{i}, ')
            f.write(f"schema_services_{i}, schema_imports_{i}}},\n")
        f.write("};\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
