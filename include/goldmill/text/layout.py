"""The texts of a parsed page as lines, in compiled code: paragraphs, lists, code and tables as a reader sees them.

Blocks such as paragraphs and headings are apart by a blank line, others begin a new line; white space collapses except
in ``<pre>``; items have a bullet or a number, indented by their depth; cells of a row are apart by tabs. Character
references are decoded as the HTML standard has it (https://html.spec.whatwg.org/multipage/named-characters.html); soft
hyphens and null bytes go, spaces that do not break become spaces.
"""

from __future__ import annotations

from html.entities import html5

import numpy as np
import numpy.typing as npt

from goldmill.text.compiled import compiled, inlined, signed
from goldmill.text.hashing import FNV_OFFSET, FNV_PRIME
from goldmill.text.markup import MAX_DEPTH, TAG, TAGS, Codes, Integers, look_up, lookup_table, tags
from goldmill.text.utf8 import Bytes, decode

Mask = npt.NDArray[np.bool_]

_MAX_INDENT = 8
_MAX_NUMBER = 9999
# Bytes of a marker at most: indent, "9999. " or a bullet.
MARKER_BYTES = 2 * _MAX_INDENT + 8

_BREAKS = np.zeros(TAGS, np.int64)
_BREAKS[
    tags(
        "address article aside caption center dd details dir div dt fieldset figcaption footer form header hgroup hr"
        " legend li listing main nav option search section summary tr thead tbody tfoot br"
    )
] = 1
_BREAKS[tags("blockquote dl figure h1 h2 h3 h4 h5 h6 p pre xmp ol ul menu table")] = 2
_LISTS = tags("ul ol dir menu")
_PRE = tags("pre listing xmp")
_CELLS = tags("td th")
_LI, _OL, _TABLE, _TR, _P, _BR, _IMG = (TAG[name] for name in "li ol table tr p br img".split())

_LONGEST_NAME = max(map(len, html5))
# Two code points in one number; a name without its semicolon counts where old pages may leave it out.
_NAME_KEYS, _NAME_VALUES = lookup_table(
    {name: ord(value[0]) | (ord(value[1]) << 32 if len(value) > 1 else 0) for name, value in html5.items()}
)
_LONGEST_BARE = max(len(name) for name in html5 if not name.endswith(";"))
_WINDOWS_1252 = np.array([ord(bytes([code]).decode("cp1252", "replace")) for code in range(0x80, 0xA0)], np.int64)
_SPACE = np.zeros(256, np.bool_)
_SPACE[list(b" \t\n\r\f\v\x1c\x1d\x1e\x1f")] = True
# First bytes of U+0080 to U+00BF and of those blocks that have white space.
_MAY_BE_SPACE = np.zeros(256, np.bool_)
_MAY_BE_SPACE[[0xC2, 0xE1, 0xE2, 0xE3]] = True
_NAME_BYTE = np.zeros(256, np.bool_)
_NAME_BYTE[[*range(48, 58), *range(65, 91), *range(97, 123)]] = True
_NEW_LINE, _TAB, _BLANK, _AMPERSAND, _SEMICOLON, _HASH, _X, _RETURN = (ord(c) for c in "\n\t &;#x\r")
_REPLACEMENT, _NO_BREAK, _SOFT_HYPHEN = 0xFFFD, 0xA0, 0xAD


