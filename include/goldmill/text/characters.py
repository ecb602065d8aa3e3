"""What each character is to the prose rules: part of a word, a symbol, white space, the end of a sentence.

Classes come from the frozen Unicode 3.2 database that every Python carries, so that a text gives the same counts under
each Python version. Characters younger than it count as letters, or as symbols in the blocks of symbols and emoji.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from unicodedata import ucd_3_2_0

import numpy as np
import numpy.typing as npt

from goldmill.text.compiled import compiled

Entries = npt.NDArray[np.uint16]

SPACE: Final = 0
SYMBOL: Final = 1  # punctuation, symbols, controls, invisible format characters
MARK: Final = 2  # combining marks: part of whatever they follow
LOWER: Final = 3  # lower-case letter
UPPER: Final = 4  # upper-case and title-case letter
LETTER: Final = 5  # letter of a script without case
DIGIT: Final = 6  # numbers of any kind
ALONE: Final = 7  # a word of its own: letters of scripts that set no spaces between words

CLASS: Final = 0x0F
TERMINAL: Final = 0x10  # terminal punctuation as FineWeb's filter has it
PUNCTUATION_MARK: Final = 0x20  # Unicode's punctuation (category P)
PUNCTUATION: Final = 0x80  # makes no word that counts, as Gopher's filter has it; TERMINAL and controls are among them
ALPHABETIC: Final = 0x100
DECIMAL: Final = 0x200  # digits of the decimal system
AFFIX: Final = 0x400  # a word of its own at either end of a group of characters
PREFIX: Final = 0x800  # the same, at its beginning alone
QUOTE: Final = 0x1000

# The table covers planes 0 and 1; the few classes beyond are in ``character``.
_TABLE_SIZE: Final = 0x20000

# What str.isspace knows beside the separators; these are controls (Cc).
_CONTROL_SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85"
# Zero width space and Mongolian vowel separator: white space in Unicode 3.2, since then none.
_LATER_FORMATS = (0x180E, 0x200B)
# What spaCy takes for quotation marks, affixes and prefixes, as ranges of code points; an affix is any icon too.
_QUOTES = """
22 27 60 ab b4 bb 2018-201a 201c-201e 27e6-27e7 3008-3011 3014-3015 ff08-ff09
"""
_AFFIXES = """
21-23 26-2a 2c 3a-3c 3e-3f 5b 5d 5f-60 7b 7d a1 ab b4 b7 bb bf 60c 61b 61f 66a 6d4 964 2013-2014 2018-201a 201c-201e
2026 27e6-27e7 3001-3002 3008-3011 3014-3015 ff01 ff08-ff09 ff0c ff1a-ff1b ff1f ff5e
"""
_PREFIXES = """
24-25 2b 3d a3 a5 a7 e3f 20a0-20a4 20a6-20b5 20b8-20ba 20bd fdfc
"""
# What datatrove 0.10 takes for terminal punctuation and for punctuation, as ranges of code points. The first are
# Unicode's Sentence_Terminal characters without some; the second are a choice, with U+FF11 (a digit) in it.
_TERMINAL = """
21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e 1735-1736 17d4-17d6 17d9-17da
1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e 1c3b-1c3c 1c7e-1c7f 203c-203d 2047-2049 2e2e 2e3c 2e53-2e54
3002 a4ff a60e-a60f a6f3 a6f7 a876-a877 a8ce-a8cf a92f a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb fe52 fe56-fe57 ff01 ff0e ff1f
ff61 10a56-10a57 10f55-10f59 10f86-10f89 11047-11048 110be-110c1 11141-11143 111c5-111c6 111cd 111de-111df 11238-11239
1123b-1123c 112a9 1144b-1144c 115c2-115c3 115c9-115d7 11641-11642 1173c-1173e 11944 11946 11a42-11a43 11a9b-11a9c
11c41-11c42 11ef7-11ef8 11f43-11f44 16a6e-16a6f 16af5 16b37-16b38 16b44 16e98 1bc9f 1da88
"""
_PUNCTUATION = """
0-8 b-1f 22-2d 2f 3a-3e 40 5b-60 7b-9f ab b4 bb 2013-2014 2019 201c-201e 2026 2236 2501 25ba 3001 3008-300d 3010-3011
ff05 ff08-ff09 ff0c ff11 ff1a-ff1b ff5e
"""
# Scripts that set no spaces between words: Thai, Lao, Burmese, Khmer, Han, Kana. Each of their letters is a word.
_UNSPACED = (
    (0x0E01, 0x0E7F),
    (0x0E80, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
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
    "Lu": UPPER,
    "Lt": UPPER,
    "N": DIGIT,
    "M": MARK,
    "Z": SPACE,
    "P": SYMBOL,
    "S": SYMBOL,
    "C": SYMBOL,
}


@lru_cache(maxsize=1)
def character_table() -> Entries:
    """Class and flags of each code point in planes 0 and 1, shape (131072,), read-only."""
    categories = [ucd_3_2_0.category(chr(code)) for code in range(_TABLE_SIZE)]
    table = np.array([_CLASSES.get(name, _CLASSES[name[0]]) for name in categories], np.uint16)
    younger = np.array(categories) == "Cn"
    table[younger] = LETTER
    for first, last in _SYMBOL_BLOCKS:
        table[first : last + 1][younger[first : last + 1]] = SYMBOL
    alphabetic = (table >= LOWER) & (table <= LETTER)
    icons = (np.array(categories) == "So") | (younger & (table == SYMBOL))
    icons[ord("\u00b0")] = False
    for first, last in _UNSPACED:
        block = table[first : last + 1]
        block[(block == LETTER) | (block == DIGIT)] = ALONE
    table[_codes(_CONTROL_SPACES)] = SPACE
    table[list(_LATER_FORMATS)] = SYMBOL
    terminal = _ranges(_TERMINAL)
    for codes, flag in (
        (alphabetic, ALPHABETIC),
        (np.array(categories) == "Nd", DECIMAL),
        (np.array([name[0] == "P" for name in categories]), PUNCTUATION_MARK),
        (terminal, TERMINAL),
        (terminal + _ranges(_PUNCTUATION), PUNCTUATION),
        (icons, AFFIX),
        (_ranges(_AFFIXES), AFFIX),
        (_ranges(_PREFIXES), PREFIX),
        (_ranges(_QUOTES), QUOTE),
    ):
        table[codes] |= flag
    table.flags.writeable = False
    return table


def _codes(characters: str) -> list[int]:
    return [ord(character) for character in characters]


def _ranges(listed: str) -> list[int]:
    """Code points of ranges in hexadecimal digits."""
    codes: list[int] = []
    for item in listed.split():
        first, _, last = item.partition("-")
        codes += range(int(first, 16), int(last or first, 16) + 1)
    return codes


@compiled
def character(code: int, table: Entries) -> int:
    """Class (``& CLASS``) and flags of a code point."""
    if code < 0x20000:
        return int(table[code])
    if code < 0x40000:
        return 0x107  # ALONE, ALPHABETIC: planes 2 and 3
    if 0xE0100 <= code <= 0xE01EF:
        return 2  # MARK: variation selectors
    return 1  # SYMBOL: private use, tags
