"""Prose rules: Gopher repetition and quality, C4, FineWeb. docs/rules.md defines each of them to the letter.

The FineWeb order (arXiv 2406.17557, section 3) is: Gopher repetition and quality on the text as extracted; then
``clean_c4_lines``; then the document rules of C4 and FineWeb on what is left of the text, counted anew.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldmill.rules.quality import C4Rules, FineWebRules, GopherQualityRules, GopherRepetitionRules
from goldmill.text.characters import CLASS, SPACE, character, character_table
from goldmill.text.compiled import compiled
from goldmill.text.counters import DUPLICATE_GRAMS, TOP_GRAMS
from goldmill.text.utf8 import Bytes, Offsets, decode, string_buffers
from goldmill.text.verdicts import Check, Verdicts

# Written without spaces between words: what a word is there says nothing about the length of words.
UNSPACED_LANGUAGES: Final = ("ja", "km", "lo", "my", "th", "wuu", "yue", "zh")

_NO_LIMIT = np.iinfo(np.int64).max
# What a line may hold, one bit each.
_LOREM, _JAVASCRIPT, _POLICY, _BRACKET = 1, 2, 4, 8

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def judge_prose(
    counters: pa.RecordBatch,
    languages: pa.Array | None = None,
    *,
    gopher_repetition: GopherRepetitionRules | None = None,
    gopher_quality: GopherQualityRules | None = None,
    c4: C4Rules | None = None,
    fineweb: FineWebRules | None = None,
) -> Verdicts:
    """The first rule that each text breaks, in the order of the arguments; families left out are not judged.

    Args:
        counters: from ``goldmill.text.counters.count_texts``; for ``c4`` and ``fineweb`` of the text that
            ``clean_c4_lines`` left.
        languages: ISO 639-1 code of each text. The stop word rule judges "en" only, and the rules on the length of
            words leave out languages written without spaces. Without it all rules judge all texts.

    Raises:
        ValueError: if there is not one language a text.
    """
    checks: list[Check] = []
    if gopher_repetition is not None and gopher_repetition.enabled:
        checks += _gopher_repetition_checks(counters, gopher_repetition)
    if gopher_quality is not None and gopher_quality.enabled:
        checks += _gopher_quality_checks(counters, gopher_quality, languages)
    if c4 is not None and c4.enabled:
        checks += _c4_checks(counters, c4)
    if fineweb is not None and fineweb.enabled:
        checks += _fineweb_checks(counters, fineweb)
    return Verdicts.first(checks, counters.num_rows)


def clean_c4_lines(texts: pa.Array | pa.ChunkedArray, rules: C4Rules) -> pa.LargeStringArray:
    """Drop the lines that C4 drops, trim the others and join them again; nothing is changed if C4 is switched off.

    Words are cut at white space; a line is judged for its words before and for all else after citations are deleted.
    A line that costs the whole document ("lorem ipsum", "{") stays, also if another rule would drop it, so that
    ``judge_prose`` sees it: the outcome is that of C4, which ends a page at such a line.

    Args:
        texts: string or large_string array without nulls, one document a row.

    Raises:
        TypeError: if the array holds no strings.
        ValueError: if a text is null.
    """
    data, offsets = string_buffers(texts, "texts")
    if not rules.enabled:
        whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        return whole.cast(pa.large_string())
    out = np.empty(int(offsets[-1] - offsets[0]) + 1, np.uint8)
    out_offsets = np.zeros(len(offsets), np.int64)
    size = _clean(
        data,
        offsets,
        character_table(),
        rules.require_terminal_punctuation,
        rules.min_words_per_line or 0,
        _NO_LIMIT if rules.max_word_length is None else rules.max_word_length,
        rules.remove_citations,
        rules.drop_javascript_lines,
        rules.drop_policy_lines,
        rules.refuse_lorem_ipsum,
        rules.refuse_curly_bracket,
        out,
        out_offsets,
    )
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(out_offsets), pa.py_buffer(out[:size]))


def _gopher_repetition_checks(counters: pa.RecordBatch, rules: GopherRepetitionRules) -> list[Check]:
    lines, paragraphs = _column(counters, "non_blank_lines"), _column(counters, "paragraphs")
    chars, compared = _column(counters, "chars"), _column(counters, "compared_chars")
    limits = [
        (
            "duplicate_paragraph_fraction",
            _ratio(_column(counters, "duplicate_paragraphs"), paragraphs),
            rules.max_duplicate_paragraph_fraction,
        ),
        (
            "duplicate_paragraph_character_fraction",
            _ratio(_column(counters, "duplicate_paragraph_chars"), chars),
            rules.max_duplicate_paragraph_character_fraction,
        ),
        (
            "duplicate_line_fraction",
            _ratio(_column(counters, "duplicate_lines"), lines),
            rules.max_duplicate_line_fraction,
        ),
        (
            "duplicate_line_character_fraction",
            _ratio(_column(counters, "duplicate_line_chars"), chars),
            rules.max_duplicate_line_character_fraction,
        ),
        *(
            (
                f"{kind}_{n}_gram_fraction",
                _ratio(_column(counters, f"{kind}_{n}_gram_chars"), compared),
                getattr(rules, f"max_{kind}_{n}_gram_fraction"),
            )
            for kind, lengths in (("top", TOP_GRAMS), ("duplicate", DUPLICATE_GRAMS))
            for n in lengths
        ),
    ]
    return [check for name, score, most in limits for check in _at_most(f"gopher_repetition:{name}", score, most)]


def _gopher_quality_checks(
    counters: pa.RecordBatch, rules: GopherQualityRules, languages: pa.Array | None
) -> list[Check]:
    words, proper, lines = (_column(counters, name) for name in ("words", "non_symbol_words", "lines"))
    mean_length = _ratio(_column(counters, "non_symbol_word_chars"), proper)
    if languages is None:
        english = spaced = None
    else:
        if len(languages) != counters.num_rows:
            raise ValueError(f"languages: {len(languages)} for {counters.num_rows} texts; give one for each text")
        codes = languages.to_numpy(zero_copy_only=False)
        english, spaced = codes == "en", ~np.isin(codes.astype(str), UNSPACED_LANGUAGES)
    family = "gopher_quality:"
    return [
        *_at_least(family + "word_count", proper, rules.min_words),
        *_at_most(family + "word_count", proper, rules.max_words),
        *_at_least(family + "mean_word_length", mean_length, rules.min_mean_word_length, spaced),
        *_at_most(family + "mean_word_length", mean_length, rules.max_mean_word_length, spaced),
        *_at_most(family + "hash_ratio", _ratio(_column(counters, "hashes"), words), rules.max_hash_ratio),
        *_at_most(family + "ellipsis_ratio", _ratio(_column(counters, "ellipses"), words), rules.max_ellipsis_ratio),
        *_at_most(
            family + "bullet_line_share", _ratio(_column(counters, "bullet_lines"), lines), rules.max_bullet_line_share
        ),
        *_at_most(
            family + "ellipsis_line_share",
            _ratio(_column(counters, "ellipsis_lines"), lines),
            rules.max_ellipsis_line_share,
        ),
        *_at_least(
            family + "alphabetic_word_share",
            _ratio(_column(counters, "alphabetic_words"), words),
            rules.min_alphabetic_word_share,
        ),
        *_at_least(family + "stop_words", _column(counters, "stop_words"), rules.min_stop_words, english),
    ]


def _c4_checks(counters: pa.RecordBatch, rules: C4Rules) -> list[Check]:
    return [
        *_at_most("c4:lorem_ipsum", _column(counters, "lorem_ipsums"), 0 if rules.refuse_lorem_ipsum else None),
        *_at_most("c4:curly_bracket", _column(counters, "curly_brackets"), 0 if rules.refuse_curly_bracket else None),
        *_at_least("c4:sentence_count", _column(counters, "sentences"), rules.min_sentences),
    ]


def _fineweb_checks(counters: pa.RecordBatch, rules: FineWebRules) -> list[Check]:
    lines, newlines = _column(counters, "non_blank_lines"), _column(counters, "newlines")
    return [
        *_at_least(
            "fineweb:terminal_line_ratio",
            _ratio(_column(counters, "terminal_lines"), lines),
            rules.min_terminal_line_share,
        ),
        *_at_most(
            "fineweb:short_line_ratio", _ratio(_column(counters, "short_lines"), lines), rules.max_short_line_share
        ),
        *_at_most(
            "fineweb:duplicate_line_character_ratio",
            _ratio(_column(counters, "duplicate_line_chars"), _column(counters, "chars") - newlines),
            rules.max_duplicate_line_character_share,
        ),
        *_at_most("fineweb:newline_ratio", _ratio(newlines, _column(counters, "words")), rules.max_newline_ratio),
    ]


def _column(counters: pa.RecordBatch, name: str) -> Numbers:
    return np.asarray(counters.column(name), np.float64)


def _ratio(part: Numbers, whole: Numbers) -> Numbers:
    """0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _at_most(name: str, score: Numbers, most: float | None, judged: Mask | None = None) -> list[Check]:
    return [] if most is None else [Check(name, score, _only(score > most, judged), most)]