@compiled
def render(
    data: Bytes, events: Integers, starts: Integers, ends: Integers, tag_of: Codes, kept: Mask, count: int, out: Codes
) -> int:
    """Write the kept texts of a page to ``out``.

    Args:
        data, events, starts, ends, tag_of: a page from :func:`goldmill.text.markup.parse`.
        kept: which of the events are texts to write, of shape (events,).
        count: number of events.
        out: at least twice as long as the page, and ``MARKER_BYTES`` more for each item.

    Returns:
        Bytes written; no line ends with white space, the first and the last are not blank.
    """
    numbers = np.zeros(MAX_DEPTH + 1, np.int32)
    ordered = np.zeros(MAX_DEPTH + 1, np.bool_)
    size = lists = verbatim = pending = 0
    space = marked = cell = new_row = rows = new_block = False
    for event in range(count):
        number = events[event]
        if ends[event] > 0:
            if not kept[event]:
                continue
            at, end = signed(starts[event]), signed(ends[event])
            if verbatim:
                # A new line that follows <pre> at once is none of its text.
                at += new_block and data[at] == _NEW_LINE
            else:
                while at < end and _SPACE[data[at]]:
                    space = True
                    at += 1
            if at == end:
                continue
            new_block = False
            if pending or cell:
                size = _trimmed(out, size, True)
                if size and pending:
                    out[size : size + pending] = _NEW_LINE
                    size += pending
                elif size:
                    out[size] = _TAB
                    size += 1
                pending = 0
                space = cell = False
            if marked:
                size = _mark(out, size, lists, ordered[lists], numbers[lists])
                space = marked = False
            size, space = _write(data, at, end, out, size, space, verbatim > 0)
            continue
        opens = number >= 0
        tag = signed(tag_of[number] if opens else tag_of[-1 - number])
        if _CELLS[tag]:
            # The first cell of a row begins its line.
            if opens and not new_row:
                cell, pending = True, 0
            new_row = new_row and not opens
            space = True
            continue
        if tag == _IMG:
            space = True
        level = _BREAKS[tag]
        if not level:
            continue
        if tag == _BR:
            pending = min(pending + 1, 2)
            cell = False
            continue
        if _LISTS[tag] and not opens:
            lists = max(lists - 1, 0)
        # What is inside of lists stays close together; the first block of a cell begins beside the cell before it.
        level = 1 if lists else level
        if not cell or (level == 2 and tag != _P):
            pending = max(pending, level)
            cell = False
        if _LISTS[tag]:
            marked = False
            if opens:
                lists = min(lists + 1, MAX_DEPTH)
                numbers[lists], ordered[lists] = 0, tag == _OL
        elif tag == _LI:
            marked = opens
            numbers[lists] += opens
        elif tag == _TR:
            # Rows stay close together, whatever their cells hold.
            pending = 1 if rows else pending
            new_row, rows = opens, not opens
        elif tag == _TABLE:
            rows = False
        elif _PRE[tag]:
            verbatim += 1 if opens else -1
            new_block = opens
    return _trimmed(out, size, True)


@compiled
def plain(data: Bytes, at: int, end: int, out: Codes) -> int:
    """Write ``data[at:end]`` in one line to ``out``, character references decoded; returns the bytes written."""
    size, _ = _write(data, at, end, out, 0, False, False)
    return _trimmed(out, size, True)


@compiled
def _trimmed(out: Codes, size: int, lines: bool) -> int:
    """Size without white space at the end; with new lines at the end only if ``lines``."""
    while size > 0:
        last = signed(out[size - 1])
        if last < 0x80:
            if not _SPACE[last] or (last == _NEW_LINE and not lines):
                return size
            size -= 1
        else:
            start = size - 1
            while start > 0 and out[start] & 0xC0 == 0x80:
                start -= 1
            if not _MAY_BE_SPACE[out[start]] or not _is_wide_space(decode(out, start)[0]):
                return size
            size = start
    return 0


@inlined
def _is_wide_space(code: int) -> bool:
    """Whether a code point above ASCII is white space."""
    return code >= 0x85 and (
        code == 0x85
        or code == _NO_BREAK
        or code == 0x1680
        or 0x2000 <= code <= 0x200A
        or code == 0x2028
        or code == 0x2029
        or code == 0x202F
        or code == 0x205F
        or code == 0x3000
    )


@compiled
def _mark(out: Codes, size: int, depth: int, ordered: bool, number: int) -> int:
    for _ in range(min(max(depth, 1), _MAX_INDENT)):
        out[size] = out[size + 1] = _BLANK
        size += 2
    if ordered:
        number = min(number, _MAX_NUMBER)
        scale = 1
        while scale * 10 <= number:
            scale *= 10
        while scale > 0:
            out[size] = 48 + number // scale % 10
            scale //= 10
            size += 1
        out[size] = 46
    else:
        size = _put(out, size, 0x2022) - 1
    out[size + 1] = _BLANK
    return size + 2


