"""Prose rules: Gopher repetition and quality, C4, FineWeb. docs/rules.md defines each of them to the letter.

The FineWeb order (arXiv 2406.17557, section 3) is: Gopher repetition and quality on the text as extracted; then
``clean_c4_lines``; then the document rules of C4 and FineWeb on what is left of the text, counted anew. Which counts a
rule compares is declared in ``goldmill.rules.variants``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldmill.rules.quality import C4Rules, FineWebRules, GopherQualityRules, GopherRepetitionRules
from goldmill.rules.variants import VARIANTS, Rule
from goldmill.text.counters import COUNTERS, count_texts
from goldmill.text.spaced import SPACED_COUNTERS, count_spaced
from goldmill.text.verdicts import Check, Verdicts

# Written without spaces between words: what a word is there says nothing about the length of words.
UNSPACED_LANGUAGES: Final = ("ja", "km", "lo", "my", "th", "wuu", "yue", "zh")

Family = C4Rules | FineWebRules | GopherQualityRules | GopherRepetitionRules
Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FAMILIES: Final[dict[type[Family], str]] = {
    GopherRepetitionRules: "gopher_repetition",
    GopherQualityRules: "gopher_quality",
    C4Rules: "c4",
    FineWebRules: "fineweb",
}


def rules_of(family: Family) -> tuple[Rule, ...]:
    """What a family compares in its variant, without the rules that are switched off."""
    if not family.enabled:
        return ()
    rules = VARIANTS[FAMILIES[type(family)]][family.variant]
    return tuple(rule for rule in rules if getattr(family, rule.limit) not in (None, False))


def count_for(texts: pa.Array | pa.ChunkedArray, *families: Family) -> pa.RecordBatch:
    """The counts that ``judge_prose`` wants to see of the texts, and no others; those of C4 come from the cleaning.

    Raises:
        TypeError: if the array holds no strings.
        ValueError: if a text is null.
    """
    wanted = {name for family in families for rule in rules_of(family) for name in (rule.part, rule.whole)}
    # One column at least: a batch without columns would not know how many texts it is about.
    counters = count_texts(texts, [name for name in COUNTERS if name in wanted] or ["lines"])
    if wanted.isdisjoint(SPACED_COUNTERS):
        return counters
    return joined(counters, count_spaced(texts))


def joined(*counters: pa.RecordBatch) -> pa.RecordBatch:
    """The columns of several batches of as many rows, side by side."""
    names = [name for batch in counters for name in batch.schema.names]
    return pa.RecordBatch.from_arrays([column for batch in counters for column in batch.columns], names=names)


def judge_prose(counters: pa.RecordBatch, *families: Family, languages: pa.Array | None = None) -> Verdicts:
    """The first rule that each text breaks, family by family, as ``family:rule``.

    Args:
        counters: of ``count_for``; for ``C4Rules`` of ``clean_c4_lines``, for ``FineWebRules`` of the text it left.
        families: in the order of judgement.
        languages: ISO 639-1 code of each text. The stop word rule judges "en" only, and the rules on the length of
            words leave out languages written without spaces. Without it all rules judge all texts.

    Raises:
        ValueError: if there is not one language a text.
    """
    judged: dict[str, Mask | None] = {"all": None, "english": None, "spaced": None}
    if languages is not None:
        if len(languages) != counters.num_rows:
            raise ValueError(f"languages: {len(languages)} for {counters.num_rows} texts; give one for each text")
        codes = languages.to_numpy(zero_copy_only=False)
        judged["english"], judged["spaced"] = codes == "en", ~np.isin(codes.astype(str), UNSPACED_LANGUAGES)
    checks = [
        _check(counters, family, rule, judged[rule.languages]) for family in families for rule in rules_of(family)
    ]
    return Verdicts.first(checks, counters.num_rows)


def _check(counters: pa.RecordBatch, family: Family, rule: Rule, judged: Mask | None) -> Check:
    score = _column(counters, rule.part)
    if rule.whole is not None:
        whole = _column(counters, rule.whole)
        score = np.divide(score, whole, out=np.zeros_like(score), where=whole > 0)
    limit = getattr(family, rule.limit)
    threshold = 0.0 if limit is True else float(limit)
    failed = score < threshold if rule.side == "least" else score > threshold
    return Check(
        f"{FAMILIES[type(family)]}:{rule.name}", score, failed if judged is None else failed & judged, threshold
    )


def _column(counters: pa.RecordBatch, name: str) -> Numbers:
    return np.asarray(counters.column(name), np.float64)
