"""What each character is to the prose rules: part of a word, a symbol, white space, the end of a sentence.

Classes come from the frozen Unicode 3.2 database that every Python carries, so that a text gives the same counts under
each Python version. Characters younger than it count as letters, or as symbols in the blocks of symbols and emoji.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from unicodedata import ucd_3_2_0

import numpy as np

from goldmill.text.compiled import compiled
from goldmill.text.utf8 import Bytes

SPACE: Final = 0
SYMBOL: Final = 1  # punctuation, symbols, controls
FORMAT: Final = 2  # invisible: part of a word between two word characters, else nothing
INNER: Final = 3  # apostrophes, hyphens, full stop, low line: part of a word between two word characters, else symbols
COMMA: Final = 4  # part of a word between two digits, else a symbol
MARK: Final = 5  # combining marks: part of whatever they follow
LOWER: Final = 6  # lower-case letter
LETTER: Final = 7  # any other letter
DIGIT: Final = 8
IDEOGRAPH: Final = 9  # a word of its own

CLASS: Final = 0x0F
LINE_END: Final = 0x10  # may end a line of prose
SENTENCE_END: Final = 0x20
CLOSER: Final = 0x40  # may stand between the end mark of a sentence and the space behind it

# The table covers planes 0 and 1; the few classes beyond are in ``character``.
_TABLE_SIZE: Final = 0x20000

# What str.isspace knows beside the separators; these are controls (Cc).
_CONTROL_SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85"
# Soft hyphen, Mongolian vowel separator, zero width space: declared invisible format characters after Unicode 3.2.
_LATER_FORMATS = (0x00AD, 0x180E, 0x200B)
_INNER = "'-._\u2018\u2019\u2010\u2011\u00b7"
_SENTENCE_ENDS = ".!?\u2026\u3002\uff01\uff1f\uff61\u061f\u06d4\u0964\u0965"
_CLOSERS = "\"')]}\u00bb\u201d\u2019\u300d\u300f"
# C4's five; the same for other scripts, and typographic quotation marks.
_LINE_ENDS = _SENTENCE_ENDS + "\"'\u201d\u2019\u00bb\u300d\u300f"
# Scripts whose every character is a word: Han and Kana.
_IDEOGRAPHS = (
    (0x2E80, 0x2FDF),
    (0x3005, 0x3007),
    (0x3021, 0x3029),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),
    (0x1B000, 0x1B16F),
)
# Blocks whose younger characters are symbols: currency, arrows to miscellaneous symbols, punctuation, emoji.
_SYMBOL_BLOCKS = ((0x2000, 0x2BFF), (0x2E00, 0x2E7F), (0x3000, 0x303F), (0xFE10, 0xFE6F), (0x1F000, 0x1FAFF))


# Unicode's general categories, by their first letter where no longer name is given.
_CLASSES = {
    "L": LETTER,
    "Ll": LOWER,
    "N": DIGIT,
    "M": MARK,
    "Z": SPACE,
    "P": SYMBOL,
    "S": SYMBOL,
    "C": SYMBOL,
    "Cf": FORMAT,
}


@lru_cache(maxsize=1)
def character_table() -> Bytes:
    """Class and flags of each code point in planes 0 and 1, shape (131072,), read-only."""
    categories = [ucd_3_2_0.category(chr(code)) for code in range(_TABLE_SIZE)]
    table = np.array([_CLASSES.get(name, _CLASSES[name[0]]) for name in categories], np.uint8)
    younger = np.array(categories) == "Cn"
    table[younger] = LETTER
    for first, last in _SYMBOL_BLOCKS:
        table[first : last + 1][younger[first : last + 1]] = SYMBOL
    for first, last in _IDEOGRAPHS:
        block = table[first : last + 1]
        block[(block == LETTER) | (block == DIGIT)] = IDEOGRAPH
    for characters, entry in ((_CONTROL_SPACES, SPACE), (_INNER, INNER), (",", COMMA)):
        table[[ord(character) for character in characters]] = entry
    table[list(_LATER_FORMATS)] = FORMAT
    for characters, flag in ((_LINE_ENDS, LINE_END), (_SENTENCE_ENDS, SENTENCE_END), (_CLOSERS, CLOSER)):
        table[[ord(character) for character in characters]] |= flag
    table.flags.writeable = False
    return table


@compiled
def character(code: int, table: Bytes) -> int:
    """Class (``& CLASS``) and flags of a code point."""
    if code < 0x20000:
        return int(table[code])
    if code < 0x40000:
        return 9  # IDEOGRAPH: planes 2 and 3
    if 0xE0100 <= code <= 0xE01EF:
        return 5  # MARK: variation selectors
    return 1  # SYMBOL: private use, tags
