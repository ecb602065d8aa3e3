r"""Is this source file worth training on: what it is written in, its shape, its comments, who wrote it.

One compiled pass measures the shape of a file, a second one its comments; rules are comparisons on the columns of both.

Definitions. A *line* ends with a line feed; its length is in characters, without the line end. *Alphanumeric* is what
Unicode calls a letter or a digit. An *encoded run* is a run of at least 64 letters, digits, ``+``, ``/`` and ``=`` of
which three quarters are letters and digits and at least one is a digit; it goes on over a line end where the line had
at least 60 of them (base64 in lines of 64 or 76). *Numbers* are literals that begin with a digit, the comma behind
them, and the escapes ``\x1f`` and ``\u001f``. *Comments* include their markers and, in Python, strings in triple
quotes that open a line (docstrings). Text within strings is no comment; strings are recognised by their delimiters, so
a regular-expression literal with an odd quote hides the comment after it, to the end of that line at most.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldmill.landing.formats import format_of, language_of, sniff
from goldmill.rules.code import CodeRules
from goldmill.text.compiled import compiled
from goldmill.text.utf8 import Bytes, decode, string_buffers
from goldmill.text.verdicts import Check, Verdicts

Counts = npt.NDArray[np.int64]


class CodeCounters(NamedTuple):
    """Measurements of source files, one number a file; all counts are of characters unless they say lines."""

    chars: Counts
    lines: Counts
    blank_lines: Counts
    longest_line: Counts
    alphanumeric: Counts
    spaces: Counts
    longest_encoded_run: Counts
    encoded: Counts
    numbers: Counts
    comments: Counts
    """-1 where the comment syntax of the language is not known."""
    line_chars: Counts
    """Without line ends: the lengths of all lines."""


def programming_language(file_name: str, first_line: str = "") -> str | None:
    """Name the language of a source file, e.g. "python", "c++", "shell"; None for what is no source file.

    Args:
        file_name: name or path; its extension decides, or the whole name ("Makefile").
        first_line: where the name says nothing, its shebang decides ("#!/usr/bin/env python3").
    """
    named = format_of(file_name)
    if named.data_type == "unknown":
        named = sniff(named.name, first_line.encode("utf-8", "replace"), ())
    return language_of(named.media_type)


def measure_code(texts: pa.Array, languages: pa.Array) -> CodeCounters:
    """Measure source files.

    Args:
        texts: string or large_string, shape (files,); no nulls.
        languages: string, shape (files,); null or a name without known comment syntax leaves ``comments`` at -1.

    Raises:
        TypeError: if ``texts`` holds no strings.
        ValueError: if ``texts`` has nulls.
    """
    data, offsets = string_buffers(texts, "texts")
    syntax = _comment_syntax()
    families = np.array([syntax.family_of.get(name, -1) for name in languages.to_pylist()], np.int64)
    counts = np.zeros((len(texts), len(CodeCounters._fields)), np.int64)
    _measure(data, offsets, families, _character_classes(), syntax.bytes_, syntax.markers, syntax.flags, counts)
    return CodeCounters(*counts.T)


def judge_code(texts: pa.Array, languages: pa.Array, rules: CodeRules, file_names: pa.Array | None = None) -> Verdicts:
    """Judge source files; the first rule broken, in this order, is reported.

    ``code:generated`` · ``code:minified`` · ``code:xml`` · ``code:too_few_lines`` · ``code:too_many_lines`` ·
    ``code:line_length`` · ``code:mean_line_length`` · ``code:alphanumeric_share`` · ``code:encoded_run`` ·
    ``code:encoded_share`` · ``code:number_share`` · ``code:too_few_comments`` · ``code:too_many_comments``

    Args:
        texts: string or large_string, shape (files,); no nulls.
        languages: string, shape (files,), as :func:`programming_language` names them; nulls allowed.
        rules: thresholds.
        file_names: string, shape (files,); nulls allowed. Tells generated and minified files by their name.

    Returns:
        Verdicts. ``code:generated`` and ``code:xml``, and ``code:minified`` by name, carry no numbers.
    """
    count = len(texts)
    if not rules.enabled:
        return Verdicts.passing(count)
    counters = measure_code(texts, languages)
    names = [None] * count if file_names is None else file_names.to_pylist()
    heads = _heads(texts)
    nothing = np.full(count, np.nan)

    chars = np.maximum(counters.chars, 1)
    text_lines = np.maximum(counters.lines - counters.blank_lines, 1)
    mean = counters.line_chars / np.maximum(counters.lines, 1)
    dense = (counters.line_chars >= rules.min_minified_line_length * text_lines) & (
        counters.spaces < rules.max_minified_space_share * counters.chars
    )
    minified_name = np.array([name is not None and bool(_MINIFIED_NAME.search(name)) for name in names], bool)
    generated = np.array(
        [
            (name is not None and bool(_GENERATED_NAME.search(name)))
            or _says_generated(head, rules.generated_head_lines)
            for name, head in zip(names, heads, strict=True)
        ],
        bool,
    )
    # A style sheet for XSLT is a program; its declaration is part of it.
    xml = np.array([_XML in head[:100] and _XSLT not in head for head in heads], bool)
    long_lines = np.isin(np.array(languages.to_pylist(), dtype=object).astype(str), np.array(rules.long_line_languages))
    longest_allowed = np.where(long_lines, rules.max_long_line_length, rules.max_line_length).astype(np.float64)
    alphanumeric = counters.alphanumeric / chars
    encoded = counters.encoded / chars
    numbers = counters.numbers / np.maximum(counters.chars - counters.spaces, 1)
    comments = counters.comments / chars
    known = counters.comments >= 0
    return Verdicts.first(
        [
            Check("code:generated", nothing, generated & rules.remove_generated, np.nan),
            Check("code:minified", nothing, minified_name & rules.remove_minified, np.nan),
            Check(
                "code:minified",
                counters.spaces / chars,
                dense & ~long_lines & rules.remove_minified,
                rules.max_minified_space_share,
            ),
            Check("code:xml", nothing, xml & rules.remove_xml, np.nan),
            Check("code:too_few_lines", counters.lines, counters.lines < rules.min_lines, rules.min_lines),
            Check("code:too_many_lines", counters.lines, counters.lines > rules.max_lines, rules.max_lines),
            Check("code:line_length", counters.longest_line, counters.longest_line > longest_allowed, longest_allowed),
            Check(
                "code:mean_line_length",
                mean,
                (mean > rules.max_mean_line_length) & ~long_lines,
                rules.max_mean_line_length,
            ),
            Check(
                "code:alphanumeric_share",
                alphanumeric,
                alphanumeric < rules.min_alphanumeric_share,
                rules.min_alphanumeric_share,
            ),
            Check(
                "code:encoded_run",
                counters.longest_encoded_run,
                counters.longest_encoded_run > rules.max_encoded_run,
                rules.max_encoded_run,
            ),
            Check("code:encoded_share", encoded, encoded > rules.max_encoded_share, rules.max_encoded_share),
            Check("code:number_share", numbers, numbers > rules.max_number_share, rules.max_number_share),
            Check(
                "code:too_few_comments",
                comments,
                known & (comments < rules.min_comment_share),
                rules.min_comment_share,
            ),
            Check(
                "code:too_many_comments",
                comments,
                known & (comments > rules.max_comment_share),
                rules.max_comment_share,
            ),
        ],
        count,
    )


# --- generated and minified files -------------------------------------------------------------------------------------

_HEAD_BYTES: Final = 4096
# Marks that only tools write are looked for below a licence header, too.
_MARK_LINES: Final = 40
_XML: Final = "<?xml version="
_XSLT: Final = "<xsl:stylesheet"
_PHRASE = re.compile(
    r"auto-?generated|automatically generated|generated automatically|this file is generated"
    r"|do not (?:edit|modify)\b"
    r"|^\W*(?:this \w+ (?:is|was|has been) )?(?:\w+ly |auto-?)?generated (?:by|from)\b",
    re.IGNORECASE | re.MULTILINE,
)
_MARK = re.compile(
    r"@generated\b|generated by the protocol buffer compiler|code generated .{0,200}do not edit"
    r"|<auto-?generated",
    re.IGNORECASE,
)
_GENERATED_NAME = re.compile(
    r"(?:^|/)(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lock|deno\.lock|poetry\.lock"
    r"|uv\.lock|pdm\.lock|pixi\.lock|conda-lock\.yml|pipfile\.lock|cargo\.lock|composer\.lock|gemfile\.lock|go\.sum"
    r"|flake\.lock|mix\.lock|podfile\.lock|package\.resolved|packages\.lock\.json|gradle\.lockfile)$"
    r"|_pb2(?:_grpc)?\.pyi?$|\.pb\.(?:go|h|cc)$|_pb\.js$|\.g\.dart$|\.designer\.cs$|\.generated\.\w+$"
    r"|[._]gen(?:erated)?\.\w+$|\.map$",
    re.IGNORECASE,
)
_MINIFIED_NAME = re.compile(r"[.-]min\.(?:js|mjs|cjs|css)$|[.-](?:bundle|chunk)\.(?:js|mjs|css)$", re.IGNORECASE)


def _heads(texts: pa.Array) -> list[str]:
    data, offsets = string_buffers(texts, "texts")
    view = data.data
    ends = np.minimum(offsets[1:], offsets[:-1] + _HEAD_BYTES)
    return [
        str(view[start:end], "utf-8", "ignore") for start, end in zip(offsets[:-1].tolist(), ends.tolist(), strict=True)
    ]


def _says_generated(head: str, phrase_lines: int) -> bool:
    lines = head.split("\n", max(phrase_lines, _MARK_LINES))
    return bool(
        _PHRASE.search("\n".join(lines[:phrase_lines])) or any(_MARK.search(line) for line in lines[:_MARK_LINES])
    )


# --- shape ------------------------------------------------------------------------------------------------------------

_SPACE: Final = 1
_ALPHANUMERIC: Final = 2
_BASE64: Final = 4
_DIGIT: Final = 8
_HEX: Final = 16
_WORD: Final = 32

_MIN_RUN: Final = 64
_MIN_RUN_LINE: Final = 60

_LINE_FEED: Final = 10
_RETURN: Final = 13
_COMMA: Final = ord(",")
_POINT: Final = ord(".")
_BACKSLASH: Final = ord("\\")
_X: Final = ord("x")
_U: Final = ord("u")


@cache
def _character_classes() -> Bytes:
    """Flags of every code point, shape (0x110000,)."""
    table = np.zeros(0x110000, np.uint8)
    # Beyond plane 3 no letter, digit or white space is assigned.
    for code in range(0x40000):
        character = chr(code)
        if character.isalnum():
            table[code] = _ALPHANUMERIC | _WORD
        elif character.isspace():
            table[code] = _SPACE
    table[ord("_")] |= _WORD
    for characters, flag in (
        ("0123456789", _DIGIT | _HEX),
        ("abcdefABCDEF", _HEX),
        ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=", _BASE64),
    ):
        table[[ord(character) for character in characters]] |= flag
    table.flags.writeable = False
    return table


@compiled
def _measure(
    data: Bytes,
    offsets: Counts,
    families: Counts,
    classes: Bytes,
    syntax_bytes: Bytes,
    markers: Bytes,
    flags: Bytes,
    counts: Counts,
) -> None:
    for row in range(families.size):
        start, end = offsets[row], offsets[row + 1]
        _measure_shape(data, start, end, classes, counts[row])
        family = families[row]
        counts[row, 9] = (
            -1
            if family < 0
            else _count_comments(data, start, end, syntax_bytes[family], markers[family], flags[family])
        )


@compiled
def _measure_shape(data: Bytes, start: int, end: int, classes: Bytes, counts: Counts) -> None:
    chars = lines = blank_lines = longest_line = alphanumeric = spaces = 0
    longest_run = encoded = numbers = 0
    line_chars = line_length = line_text = 0
    run = run_alphanumeric = run_digits = run_line = 0
    in_number = False
    escaped = 0
    before = _LINE_FEED
    at = start
    while at < end:
        code, at = decode(data, at)
        kind = classes[code]
        chars += 1
        if code == _LINE_FEED:
            lines += 1
            longest_line = max(longest_line, line_length)
            line_chars += line_length
            blank_lines += line_text == 0
            line_length = line_text = 0
        else:
            line_length += code != _RETURN
            line_text += (kind & _SPACE) == 0
        spaces += kind & _SPACE
        alphanumeric += (kind & _ALPHANUMERIC) != 0

        if kind & _BASE64:
            run += 1
            run_line += 1
            run_alphanumeric += (kind & _ALPHANUMERIC) != 0
            run_digits += (kind & _DIGIT) != 0
        elif code == _LINE_FEED and run_line >= _MIN_RUN_LINE:
            run_line = 0
        elif run:
            if run >= _MIN_RUN and run_digits and 4 * run_alphanumeric >= 3 * run:
                encoded += run
                longest_run = max(longest_run, run)
            run = run_alphanumeric = run_digits = run_line = 0

        if escaped:
            escaped = escaped - 1 if kind & _HEX else 0
            numbers += (kind & _HEX) != 0
        elif in_number:
            if kind & _WORD or code == _POINT:
                numbers += 1
            else:
                in_number = False
                numbers += code == _COMMA
        elif kind & _DIGIT and not (classes[before] & _WORD):
            in_number = True
            numbers += 1
        elif before == _BACKSLASH and code in (_X, _U):
            escaped = 2 if code == _X else 4
            numbers += 2
        before = code
    if run >= _MIN_RUN and run_digits and 4 * run_alphanumeric >= 3 * run:
        encoded += run
        longest_run = max(longest_run, run)
    if before != _LINE_FEED:
        lines += 1
        longest_line = max(longest_line, line_length)
        line_chars += line_length
        blank_lines += line_text == 0
    counts[0] = chars
    counts[1] = lines
    counts[2] = blank_lines
    counts[3] = longest_line
    counts[4] = alphanumeric
    counts[5] = spaces
    counts[6] = longest_run
    counts[7] = encoded
    counts[8] = numbers
    counts[10] = line_chars


# --- comments ---------------------------------------------------------------------------------------------------------

_LINE: Final = 1
_BLOCK: Final = 2
_STRING: Final = 4
_LONG_STRING: Final = 8
_CHARACTER: Final = 16

_LINE_MARKERS: Final = (0, 1)
_OPENERS: Final = (2, 3)
_CLOSER_OF_OPENER: Final = 2
_MARKER_ROWS: Final = 6
_MARKER_BYTES: Final = 4


class _Syntax(NamedTuple):
    """Comment syntax of all families.

    Attributes:
        family_of: row of a language.
        bytes_: what an ASCII byte may begin, flags, shape (families, 128).
        markers: length and bytes of the line markers (rows 0 and 1), the openers (2, 3) and their closers (4, 5) of
            block comments, shape (families, 6, 5).
        flags: whether line markers count at the start of a word only, whether there are docstrings, shape
            (families, 2).
    """

    family_of: dict[str | None, int]
    bytes_: Bytes
    markers: Bytes
    flags: Bytes


@cache
def _comment_syntax() -> _Syntax:
    families = tomllib.loads(files("goldmill.text").joinpath("data", "comment_syntax.toml").read_text("utf-8"))
    syntax = _Syntax(
        {},
        np.zeros((len(families), 128), np.uint8),
        np.zeros((len(families), _MARKER_ROWS, 1 + _MARKER_BYTES), np.uint8),
        np.zeros((len(families), 2), np.uint8),
    )
    for row, family in enumerate(families.values()):
        syntax.family_of.update(dict.fromkeys(family["languages"], row))
        pairs = family.get("block", [])
        closers = zip(range(_OPENERS[0] + _CLOSER_OF_OPENER, _MARKER_ROWS), (pair[1] for pair in pairs), strict=False)
        openers = zip(_OPENERS, (pair[0] for pair in pairs), strict=False)
        for place, marker in [*zip(_LINE_MARKERS, family.get("line", []), strict=False), *openers, *closers]:
            syntax.markers[row, place, 0] = len(marker)
            syntax.markers[row, place, 1 : 1 + len(marker)] = list(marker.encode("ascii"))
        beginnings = (
            (_LINE, family.get("line", [])),
            (_BLOCK, [pair[0] for pair in pairs]),
            (_STRING, family.get("strings", [])),
            (_LONG_STRING, family.get("long_strings", [])),
            (_CHARACTER, ["'"] if family.get("character") else []),
        )
        for flag, texts in beginnings:
            for text in texts:
                syntax.bytes_[row, ord(text[0])] |= flag
        syntax.flags[row] = family.get("word_start", False), family.get("docstrings", False)
    for array in syntax[1:]:
        array.flags.writeable = False
    return syntax


@compiled
def _is_at(data: Bytes, at: int, end: int, marker: Bytes) -> bool:
    length = int(marker[0])
    if length == 0 or at + length > end:
        return False
    same = True
    for index in range(length):
        same &= data[at + index] == marker[1 + index]
    return same


@compiled
def _characters(data: Bytes, start: int, end: int) -> int:
    count = 0
    for at in range(start, end):
        count += (data[at] & 0xC0) != 0x80
    return count


@compiled
def _count_comments(data: Bytes, start: int, end: int, begins: Bytes, markers: Bytes, flags: Bytes) -> int:
    comments = 0
    opens_line = True
    at = start
    while at < end:
        byte = data[at]
        kind = begins[byte] if byte < 128 else 0
        if kind == 0:
            if byte == _LINE_FEED:
                opens_line = True
            elif byte > 32:
                opens_line = False
            at += 1
            continue
        after = at
        if kind & _BLOCK:
            for place in _OPENERS:
                if after == at and _is_at(data, at, end, markers[place]):
                    closer = markers[place + _CLOSER_OF_OPENER]
                    after = at + int(markers[place][0])
                    while after < end and not _is_at(data, after, end, closer):
                        after += 1
                    after = min(end, after + int(closer[0]))
                    comments += _characters(data, at, after)
        if after == at and kind & _LINE and (not flags[0] or at == start or data[at - 1] <= 32):
            for place in _LINE_MARKERS:
                if after == at and _is_at(data, at, end, markers[place]):
                    while after < end and data[after] != _LINE_FEED:
                        after += 1
                    comments += _characters(data, at, after)
        if after == at and kind & (_STRING | _LONG_STRING):
            if flags[1] and at + 2 < end and data[at + 1] == byte and data[at + 2] == byte:
                after = _end_of_docstring(data, at + 3, end, byte)
                if opens_line:
                    comments += _characters(data, at, after)
            else:
                after = _end_of_string(data, at + 1, end, byte, kind & _LONG_STRING != 0)
        if after == at and kind & _CHARACTER:
            after = _end_of_character(data, at, end)
        at = after if after > at else at + 1
        opens_line = False
    return comments


@compiled
def _end_of_docstring(data: Bytes, at: int, end: int, quote: int) -> int:
    while at < end:
        if data[at] == _BACKSLASH:
            at += 2
        elif at + 2 < end and data[at] == quote and data[at + 1] == quote and data[at + 2] == quote:
            return at + 3
        else:
            at += 1
    return end


@compiled
def _end_of_string(data: Bytes, at: int, end: int, quote: int, over_lines: bool) -> int:
    """Position behind the closing quote, or of the line end that closes what was left open."""
    while at < end:
        if data[at] == _BACKSLASH:
            at += 2
        elif data[at] == quote:
            return at + 1
        elif data[at] == _LINE_FEED and not over_lines:
            return at
        else:
            at += 1
    return end


@compiled
def _end_of_character(data: Bytes, at: int, end: int) -> int:
    """Position behind a character literal that begins at ``at``; ``at`` where there is none."""
    if at + 2 < end and data[at + 1] == _BACKSLASH:
        for after in range(at + 3, min(end, at + 13)):
            if data[after] == data[at]:
                return after + 1
        return at
    after = at + 2
    while after < end and (data[after] & 0xC0) == 0x80:
        after += 1
    return after + 1 if after < end and data[after] == data[at] else at