@compiled
def _write(data: Bytes, at: int, end: int, out: Codes, size: int, space: bool, verbatim: bool) -> tuple[int, bool]:
    """Write a text; ``space`` says whether white space is due before the next character, on entry and on return."""
    while at < end:
        byte = data[at]
        code = -1
        second = 0
        if byte == _AMPERSAND:
            code, second, at = _reference(data, at, end)
        elif byte == 0:
            at += 1
            continue
        elif _MAY_BE_SPACE[byte]:
            code, at = decode(data, at)
        if code == _SOFT_HYPHEN:
            continue
        if code == _NO_BREAK or (not verbatim and _is_wide_space(code)):
            code = _BLANK
        if code < 0 and not _SPACE[byte]:
            if space:
                if size:
                    out[size] = _BLANK
                    size += 1
                space = False
            out[size] = byte
            size += 1
            at += 1
            continue
        if code < 0:
            code = signed(byte)
            at += 1
        if code < 128 and _SPACE[code]:
            if not verbatim:
                space = size > 0 and out[size - 1] != _BLANK
            elif code == _NEW_LINE:
                size = _trimmed(out, size, False)
                if size:
                    out[size] = _NEW_LINE
                    size += 1
            elif code != _RETURN:
                out[size] = code if code == _TAB else _BLANK
                size += 1
            continue
        if space:
            if size:
                out[size] = _BLANK
                size += 1
            space = False
        size = _put(out, size, code)
        if second:
            size = _put(out, size, second)
    return size, space


@compiled
def _put(out: Codes, size: int, code: int) -> int:
    """Write a code point in UTF-8."""
    if code < 0x80:
        out[size] = code
        return size + 1
    if code < 0x800:
        out[size], out[size + 1] = 0xC0 | code >> 6, 0x80 | code & 0x3F
        return size + 2
    if code < 0x10000:
        out[size], out[size + 1], out[size + 2] = 0xE0 | code >> 12, 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F
        return size + 3
    out[size], out[size + 1] = 0xF0 | code >> 18, 0x80 | code >> 12 & 0x3F
    out[size + 2], out[size + 3] = 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F
    return size + 4


@compiled
def _reference(data: Bytes, at: int, end: int) -> tuple[int, int, int]:
    """Code point, second code point or 0, and position behind a character reference; the ampersand if it is none."""
    start = at + 1
    if start < end and data[start] == _HASH:
        start += 1
        base = 10
        if start < end and (data[start] | 32) == _X:
            base = 16
            start += 1
        value = 0
        digits = start
        while digits < end:
            byte = signed(data[digits])
            if 48 <= byte <= 57:
                digit = byte - 48
            elif base == 16 and 97 <= (byte | 32) <= 102:
                digit = (byte | 32) - 87
            else:
                break
            value = min(value * base + digit, 0x110000)
            digits += 1
        if digits == start:
            return _AMPERSAND, 0, at + 1
        if digits < end and data[digits] == _SEMICOLON:
            digits += 1
        if value == 0 or value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
            value = _REPLACEMENT
        elif 0x80 <= value < 0xA0:
            value = _WINDOWS_1252[value - 0x80]
        return value, 0, digits
    number = FNV_OFFSET
    place = start
    found, behind = 0, at + 1
    while place < end and place - start < _LONGEST_NAME and _NAME_BYTE[data[place]]:
        number = (number ^ np.uint64(data[place])) * FNV_PRIME
        place += 1
        if place - start <= _LONGEST_BARE:
            value = look_up(_NAME_KEYS, _NAME_VALUES, number)
            if value:
                found, behind = value, place
    if place < end and data[place] == _SEMICOLON:
        value = look_up(_NAME_KEYS, _NAME_VALUES, (number ^ np.uint64(_SEMICOLON)) * FNV_PRIME)
        if value:
            found, behind = value, place + 1
    if found:
        return found & 0xFFFFFFFF, found >> 32, behind
    return _AMPERSAND, 0, at + 1
