"""Texts and numbers that programs stumble over."""

from __future__ import annotations

from random import Random

SECRET = "OUTSIDE-OF-THE-DATA-FOLDER"  # what lies in files that no example may show

TEXTS = [
    "", " ", "\t", "\n\n", "a\0b", "9" * 5_000, "9" * 20_000, "1." + "0" * 20_000 + "x", "A" * 40_000, "1e999", "-1", "nan", "None", "true",
    "\u202egpj.exe", "\u200b", "e\u0301", "\ufb01", "\u0130", "Ａ", "\U0001f9ec" * 50, "\x1b[31mred", "\r", "%s%n%x", "{0}{x!r}", "a,b;c|d&e=f",
    "=1+1", "+1", "@SUM(A1)", "=HYPERLINK(\"http://example.org\")", "<script>alert(1)</script>", "<a href='http://example.org'>x</a>",
    "![x](http://example.org/x.png)", "[x](http://example.org)", "**x**", "$x$", ":material/home:", "[/red][bold]", "`" * 30, "[" * 5_000,
    "{" * 5_000, "../../etc/passwd", "/etc/passwd", "..", ".", "a/b", "a//b", "_index", "index", "__categories", "X", "spliced", "obs",
    "AAACCTGAGAAACCAT-1", "ACGT" * 5_000, "sample:" * 3_000, "x" * 300, "ENSMUSG00000000001.4", "Gene1-1-1-1", "_" * 20_000, "-" * 20_000,
    "1_0" * 5_000, "a" * 20_000 + "!", " " * 20_000 + "x", "0x" + "f" * 5_000, "1e" + "9" * 500, ("T" * 30 + "-") * 500,
]  # fmt: skip
NUMBERS = [
    0, 1, -1, 2, 255, 256, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53 + 1, 2**63 - 1, -(2**63), 0.5, -0.5, 1e-300, 1e20, 1e30, 1e308,
    float("inf"), float("-inf"), float("nan"),
]  # fmt: skip


def text(rng: Random) -> str:
    """One of them, or letters from anywhere."""
    if rng.random() < 0.8:
        return rng.choice(TEXTS)
    codes = [
        rng.choice([rng.randrange(32, 127), rng.randrange(160, 0xD800)]) for _ in range(rng.randrange(1, 40))
    ]
    return "".join(map(chr, codes))


def in_words(value: object) -> str:
    """Short enough to be printed."""
    shown = repr(value)
    return shown if len(shown) < 60 else f"{shown[:40]}… ({len(shown)} letters)"