def _at_least(name: str, score: Numbers, least: float | None, judged: Mask | None = None) -> list[Check]:
    return [] if least is None else [Check(name, score, _only(score < least, judged), least)]


def _only(failed: Mask, judged: Mask | None) -> Mask:
    return failed if judged is None else failed & judged


@compiled
def _clean(
    data: Bytes,
    offsets: Offsets,
    table: Bytes,
    require_terminal: bool,
    min_words: int,
    max_word_length: int,
    remove_citations: bool,
    drop_javascript: bool,
    drop_policies: bool,
    keep_lorem: bool,
    keep_bracket: bool,
    out: Bytes,
    out_offsets: Offsets,
) -> int:
    """Write the lines that stay to ``out``; returns its length in bytes."""
    written = 0
    for row in range(len(offsets) - 1):
        end = offsets[row + 1]
        first = written
        at = offsets[row]
        while at < end:
            words, length, longest = 0, 0, 0
            visible, visible_end = at, at
            brackets = False
            while at < end:
                code, behind = decode(data, at)
                if code == 10:
                    break
                if character(code, table) & CLASS == SPACE:
                    length = 0
                else:
                    if words == 0:
                        visible = at
                    words += length == 0
                    length += 1
                    longest = max(longest, length)
                    visible_end = behind
                    brackets |= code == 91
                at = behind
            at += 1  # the line feed
            if words < min_words or longest > max_word_length:
                continue
            begin = written
            if written > first:
                out[written] = 10
                begin += 1
            if brackets and remove_citations:
                stop = _copy_without_citations(data, visible, visible_end, table, out, begin)
            else:
                stop = begin + visible_end - visible
                out[begin:stop] = data[visible:visible_end]
            if require_terminal and not _is_terminated(out, begin, stop):
                continue
            found = _phrases(out, begin, stop)
            if not (keep_lorem and found & _LOREM):
                if drop_javascript and found & _JAVASCRIPT:
                    continue
                if drop_policies and found & _POLICY and not (keep_bracket and found & _BRACKET):
                    continue
            written = stop
        # Blank lines may stay where the rule on words is off; not at the end.
        while written > first and out[written - 1] == 10:
            written -= 1
        out_offsets[row + 1] = written
    return written


