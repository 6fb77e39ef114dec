"""Lines of mixed text for the tokenizer tests: words, code, emoji, CJK, Arabic, control characters, odd spaces, digits, bytes that
are not UTF-8. The same seed gives the same lines."""

import random

WORDS = """the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were
all her she there would their we him been has when who will no more if out so said what up its about than into them can only other
don't I'm we'll they've you're IT'S Can'T o'clock naïve café Zürich Ångström coöperate fiancée straße HTTP2 JSON utf8 README""".split()
CJK = "这是一个测试句子包含汉字人工智能模型服务日本語のテキストですカタカナ한국어문장입니다繁體字"
OTHER = "привет мир ελληνικά γλώσσα مرحبا بالعالم שלום עולם हिन्दी भाषा ไทย ภาษา ქართული հայերեն Ünïcödé ñandú İstanbul ǅungla ﬁne Å é ạ̈".split()
EMOJI = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🇩🇪", "❤️", "🚀", "☃", "½", "²", "Ⅷ", "٣", "१२", "①", "™", "…", "—", "“", "”", "€"]
CODE = [
    "def f(x, y=3):\n    return x**2 + y[0]\n",
    "for (int i = 0; i < n; ++i) {\n\t\ta[i] += b[i] * 0x1F;\n}",
    "SELECT * FROM t WHERE a<>'b' -- c",
    '{"key": [1, 2.5e-3, null], "s": "\\u00e9\\n"}',
    '<div class="x">&nbsp;</div>',
    "x = a->b[c];//!!!",
    "https://example.org/a?b=c&d=%20#e",
    "#include <stdio.h>\r\n\r\n#define X(a) (a##_t)",
    "git commit -m 'fix: 100% of #42'",
    "$$\\sum_{i=1}^{n} x_i^2$$",
    "====----====",
    "a\u200bb\u00adc\ufeffd",
]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\t", " \n ", "\r\n", "\u00a0", "\u3000", "\u2003", " \t ", "\u0085", "        "]
CONTROL = ["\x00", "\x01", "\x1b[31m", "\x7f", "\u0080", "\ue000", "\U000f0000", "\ufffd", "\u202e", "\u0301"]
SPECIAL = ["<|im_end|>", "<s>", "</s>", "<|endoftext|>", "[CLS]", "[MASK]", "<0x41>", "<unk>", "▁", "▁▁the", "Ġthe", "<bos>", "<start_of_turn>"]


def number(r):
    return "".join(r.choice("0123456789") for _ in range(r.choice([1, 2, 3, 4, 7, 20]))) + r.choice(["", ".5", "%", ",000", "e10"])


def part(r, special):
    kind = r.randrange(12)
    if kind < 5:
        word = r.choice(WORDS)
        return r.choice([word, word.upper(), word.title(), word + r.choice(".,;:!?")])
    if kind == 5:
        return "".join(r.choice(CJK) for _ in range(r.randrange(1, 8)))
    if kind == 6:
        return r.choice(OTHER)
    if kind == 7:
        return r.choice(EMOJI) * r.choice([1, 1, 2])
    if kind == 8:
        return r.choice(CODE)
    if kind == 9:
        return number(r)
    if kind == 10:
        return r.choice(CONTROL)
    return r.choice(SPECIAL) if special else chr(r.choice([r.randrange(0x20, 0x250), r.randrange(0x370, 0x1100), r.randrange(0x2000, 0x2C00)]))


def line(r, special=False):
    out = ""
    for _ in range(r.randrange(1, 14)):
        out += part(r, special) + (r.choice(SPACES) if r.random() < 0.8 else "")
    return out


def lines(n, seed=1, special=False):
    r = random.Random(seed)
    return [line(r, special) for _ in range(n)]


def broken(n, seed=2):
    """Bytes: lines with bytes cut out, set and put in."""
    r = random.Random(seed)
    out = []
    for text in lines(n, seed):
        raw = bytearray(text.encode())
        for _ in range(r.randrange(1, 6)):
            at = r.randrange(len(raw) + 1)
            raw[at : at + r.randrange(3)] = bytes(r.randrange(256) for _ in range(r.randrange(3)))
        out.append(bytes(raw))
    return out
