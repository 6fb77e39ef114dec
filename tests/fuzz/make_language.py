#!/usr/bin/env python3
"""Writes the corpora of the fuzzers jinja, grammar, spoken and normalize. No dependencies."""
import os
import struct

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
JINJA = {
    "loop": "{% for m in messages if m.role != 'x' %}{{ loop.index }}{{ m['role'] | upper }}{% else %}none{% endfor %}",
    "macro": "{% macro f(a, b='x') -%}{{ a ~ b }}{%- endmacro %}{{ f(1) }}{{ f(b=[1, (2,)], a={'k': none}) }}",
    "filters": "{{ messages | map(attribute='role') | list | sort(reverse=true) | join(', ') }}{{ messages | tojson(indent=2) }}",
    "strings": "{{ 'a,b'.split(',')[::-1] | string }}{{ ' x '.strip() | title }}"
               "{{ 'abc'[1:] | replace('b', 'c') }}{{ messages[1].content[0].text | capitalize }}",
    "numbers": "{{ (1 + 2) * 3 // 2 ** 2 % 5 - -1 }}{{ 1.5 | round(1) }}{{ range(5) | sum }}{{ 7 is odd and not 3 is divisibleby 2 }}",
    "namespace": "{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% if i == 1 %}{% break %}{% endif %}{% endfor %}{{ ns.n }}",
    "spaces": "  {%- if true -%}\n a {#- c -#} {% endif %}\n{% raw %}{{ x }}{% endraw %}\n",
    "tools": "{% for c in messages[2].tool_calls %}{% set f = c.function %}{{ f.name }}"
             "{% for k, v in f.arguments.items() %}{{ k }}={{ v|tojson }}{% endfor %}{% endfor %}",
    "errors": "{{ raise_exception('no') }}", "undefined": "{{ a.b is defined }}{{ a | default('x') }}",
    "set_block": "{% set x %}a{{ 1 }}{% endset %}{{ x | length }}{% set a, b = 1, 2 %}{{ a if b else 'c' }}",
}
GRAMMAR = {
    "list": b'root ::= "[" (item ("," item)*)? "]"\nitem ::= [0-9]{1,3} | "a"+ # c\n\0[12,aa]',
    "classes": b'root ::= [^"\\n]* . [\\u00e9-\\u00ff]? x{2,}\nx ::= "\\x41" | ""\0xyzAA',
    "left": b'root ::= root "a" | "b"', "missing": b'root ::= nope', "nested": b'root ::= ((("a")*)+)?' , "empty": b"",
    "schema": b'{"type": "object", "properties": {"a": {"type": "integer", "minimum": -3, "maximum": 12}, "b": {"enum": ["x", null, 1.5]}}, "required": ["a"]}',
    "refs": b'{"$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}, "maxItems": 3}}, "$ref": "#/$defs/n"}',
    "strings": b'{"type": "string", "minLength": 2, "maxLength": 5, "pattern": "^[a-c]+x?$"}',
    "any": b'{"anyOf": [{"type": "string", "format": "date"}, {"type": ["null", "boolean"]}], "title": "t"}',
    "unknown": b'{"type": "object", "patternProperties": {}}', "bounds": b'{"type": "integer", "exclusiveMinimum": 99, "maximum": 1000000}',
}
# what models write: kind (calls: none, hermes, mistral, llama; + 4 thoughts of <think>, + 8 of [THINK]; 128: begun), how it is cut
SPOKEN = {
    "hermes": b'\x01\x05Let me see. <tool_call>\n{"name": "f", "arguments": {"a": [1, "}"]}}\n</tool_call>\n'
              b'<tool_call>\n{"name": "g"}\n</tool_call> so',
    "hermes_wrong": b'\x01\x09<tool_call>no call</tool_call> <tool_call>{"name": 3}</tool_call>',
    "hermes_cut": b'\x01\x01<tool_call>{"arguments": {"x": "\\',
    "mistral": b'\x02\x07[TOOL_CALLS] [{"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": {}}]',
    "llama": b'\x03\x03{"name": "f", "parameters": {"x": "\\"y\\""}}; {"name": "g", "parameters": 12 }',
    "llama_tag": b'\x03\x02 <|python_tag|>{"name": "f", "parameters": {"x": null}}', "none": b'\x00\x01<think>a</think>{"name": "f"}',
    "think": b'\x05\x04 <think>\nhm,\n\n <tool_call> is it?\n</think>\n\n<tool_call>{"name": "f", "arguments": {}}</tool_call>',
    "think_begun": b'\x84\x08 still thinking </thin k> \n</think> \n The answer. ', "think_endless": b'\x85\x02<think> <think> a  \n ',
    "bracket": b'\x0a\x06[THINK] a [/THIN] b [/THINK] [TOOL_CALLS][{"arguments": "x", "name": "f"}]', "no_thought": b'\x04\x03 <thing> </think> ',
}


def charsmap(pairs):
    """A table of character mappings (llm/charsmap.h): each node of the trie has 256 units of its own."""
    root = {}
    texts = b""
    for key, value in pairs:
        node = root
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[-1] = len(texts)
        texts += value.encode() + b"\0"
    units, blocks = {}, [0]

    def place(node, at, label):
        blocks[0] += 1
        base = blocks[0] << 8 | at & 0xFF
        units[at] = ((at ^ base) >> 8) << 10 | 1 << 9 | (-1 in node) << 8 | label
        for byte, child in node.items():
            if byte == -1:
                units[base] = 1 << 31 | child
            else:
                place(child, base ^ byte, byte)
    place(root, 0, 0)
    n = (blocks[0] + 1) << 8
    return struct.pack("<I", 4 * n) + b"".join(struct.pack("<I", units.get(i, 0)) for i in range(n)) + texts


def normalized(text, table=b""):
    raw = text if isinstance(text, bytes) else text.encode()
    return bytes([len(raw)]) + raw + table


TABLE = charsmap([("\r", " "), ("a\u0301", "\u00e1"), ("\uff21", "A"), ("x", "")])
NORMALIZE = {
    "mapped": normalized("a\u0301\uff21 x\r\n  b", TABLE), "broken": normalized(b"a\xcc\xffx \xef\xbc", TABLE), "cut": normalized("ax", TABLE[:300]),
    "long": normalized("x", struct.pack("<I", 1 << 31) + TABLE[4:]), "marks": normalized("a" + "\u0323\u0301" * 30 + "\u1100\u1161\u11a8 \uac00\u11a8"),
    "spaces": normalized("  a \u3000\t b\u2009 "), "none": normalized(""),
}
for folder, cases in (("jinja", JINJA), ("grammar", GRAMMAR), ("spoken", SPOKEN), ("normalize", NORMALIZE)):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    for name, data in cases.items():
        with open(os.path.join(HERE, folder, name), "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
