"""HTML in one compiled pass: its elements and texts as flat arrays, without a tree of objects.

The parser follows the HTML standard (https://html.spec.whatwg.org/multipage/parsing.html) where it decides what text is
and which element holds it: comments, raw text, attributes in any quotes, elements that end without an end tag (``<p>``,
``<li>``, cells, rows), end tags that end what is open inside, tags that match nothing. It leaves out what changes
neither: ``<html>``, ``<head>`` and ``<body>`` (their contents belong to the root), formatting such as ``<b>``, and
moving text out of tables. Nesting is kept to 512 levels; deeper elements belong to the 512th.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from goldmill.text.compiled import compiled, inlined, signed
from goldmill.text.hashing import FNV_OFFSET, FNV_PRIME
from goldmill.text.utf8 import Bytes

Integers = npt.NDArray[np.int32]
Codes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.uint16]
Hashes = npt.NDArray[np.uint64]

MAX_DEPTH = 512
_INLINE_DEPTH = 32

# Flags of an element, from its attributes: not shown, or by its role no content; words in its class or id for what is
# no content; those for a box, which may be either.
HIDDEN, FURNITURE, BOX = 1, 2, 4

_ROOT = 0
_NAMES = """
a abbr acronym address amp-img applet area article aside audio b base basefont bdi bdo bgsound big blockquote body br
button canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em embed
fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe img
input ins kbd label legend li link listing main map mark marquee math menu meta meter nav nobr noembed noframes noscript
object ol optgroup option output p param picture pre progress q rp rt ruby s samp script search section select small
source span strike strong style sub summary sup svg table tbody td template textarea tfoot th thead time title tr track
tt u ul var video wbr xmp
""".split()
TAG = {name: number for number, name in enumerate(_NAMES, 1)}
TAGS = len(_NAMES) + 1


def tags(names: str) -> npt.NDArray[np.bool_]:
    """Which tags, by their number, are among ``names``."""
    chosen = np.zeros(TAGS, np.bool_)
    chosen[[TAG[name] for name in names.split()]] = True
    return chosen


def hashed(text: str) -> int:
    """The FNV-1a hash that compiled code makes of the UTF-8 bytes of ``text``."""
    value = int(FNV_OFFSET)
    for byte in text.encode():
        value = (value ^ byte) * int(FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return value


def lookup_table(values: dict[str, int]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Hashes of the keys and their values, in open addressing, for :func:`look_up`; at most half of it is in use."""
    size = 1 << (2 * len(values)).bit_length()
    keys, held = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    for key, value in values.items():
        number = hashed(key)
        at = number % size
        while keys[at]:
            at = (at + 1) % size
        keys[at], held[at] = number, value
    return keys, held


@inlined
def look_up(keys: Hashes, values: npt.NDArray[np.int64], number: np.uint64) -> int:
    """The value of the key that has the hash ``number``; 0 if there is none."""
    at = signed(number & np.uint64(len(keys) - 1))
    while keys[at] != 0 and keys[at] != number:
        at = (at + 1) & (len(keys) - 1)
    return signed(values[at]) if keys[at] == number else 0


_VOID = tags("area base basefont bgsound br col embed frame hr img input link meta param source track wbr")
_RAW = tags("script style textarea title xmp iframe noembed noframes template")
_IGNORED = tags("html head body")
_FORMATTING = tags(
    "abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd mark nobr q s samp small strike strong sub sup"
    " tt u var"
)
_INLINE = tags("a label map object output picture ruby span time audio video canvas button select meter progress")
_INLINE[0] = True
_CELLS = tags("td th")
_TABLES = tags("table td th caption template")
# What opens an element ends: an open <p>, an item, a term, a row, a cell, a group of rows.
_ENDS_NOTHING, _ENDS_P, _ENDS_ITEM, _ENDS_TERM, _ENDS_ROW, _ENDS_CELL, _ENDS_GROUP, _ENDS_OPTION = range(8)
_ENDS = np.zeros(TAGS, np.int64)
for _names, _what in (
    (
        """address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer form
        h1 h2 h3 h4 h5 h6 header hgroup hr listing main menu nav ol p pre search section summary table ul xmp""",
        _ENDS_P,
    ),
    ("li", _ENDS_ITEM),
    ("dt dd", _ENDS_TERM),
    ("tr", _ENDS_ROW),
    ("td th", _ENDS_CELL),
    ("thead tbody tfoot caption colgroup", _ENDS_GROUP),
    ("option optgroup", _ENDS_OPTION),
):
    _ENDS[tags(_names)] = _what
