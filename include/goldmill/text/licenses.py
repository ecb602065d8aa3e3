"""Under which licence is this file: an SPDX tag, a metadata field, a whole licence text, or a sentence that grants one.

Looked for in this order:

1. an ``SPDX-License-Identifier:`` tag in the first 8192 characters (SPDX 2.3, annex E);
2. the fields ``License-Expression:``, ``License:``, ``"license":``, ``license =`` whose whole value is an expression of
   well-known SPDX identifiers;
3. the text of a licence: 90 % of its word pairs are in the first 65536 characters; of several licences the first
   (goldmill/text/license_fingerprints.py);
4. a sentence known to grant a licence in the first 8192 characters ("Licensed under the Apache License, Version 2.0").

A full text goes before a sentence, since texts quote the sentence that applies them. Identifiers are those of the SPDX
list; a text of the GNU licences that does not say "or later" counts as ``-only``.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from goldmill.text.license_fingerprints import WINDOW_CHARACTERS, closest_license, normalized_words


class LicenseMatch(NamedTuple):
    """A licence found.

    Attributes:
        spdx_id: identifier or expression, e.g. "MIT", "Apache-2.0 OR MIT".
        score: 1 for a tag, a field or a sentence; for a text the share of the licence's word pairs that were found.
    """

    spdx_id: str
    score: float


MIN_CONTAINMENT: Final = 0.9
_HEAD_CHARACTERS: Final = 8192

_KNOWN_IDS = (
    "0BSD AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-2.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSD-4-Clause "
    "BSL-1.0 CC-BY-4.0 CC-BY-SA-4.0 CC0-1.0 CDDL-1.0 ECL-2.0 EPL-1.0 EPL-2.0 EUPL-1.2 GPL-2.0-only GPL-2.0-or-later "
    "GPL-3.0-only GPL-3.0-or-later HPND ISC LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later MIT "
    "MIT-0 MPL-1.1 MPL-2.0 MS-PL MulanPSL-2.0 NCSA OFL-1.1 PSF-2.0 PostgreSQL Python-2.0 Unicode-3.0 Unlicense "
    "UPL-1.0 WTFPL Zlib ZPL-2.1 AGPL-3.0 GPL-2.0 GPL-3.0 GPL-2.0+ GPL-3.0+ LGPL-2.1 LGPL-3.0 LGPL-2.1+ LGPL-3.0+"
)
_BY_LOWER_CASE = {spdx_id.lower(): spdx_id for spdx_id in _KNOWN_IDS.split()}

_TAG = re.compile(r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+:() -]+)")
_FIELD = re.compile(
    r"""^[ \t]*["']?licen[sc]e(?:-expression)?["']?[ \t]*[:=][ \t]*["']?([A-Za-z0-9.+() -]+?)["']?[ \t]*,?[ \t]*\r?$""",
    re.IGNORECASE | re.MULTILINE,
)
_DEPRECATED = re.compile(r"([AL]?GPL-\d\.\d)(\+?)")
_TOKEN = re.compile(r"[()]|[A-Za-z0-9.+:-]+")
_OPERATORS = frozenset({"AND", "OR", "WITH"})
# Some word of every licence text and of every sentence below.
_HINT = "(?i)licen[sc]e|warrant|public domain"
# Some words of every licence that has a fingerprint, as normalised words.
_TEXT_HINT = re.compile(
    r"permission is hereby granted|redistribution and use in source|permission to use copy modify"
    r"|everyone is permitted to copy|terms and conditions for use reproduction|free and unencumbered software"
    r"|as is without any express or implied warranty|license agreement is between|legal code|unicode license"
    r"|gnu lesser general public license|(?:mozilla|eclipse) public license|sil open font license|artistic license"
)
_UNDER = r"(?:under|with) (?:the )?(?:terms of )?(?:the )?"
_SENTENCES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), spdx_id)
    for pattern, spdx_id in (
        (r"apache licen[sc]e (?:version )?2(?: 0)?\b(?! january)", "Apache-2.0"),
        (r"mozilla public licen[sc]e (?:v |version |v)?2 0", "MPL-2.0"),
        (r"mozilla public licen[sc]e (?:v |version |v)?1 1", "MPL-1.1"),
        (r"eclipse public licen[sc]e (?:v |version |v)?2 0", "EPL-2.0"),
        (r"eclipse public licen[sc]e (?:v |version |v)?1 0", "EPL-1.0"),
        (r"boost software licen[sc]e version 1 0", "BSL-1.0"),
        (r"licensed to psf under a contributor agreement", "PSF-2.0"),
        (r"(?:cc0 1 0 universal|creative commons zero)", "CC0-1.0"),
        (r"creative commons attribution sharealike 4 0", "CC-BY-SA-4.0"),
        (r"creative commons attribution 4 0", "CC-BY-4.0"),
        (r"this is free and unencumbered software released into the public domain", "Unlicense"),
        (rf"{_UNDER}(?:expat )?mit licen[sc]ed?\b", "MIT"),
        (rf"{_UNDER}isc licen[sc]e\b", "ISC"),
        (rf"{_UNDER}(?:(?:3|three) clause|new|modified|revised) bsd licen[sc]e\b", "BSD-3-Clause"),
        (rf"{_UNDER}bsd (?:3|three) clause\b", "BSD-3-Clause"),
        (rf"{_UNDER}(?:(?:2|two) clause|simplified) bsd licen[sc]e\b", "BSD-2-Clause"),
        (rf"{_UNDER}bsd (?:2|two) clause\b", "BSD-2-Clause"),
    )
)
# "GNU <name> General Public License", then its version and whether later ones will do.
_GNU_SENTENCE = re.compile(
    r"gnu (?P<name>affero |lesser |library )?general public licen[sc]e\b(?P<rest>(?: \w+){0,50})"
)
_GNU_VERSION = re.compile(r"\b(?:version|v) ?(?P<version>2 1|3|2)\b")
_OR_LATER = re.compile(r"any later version|or later\b|or newer\b")
_GNU_IDS = {
    ("affero ", "3"): "AGPL-3.0",
    ("lesser ", "2 1"): "LGPL-2.1",
    ("lesser ", "3"): "LGPL-3.0",
    ("library ", "2"): "LGPL-2.0",
    ("", "2"): "GPL-2.0",
    ("", "3"): "GPL-3.0",
}


