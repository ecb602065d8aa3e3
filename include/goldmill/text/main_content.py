"""Which texts of a parsed page are its main content: rules over flat arrays, in compiled code.

What is never content goes first: navigation, asides, footers, forms' controls, dialogs, what is hidden, and elements
whose class or id says that they are advertisements, comments, links to share, ... as long as they hold the smaller part
of the page. Prose is then told from the rest by its blocks: text with punctuation, or long, most of it outside of
links. From the root, the walk goes on to the child that holds four fifths of the prose, and ends where the prose is
spread over children: that is the container of the content. Within it all is kept but lists, paragraphs and sections
that are mostly links; of what is around it, the paragraphs that lead to it.

The rules and their numbers were chosen on the development half of ``bench/labelled_pages.py``; the idea of a container
that is found by the text of its blocks goes back to Readability (Arc90, 2009), that of blocks judged by their links to
Kohlschütter, Fankhauser and Nejdl, "Boilerplate Detection using Shallow Text Features" (WSDM 2010).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from goldmill.text.compiled import compiled, signed
from goldmill.text.markup import BOX, FURNITURE, HIDDEN, TAG, TAGS, Codes, Flags, Integers, tags
from goldmill.text.utf8 import Bytes

Mask = npt.NDArray[np.bool_]

# Width of a text: characters without white space, those of three bytes or more as two.
_SENTENCE_WIDTH = 25
_UNPUNCTUATED_WIDTH = 80
_CODE_WIDTH = 20
# Text that is no prose counts a little where the container is looked for: some pages are tables and headings.
_OTHER_TEXT = 0.2
_CONTAINER_SHARE = 0.8
# Elements that hold more than this of the prose are never furniture, whatever their class says.
_LARGE = 0.5
_BOX_PROSE, _BOX_WIDTH = 0.9, 100
_LINK_PROSE = 0.1
# Pages with less prose than this may hide it until a script shows it; then what is hidden counts, if it is this much
# more.
_LITTLE_PROSE, _MUCH_MORE = 200, 4

_NEVER = tags(
    "applet audio button canvas datalist dialog frameset iframe map meter noframes noscript object option progress"
    " select svg video"
)
_FURNITURE_TAGS = tags("aside footer menu nav")
_CONTAINERS = tags("article blockquote center div form main section td")
_CONTAINERS[0] = True
_INLINE = tags("a label output picture ruby span time")
_HEADINGS = tags("h1 h2 h3 h4 h5 h6")
# Largest share of links in an element; no limit for tables, which are made of links in many references.
_MAX_LINKS = np.full(TAGS, np.inf)
_MAX_LINKS[tags("article blockquote center dd div dl dt figure form header li ol section ul")] = 0.5
_MAX_LINKS[tags("figcaption h2 h3 h4 h5 h6 p")] = 0.8
_PRE, _HEADER, _P = TAG["pre"], TAG["header"], TAG["p"]
_SPACE = np.zeros(256, np.bool_)
_SPACE[list(b" \t\n\r\f\v")] = True
_PUNCTUATION = np.zeros(256, np.bool_)
_PUNCTUATION[list(b".,;:!?")] = True


@compiled
def main_content(
    data: Bytes,
    events: Integers,
    starts: Integers,
    ends: Integers,
    tag_of: Codes,
    parents: Integers,
    flags: Flags,
    count: int,
    elements: int,
) -> Mask:
    """Which events are texts of the main content, of shape (count,); the arguments are those of ``markup.parse``."""
    blocks = np.zeros(elements, np.int32)
    headed = np.zeros(elements, np.bool_)
    for element in range(1, elements):
        blocks[element] = blocks[parents[element]] if _INLINE[tag_of[element]] else element
    for element in range(elements - 1, 0, -1):
        headed[element] |= _HEADINGS[tag_of[element]]
        headed[parents[element]] |= headed[element]
    widths, marks = _measure(data, starts, ends, count)
    dropped = _never(tag_of, parents, flags, elements, True)
    total, links, prose = _sums(events, ends, tag_of, parents, blocks, widths, marks, dropped, count, elements)
    if prose[0] < _LITTLE_PROSE:
        shown = _never(tag_of, parents, flags, elements, False)
        total_shown, links_shown, prose_shown = _sums(
            events, ends, tag_of, parents, blocks, widths, marks, shown, count, elements
        )
        if prose_shown[0] > _LITTLE_PROSE and prose_shown[0] > _MUCH_MORE * prose[0]:
            dropped, total, links, prose = shown, total_shown, links_shown, prose_shown
    if _drop_furniture(tag_of, parents, flags, headed, total, prose, dropped, elements):
        total, links, prose = _sums(events, ends, tag_of, parents, blocks, widths, marks, dropped, count, elements)
    container = _container(tag_of, parents, total, links, prose, elements)
    inside, above = np.zeros(elements, np.bool_), np.zeros(elements, np.bool_)
    inside[container] = True
    at = container
    while at > 0:
        at = signed(parents[at])
        above[at] = True
    for element in range(1, elements):
        if dropped[element] or inside[element]:
            continue
        if inside[parents[element]]:
            linked = links[element] > _MAX_LINKS[tag_of[element]] * total[element]
            inside[element] = not (linked and prose[element] < _LINK_PROSE * total[element])
        elif element < container and above[parents[element]]:
            inside[element] = tag_of[element] == _P and prose[element] > 0
    kept = np.zeros(count, np.bool_)
    for event in range(count):
        if ends[event] > 0:
            kept[event] = inside[_holder(events[event])]
    return kept


@compiled
def _holder(number: np.integer[Any]) -> int:
    """The element that holds a text."""
    return signed(number) if number >= 0 else -1 - signed(number)


@compiled
def _measure(data: Bytes, starts: Integers, ends: Integers, count: int) -> tuple[Integers, Integers]:
    """Width of each text and how many marks of punctuation it has, both of shape (count,)."""
    widths, marks = np.zeros(count, np.int32), np.zeros(count, np.int32)
    for event in range(count):
        if ends[event] <= 0:
            continue
        width = punctuation = 0
        for at in range(starts[event], ends[event]):
            byte = data[at]
            if byte < 0x80:
                width += not _SPACE[byte]
                punctuation += _PUNCTUATION[byte]
            elif byte >= 0xC0:
                width += 1 + (byte >= 0xE0)
                # U+3001 and U+3002; U+FF01, U+FF0C, U+FF1A, U+FF1B, U+FF1F.
                if byte == 0xE3 and data[at + 1] == 0x80:
                    punctuation += data[at + 2] == 0x81 or data[at + 2] == 0x82
                elif byte == 0xEF and data[at + 1] == 0xBC:
                    third = data[at + 2]
                    punctuation += third == 0x81 or third == 0x8C or third == 0x9A or third == 0x9B or third == 0x9F
        widths[event], marks[event] = width, punctuation
    return widths, marks


@compiled
def _never(tag_of: Codes, parents: Integers, flags: Flags, elements: int, hidden: bool) -> Mask:
    """Elements that are no content, whatever they hold; hidden ones too if ``hidden``. Shape (elements,)."""
    dropped = np.zeros(elements, np.bool_)
    for element in range(1, elements):
        never = _NEVER[tag_of[element]] or (hidden and flags[element] & HIDDEN != 0)
        dropped[element] = never or dropped[parents[element]]
    return dropped


@compiled
def _sums(
    events: Integers,
    ends: Integers,
    tag_of: Codes,
    parents: Integers,
    blocks: Integers,
    widths: Integers,
    marks: Integers,
    dropped: Mask,
    count: int,
    elements: int,
) -> tuple[Integers, Integers, Integers]:
    """Widths of all text, of text in links and of prose in each element, less what is dropped; shape (elements,)."""
    total, links, prose = np.zeros(elements, np.int32), np.zeros(elements, np.int32), np.zeros(elements, np.int32)
    punctuation = np.zeros(elements, np.int32)
    for event in range(count):
        if ends[event] <= 0 or not widths[event]:
            continue
        number = events[event]
        holder = _holder(number)
        if dropped[holder]:
            continue
        block = blocks[holder]
        total[block] += widths[event]
        punctuation[block] += marks[event]
        if number < 0:
            links[block] += widths[event]
    for element in range(elements):
        text = total[element] - links[element]
        if 2 * links[element] < total[element] and (
            text >= _UNPUNCTUATED_WIDTH
            or (text >= _SENTENCE_WIDTH and punctuation[element] > 0)
            or (text >= _CODE_WIDTH and tag_of[element] == _PRE)
        ):
            prose[element] = text
    for element in range(elements - 1, 0, -1):
        total[parents[element]] += total[element]
        links[parents[element]] += links[element]
        prose[parents[element]] += prose[element]
    return total, links, prose


@compiled
def _drop_furniture(
    tag_of: Codes,
    parents: Integers,
    flags: Flags,
    headed: Mask,
    total: Integers,
    prose: Integers,
    dropped: Mask,
    elements: int,
) -> bool:
    """Add to ``dropped`` what is furniture by tag or class, and headers without a heading; says if there was any."""
    any_dropped = False
    for element in range(1, elements):
        if dropped[parents[element]]:
            dropped[element] = True
        elif not dropped[element]:
            most = prose[element] > _LARGE * prose[0]
            if _FURNITURE_TAGS[tag_of[element]]:
                dropped[element] = not most or prose[element] < _LITTLE_PROSE
            elif not most and total[element] < _LARGE * total[0]:
                box = prose[element] >= _BOX_PROSE * total[element] and prose[element] >= _BOX_WIDTH
                dropped[element] = (
                    flags[element] & FURNITURE != 0
                    or (flags[element] & BOX != 0 and not box)
                    or (tag_of[element] == _HEADER and not headed[element])
                )
            any_dropped |= dropped[element]
    return any_dropped


@compiled
def _container(
    tag_of: Codes, parents: Integers, total: Integers, links: Integers, prose: Integers, elements: int
) -> int:
    """The innermost element on the way to most of the prose that still holds most of it."""
    scores = prose + _OTHER_TEXT * (total - links - prose)
    # The child of each element that has the highest score.
    best = np.zeros(elements, np.int32)
    for element in range(elements - 1, 0, -1):
        parent = parents[element]
        if best[parent] == 0 or scores[element] >= scores[best[parent]]:
            best[parent] = element
    at = container = 0
    while best[at] > 0 and scores[at] > 0 and scores[best[at]] >= _CONTAINER_SHARE * scores[at]:
        at = signed(best[at])
        if _INLINE[tag_of[at]]:
            break
        if _CONTAINERS[tag_of[at]]:
            container = at
    return container