_TRANSPARENT_TO_ITEMS = tags("address div p")
_TAG_KEYS, _TAG_VALUES = lookup_table(TAG)

# Words of class and id, apart at hyphens, underscores and capitals, that say what an element is for.
_FURNITURE = """
breadcrumb breadcrumbs cookie cookies consent gdpr newsletter subscribe subscription signup login signin addthis related
recommended recommendation recommendations recirc trending popular mostread outbrain taboola modal popup overlay
lightbox paywall pagination pager pagenav paginator skiplink footer masthead headerlink noprint disclaimer copyright
tagcloud docnav navheader navfooter sphinxsidebar comment comments commentlist commenting commentaires kommentare
comentarios disqus respond reply replies discussion
""".split()
_BOXES = """
ad ads adsense advert advertisement advertising banner share sharing sharebar sharedaddy shares social socials promo
promos promotion promoted sponsor sponsored sponsors sidebar sidebars rail nav navbar navbox navigation navi menu menus
submenu toolbar toolbox topbar teaser teasers tools utilities relations skip jumplinks toplink siblings
""".split()
# "has-sidebar", "no-footer", "with-comments": said of what is not the thing itself.
_NEGATION = 128
_WORDS = (
    dict.fromkeys(_FURNITURE, FURNITURE)
    | dict.fromkeys(_BOXES, BOX)
    | dict.fromkeys("has with no non without is js show hide enabled disabled supports".split(), _NEGATION)
)
_WORD_KEYS, _WORD_VALUES = lookup_table(_WORDS)
_ROLES = dict.fromkeys(
    """alert alertdialog banner complementary contentinfo dialog menu menubar navigation search tablist toolbar
    tooltip""".split(),
    HIDDEN,
)
_ROLE_KEYS, _ROLE_VALUES = lookup_table(_ROLES)
_CLASS, _ID, _ROLE, _STYLE, _ARIA_HIDDEN, _HIDDEN_ATTRIBUTE, _HREF = range(1, 8)
_ATTRIBUTE_KEYS, _ATTRIBUTE_VALUES = lookup_table(
    {
        "class": _CLASS,
        "id": _ID,
        "role": _ROLE,
        "style": _STYLE,
        "aria-hidden": _ARIA_HIDDEN,
        "hidden": _HIDDEN_ATTRIBUTE,
        "href": _HREF,
    }
)
_TRUE = np.uint64(hashed("true"))

_SPACE = np.zeros(256, np.bool_)
_SPACE[list(b" \t\n\r\f")] = True
_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[65:91] += 32
_LETTER = np.zeros(256, np.bool_)
_LETTER[list(range(65, 91)) + list(range(97, 123))] = True
_WORD_BYTE = _LETTER.copy()
_WORD_BYTE[48:58] = True
_LT, _GT, _SLASH, _EQUALS, _QUOTE, _APOSTROPHE, _DASH, _MARK, _BLANK = (ord(character) for character in "<>/=\"'-! ")
_LINK_TAG, _TITLE = TAG["a"], TAG["title"]
_P, _SVG = TAG["p"], TAG["svg"]
_D, _N = ord("d"), ord("n")
_NONE = np.frombuffer(b"none", np.uint8)
_DISPLAY = np.frombuffer(b"display:", np.uint8)