@compiled
def _copy_without_citations(data: Bytes, start: int, end: int, table: Bytes, out: Bytes, at: int) -> int:
    """Copy a line without citations and without white space at its ends; returns the end of the copy."""
    begin = at
    visible_end = at
    while start < end:
        code, behind = decode(data, start)
        if code == 91:
            cited = _citation(data, start, end)
            if cited > start:
                start = cited
                continue
        visible = character(code, table) & CLASS != SPACE
        if visible or at > begin:
            out[at : at + behind - start] = data[start:behind]
            at += behind - start
            if visible:
                visible_end = at
        start = behind
    return visible_end


@compiled
def _citation(data: Bytes, start: int, end: int) -> int:
    """End of the citation that starts here with a bracket, else its start."""
    at = start + 1
    while at < end and 48 <= data[at] <= 57:
        at += 1
    if at < end and data[at] == 93:
        return at + 1
    for phrase in (b"[edit]", b"[citation needed]"):
        if end - start >= len(phrase):
            same = True
            for index in range(len(phrase)):
                same = same and data[start + index] == phrase[index]
            if same:
                return start + len(phrase)
    return start


@compiled
def _is_terminated(out: Bytes, start: int, end: int) -> bool:
    """Whether a line ends as C4 wants it: in a full stop, ``?``, ``!`` or a straight quotation mark, not in ``...``."""
    if start == end:
        return False
    last = out[end - 1]
    if last == 46:
        return end - start < 3 or out[end - 2] != 46 or out[end - 3] != 46
    return bool(last == 63 or last == 33 or last == 34 or last == 39)


@compiled
def _phrases(line: Bytes, start: int, end: int) -> int:
    """Which of the phrases that C4 looks for a line holds, in any case."""
    found = 0
    for at in range(start, end):
        byte = line[at] | 0x20
        if byte == 108:
            if _stands(line, at, end, b"lorem ipsum"):
                found |= _LOREM
        elif byte == 106:
            if _stands(line, at, end, b"javascript"):
                found |= _JAVASCRIPT
        elif byte == 116:
            if _stands(line, at, end, b"terms of use"):
                found |= _POLICY
        elif byte == 112:
            if _stands(line, at, end, b"privacy policy"):
                found |= _POLICY
        elif byte == 99:
            if _stands(line, at, end, b"cookie policy"):
                found |= _POLICY
        elif byte == 117:
            for phrase in (b"uses cookies", b"use of cookies", b"use cookies"):
                if _stands(line, at, end, phrase):
                    found |= _POLICY
        elif line[at] == 123:
            found |= _BRACKET
    return found


@compiled
def _stands(data: Bytes, at: int, end: int, phrase: bytes) -> bool:
    """Whether a phrase of ASCII letters and spaces, given in lower case, stands here in any case."""
    if end - at < len(phrase):
        return False
    for index in range(len(phrase)):
        byte = data[at + index]
        if byte != phrase[index] and not (65 <= byte <= 90 and byte | 0x20 == phrase[index]):
            return False
    return True