def detect_license(text: str) -> LicenseMatch | None:
    """Find the licence that a file states, None where it states none that is known."""
    head = text[:_HEAD_CHARACTERS]
    tag = _TAG.search(head)
    if tag is not None:
        expression = _expression(tag[1], known_only=False)
        if expression is not None:
            return LicenseMatch(expression, 1.0)
    for field in _FIELD.finditer(head):
        expression = _expression(field[1], known_only=True)
        if expression is not None:
            return LicenseMatch(expression, 1.0)
    head_words = " ".join(normalized_words(head))
    if _TEXT_HINT.search(head_words):
        likeness = closest_license(normalized_words(text), MIN_CONTAINMENT)
        if likeness is not None:
            return LicenseMatch(likeness.spdx_id, likeness.containment)
    granted = _granted(head_words)
    return None if granted is None else LicenseMatch(granted, 1.0)


def detect_licenses(texts: pa.Array) -> pa.StringArray:
    """Licence of each text by :func:`detect_license`; null where none is known or the text is null.

    Args:
        texts: string or large_string, shape (documents,); nulls allowed.
    """
    heads = pc.utf8_slice_codeunits(texts, 0, WINDOW_CHARACTERS)
    hinted = pc.fill_null(pc.match_substring_regex(heads, _HINT), False)
    matches = iter([detect_license(text) for text in heads.filter(hinted).to_pylist()])
    found = [next(matches) if hint else None for hint in hinted.to_pylist()]
    return pa.array([None if match is None else match.spdx_id for match in found], pa.string())


def _expression(text: str, known_only: bool) -> str | None:
    """An SPDX expression in its usual spelling, None for what is not one."""
    parts: list[str] = []
    operand_expected = True
    depth = 0
    for part in _TOKEN.findall(text):
        # The standard writes operators in capitals; people who fill in fields do not.
        operator = part.upper() if known_only else part
        if operator not in _OPERATORS:
            operator = ""
        if part == "(" or (operand_expected and not operator and part != ")"):
            if not operand_expected:
                break
            depth += part == "("
            operand_expected = part == "("
            exception = bool(parts) and parts[-1] == "WITH"
            name = part if part == "(" or exception else _BY_LOWER_CASE.get(part.lower())
            if name is None and known_only:
                return None
            parts.append(_modern(name or part))
        elif part == ")" and not operand_expected and depth:
            depth -= 1
            parts.append(part)
        elif operator and not operand_expected:
            operand_expected = True
            parts.append(operator)
        else:
            break
    else:
        return None if operand_expected or depth else _joined(parts)
    # In a comment, prose may follow a tag; what was read until there is the expression, if it is complete.
    return None if known_only or operand_expected or depth else _joined(parts)


def _modern(spdx_id: str) -> str:
    """The identifier that replaced a deprecated one of the GNU licences."""
    deprecated = _DEPRECATED.fullmatch(spdx_id)
    return spdx_id if deprecated is None else deprecated[1] + ("-or-later" if deprecated[2] else "-only")


def _joined(parts: list[str]) -> str:
    return " ".join(parts).replace("( ", "(").replace(" )", ")")


def _granted(words: str) -> str | None:
    gnu = _GNU_SENTENCE.search(words)
    if gnu is not None:
        version = _GNU_VERSION.search(gnu["rest"])
        if version is not None:
            spdx_id = _GNU_IDS.get((gnu["name"] or "", version["version"]))
            if spdx_id is not None:
                return spdx_id + ("-or-later" if _OR_LATER.search(gnu["rest"]) else "-only")
    return next((spdx_id for pattern, spdx_id in _SENTENCES if pattern.search(words)), None)