@compiled
def parse(
    data: Bytes,
) -> tuple[Integers, Integers, Integers, Codes, Integers, Flags, int, int, int, int]:
    """Elements and texts of the page ``data``, UTF-8 of less than 2**31 bytes.

    Returns:
        Events in the order of the page, of shape (events,): the number of an element that opens, -1 less the number of
        one that closes, or with ``ends`` above 0 a text in ``data[starts:ends]``, whose event is the element that holds
        it, or for a text in a link -1 less that element; then ``starts`` and ``ends``. Void elements open only.
        Tags, parents and flags of the elements, of shape (elements,); element 0 is the root and has no events.
        Numbers of events and elements; where the title starts and ends.
    """
    end = len(data)
    opening = angles = 0
    for at in range(end - 1):
        if data[at] == _LT:
            angles += 1
            opening += _LETTER[data[at + 1]]
    limit = 2 * opening + angles + 4
    events, starts, ends = np.empty(limit, np.int32), np.empty(limit, np.int32), np.zeros(limit, np.int32)
    tag_of, parents = np.empty(opening + 1, np.uint8), np.empty(opening + 1, np.int32)
    flags = np.zeros(opening + 1, np.uint16)
    tag_of[_ROOT], parents[_ROOT] = 0, -1
    stack, stacked = np.zeros(MAX_DEPTH + 1, np.int32), np.zeros(MAX_DEPTH + 1, np.uint8)
    open_of = np.zeros(TAGS, np.int32)
    depth = count = link_depth = 0
    elements = 1
    title_start = title_end = 0
    at = text = 0
    while at < end:
        # A text reaches up to the next thing that is markup.
        while at < end and not (data[at] == _LT and at + 1 < end and _is_markup(data, at + 1, end)):
            at += 1
        if at > text:
            holder = stack[depth]
            events[count], starts[count], ends[count] = -1 - holder if link_depth else holder, text, at
            count += 1
        if at >= end:
            break
        at += 1
        if data[at] == _MARK or data[at] == 63:
            at = text = _behind_comment(data, at, end)
            continue
        closing = data[at] == _SLASH
        at += closing
        if closing and not _LETTER[data[at]]:
            at = text = _behind(data, at, end, _GT)
            continue
        number = FNV_OFFSET
        while at < end and not (_SPACE[data[at]] or data[at] == _GT or data[at] == _SLASH):
            number = (number ^ np.uint64(_LOWER[data[at]])) * FNV_PRIME
            at += 1
        tag = look_up(_TAG_KEYS, _TAG_VALUES, number)
        at, found, links = _attributes(data, at, end)
        text = at
        if at > end:
            break
        if _IGNORED[tag] or _FORMATTING[tag]:
            continue
        if closing:
            if tag == _LINK_TAG:
                link_depth = 0
            if not open_of[tag]:
                continue
            target = _ended_by_end_tag(tag, stacked, depth)
        else:
            target = _ended_by_start_tag(tag, stacked, depth) if _ENDS[tag] else depth
        while depth > target:
            events[count] = -1 - stack[depth]
            open_of[stacked[depth]] -= 1
            depth -= 1
            count += 1
        if depth < link_depth:
            link_depth = 0
        if closing:
            continue
        if _RAW[tag]:
            # Its content is no markup; that of a title in an image is none of the page.
            start = at
            at = text = _behind_raw_text(data, at, end, number)
            if tag == _TITLE and not title_start and not open_of[_SVG]:
                title_start, title_end = start, at
            continue
        tag_of[elements], parents[elements], flags[elements] = tag, stack[depth], found
        events[count] = elements
        count += 1
        if not _VOID[tag]:
            if depth < MAX_DEPTH:
                depth += 1
                stack[depth], stacked[depth] = elements, tag
                open_of[tag] += 1
                if tag == _LINK_TAG and links:
                    link_depth = depth
            else:
                events[count] = -1 - elements
                count += 1
        elements += 1
    while depth > 0:
        events[count] = -1 - stack[depth]
        depth -= 1
        count += 1
    return events, starts, ends, tag_of, parents, flags, count, elements, title_start, title_end


