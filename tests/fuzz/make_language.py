#!/usr/bin/env python3
"""Writes the corpora of the fuzzers jinja and grammar. No dependencies."""
import os

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
for folder, cases in (("jinja", JINJA), ("grammar", GRAMMAR)):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    for name, data in cases.items():
        with open(os.path.join(HERE, folder, name), "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