@inlined
def _is_markup(data: Bytes, at: int, end: int) -> bool:
    """Whether what follows a ``<`` makes it markup."""
    byte = data[at]
    return _LETTER[byte] or byte == _MARK or byte == 63 or (byte == _SLASH and at + 1 < end)


@compiled
def _behind(data: Bytes, at: int, end: int, byte: int) -> int:
    while at < end and data[at] != byte:
        at += 1
    return min(at + 1, end)


@compiled
def _behind_comment(data: Bytes, at: int, end: int) -> int:
    """Position behind a comment, a declaration or an instruction; ``at`` is behind its ``<``."""
    if not (at + 2 < end and data[at] == _MARK and data[at + 1] == _DASH and data[at + 2] == _DASH):
        return _behind(data, at, end, _GT)
    at += 3
    # <!--> and <!---> are whole.
    if at < end and data[at] == _GT:
        return at + 1
    if at + 1 < end and data[at] == _DASH and data[at + 1] == _GT:
        return at + 2
    while at < end:
        if data[at] == _GT and data[at - 1] == _DASH and data[at - 2] == _DASH:
            return at + 1
        at += 1
    return end


@compiled
def _behind_raw_text(data: Bytes, at: int, end: int, number: np.uint64) -> int:
    """Position of the end tag whose name has the hash ``number``, which is then ignored, or of the end of the page."""
    while at < end - 2:
        if data[at] == _LT and data[at + 1] == _SLASH and _LETTER[data[at + 2]]:
            running = FNV_OFFSET
            name = at + 2
            while name < end and _WORD_BYTE[data[name]]:
                running = (running ^ np.uint64(_LOWER[data[name]])) * FNV_PRIME
                name += 1
            if running == number:
                return at
        at += 1
    return end


@compiled
def _attributes(data: Bytes, at: int, end: int) -> tuple[int, int, bool]:
    """Position behind a tag (behind the page, if it has no end), its flags, and whether it is a link."""
    flags = 0
    links = False
    while True:
        while at < end and (_SPACE[data[at]] or data[at] == _SLASH):
            at += 1
        if at >= end:
            return end + 1, flags, links
        if data[at] == _GT:
            return at + 1, flags, links
        number = FNV_OFFSET
        # A name may begin with any byte, also with an equals sign.
        number = (number ^ np.uint64(_LOWER[data[at]])) * FNV_PRIME
        at += 1
        while at < end and not (_SPACE[data[at]] or data[at] == _SLASH or data[at] == _GT or data[at] == _EQUALS):
            number = (number ^ np.uint64(_LOWER[data[at]])) * FNV_PRIME
            at += 1
        while at < end and _SPACE[data[at]]:
            at += 1
        start = stop = at
        if at < end and data[at] == _EQUALS:
            at += 1
            while at < end and _SPACE[data[at]]:
                at += 1
            if at < end and (data[at] == _QUOTE or data[at] == _APOSTROPHE):
                start = at + 1
                stop = _behind(data, start, end, signed(data[at])) - 1
                if stop == end - 1 and (stop < start or data[stop] != data[at]):
                    return end + 1, flags, links
                at = stop + 1
            else:
                start = at
                while at < end and not (_SPACE[data[at]] or data[at] == _GT):
                    at += 1
                stop = at
        attribute = look_up(_ATTRIBUTE_KEYS, _ATTRIBUTE_VALUES, number)
        if attribute == 0:
            continue
        if attribute in (_CLASS, _ID):
            flags |= _meaning(data, start, stop)
        elif attribute == _ROLE:
            flags |= look_up(_ROLE_KEYS, _ROLE_VALUES, _hash(data, start, stop))
        elif attribute == _HIDDEN_ATTRIBUTE:
            flags |= HIDDEN
        elif attribute == _ARIA_HIDDEN:
            flags |= HIDDEN if _hash(data, start, stop) == _TRUE else 0
        elif attribute == _HREF:
            links = True
        elif _hides(data, start, stop):
            flags |= HIDDEN


@compiled
def _hash(data: Bytes, at: int, end: int) -> np.uint64:
    number = FNV_OFFSET
    while at < end:
        number = (number ^ np.uint64(_LOWER[data[at]])) * FNV_PRIME
        at += 1
    return number


@compiled
def _meaning(data: Bytes, at: int, end: int) -> int:
    """Flags for the words of a class or an id."""
    flags = name_flags = 0
    number = FNV_OFFSET
    small = False
    for place in range(at, end + 1):
        byte = data[place] if place < end else _BLANK
        if not _WORD_BYTE[byte] or (small and 65 <= byte <= 90):
            name_flags |= look_up(_WORD_KEYS, _WORD_VALUES, number)
            number = FNV_OFFSET
            if _SPACE[byte]:
                flags |= 0 if name_flags & _NEGATION else name_flags
                name_flags = 0
        if _WORD_BYTE[byte]:
            number = (number ^ np.uint64(_LOWER[byte])) * FNV_PRIME
        small = 97 <= byte <= 122
    return flags


@compiled
def _hides(data: Bytes, at: int, end: int) -> bool:
    """Whether a style has ``display: none``."""
    while at + 11 < end + 1:
        if _LOWER[data[at]] == _D and _follows(data, at, end, _DISPLAY):
            value = at + len(_DISPLAY)
            while value < end and _SPACE[data[value]]:
                value += 1
            return _follows(data, value, end, _NONE)
        at += 1
    return False


@compiled
def _follows(data: Bytes, at: int, end: int, word: Bytes) -> bool:
    if at + len(word) > end:
        return False
    place = 0
    while place < len(word) and _LOWER[data[at + place]] == word[place]:
        place += 1
    return place == len(word)


@compiled
def _ended_by_end_tag(tag: int, stacked: Codes, depth: int) -> int:
    """Depth after an end tag; that of an inline element ends no block, and none ends a cell around it."""
    place = depth
    if _INLINE[tag]:
        while place > max(depth - _INLINE_DEPTH, 0):
            if stacked[place] == tag:
                return place - 1
            if not _INLINE[stacked[place]]:
                break
            place -= 1
        return depth
    table = _TABLES[tag] or _ENDS[tag] >= _ENDS_ROW
    while place > 0:
        if stacked[place] == tag:
            return place - 1
        if _TABLES[stacked[place]] and not table:
            break
        place -= 1
    return depth


@compiled
def _ended_by_start_tag(tag: int, stacked: Codes, depth: int) -> int:
    """Depth after the elements have ended that a start tag ends without an end tag."""
    what = _ENDS[tag]
    place = depth
    if what == _ENDS_P:
        while place > 0 and _INLINE[stacked[place]]:
            place -= 1
        return place - 1 if stacked[place] == _P and place > 0 else depth
    while place > 0:
        held = stacked[place]
        if what == _ENDS_ITEM:
            if held == _LI:
                return place - 1
            if not (_INLINE[held] or _TRANSPARENT_TO_ITEMS[held]):
                return depth
        elif what == _ENDS_TERM:
            if held in (_DT, _DD):
                return place - 1
            if not (_INLINE[held] or _TRANSPARENT_TO_ITEMS[held]):
                return depth
        elif what == _ENDS_OPTION:
            if held == tag:
                return place - 1
            if not _INLINE[held]:
                return depth
        else:
            if held == _TABLE:
                # Directly in the table, or behind what it holds, which ends.
                return place
            if what == _ENDS_CELL and held == _TR:
                return place
            if what == _ENDS_ROW and _GROUPS[held]:
                return place
        place -= 1
    return depth


_LI, _DT, _DD, _TABLE, _TR = (TAG[name] for name in ("li", "dt", "dd", "table", "tr"))
_GROUPS = tags("thead tbody tfoot")
