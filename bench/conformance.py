"""Do our prose rules decide as the toolkits' own packages do? On real documents and on edge cases, rule by rule.

Ours and the packages judge the same documents, each family on the text as it is. datatrove does it twice: given our
words and sentences, when decision and reason must be the same on every document, and as shipped, with spaCy's. dolma
cuts words at white space, as its variants do here, so its scores must be ours. The table goes to docs/conformance.md,
a small part of the decisions to tests/unit/text/data/conformance.json, from where a unit test repeats them without the
packages.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import corpora
from common import ROOT, SPARK_ENVIRONMENT, table, use_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAGE = ROOT / "docs" / "conformance.md"
GOLDEN = ROOT / "tests" / "unit" / "text" / "data" / "conformance.json"
_BEGIN, _END = "<!-- written by `make conformance` -->", "<!-- end -->"
_ENVIRONMENTS = {"datatrove": ".venv-peers", "dolma": ".venv-peers-dolma"}
_LONGEST = 100_000  # bytes of a real document; spaCy takes minutes for longer ones
_GOLDEN_BYTES = 1500  # of a document whose decisions are recorded
_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
FAMILIES = ("gopher_repetition", "gopher_quality", "c4", "fineweb")

_PROSE = (
    "The mill stands where two rivers meet, and it has ground grain for three hundred years. Its wheel was rebuilt "
    "after the flood of 1784. Visitors climb to the loft to see how the stones are dressed. A guide explains that each "
    "furrow must be cut by hand! Who would have thought that flour depends on such patience? In winter the sluice is "
    "closed to protect the beams from frost."
)
EDGE_CASES = {
    "empty": "",
    "white space": " \t\n\u00a0\u2003\n",
    "line feeds": "\n\n\n",
    "one word": "mill",
    "one word, many times": "mill " * 200,
    "no newline": _PROSE,
    "newlines at both ends": f"\n\n{_PROSE}\n\n",
    "only symbols": "#!?... --- *** ((( ))) === +++ ~~~ @@@ %%% … • § " * 20,
    "hashes": "# heading of the part\n" * 3 + _PROSE + " #tag" * 30,
    "ellipses": ("and so it goes on and on... " * 4 + "\n") * 8 + _PROSE,
    "Chinese": "磨坊位于两河交汇处,三百年来一直在磨粮食。水轮在洪水之后重建。" * 12,
    "Japanese": "水車小屋は二つの川が合流する場所に立っている。三百年にわたり穀物を挽いてきた。「本当に？」\n" * 9,
    "Thai": "โรงสีตั้งอยู่ที่แม่น้ำสองสายมาบรรจบกันและได้บดเมล็ดพืชมาสามร้อยปีแล้ว " * 15,
    "Arabic": "تقع الطاحونة عند ملتقى النهرين، وقد طحنت الحبوب. هل تعلم ذلك؟\n" * 12,
    "emoji": "Great mill 👍👍🏽 ❤️ 👩‍👩‍👧 fine 🇫🇷 day! " * 30,
    "combining marks": "Le\u0301gende d'un e\u0301te\u0301 a\u0300 la me\u0302me fo\u0302ret. " * 20,
    "CRLF": _PROSE.replace(". ", ".\r\n") + "\r\n",
    "other line ends": _PROSE.replace(". ", ".\u2028") + "\x0b- one\x0c- two\x85- three\x1c- four",
    "tabs and no-break spaces": _PROSE.replace(" ", "\u00a0", 12).replace(". ", ".\t"),
    "10 MB line": " ".join(
        f"{word}{number}" for number in range(55_000) for word in ("mill", "of", "and", "grain", "stone,")
    )
    * 3,
    "bullets": "\n".join(f"- point {number} of the list, which is short" for number in range(40)),
    "round bullets": "\n".join(f"  • point {number} of the list" for number in range(40)),
    "nested lists": "\n".join(
        "  " * (number % 4) + f"* item {number}\n" + "    - detail of it" for number in range(30)
    ),
    "code": 'def main(argument: int = 0) -> None:\n    for x in range(argument):\n        print(f"{x!r}", x ** 2)\n\n'
    * 12,
    "JSON": '{"name": "mill", "wheels": [1, 2, 3], "of": {"the": "river"}}\n' * 20,
    "paragraphs repeated": f"{_PROSE}\n\n" * 4,
    "lines repeated": "Read more about the mill and that river\n" * 6 + _PROSE,
    "blank lines": _PROSE.replace(". ", ".\n \n\t\n"),
    "lorem ipsum first": f"Lorem IPSUM dolor sit amet\n{{ a b c }}\n{_PROSE}",
    "bracket first": f"{{ a b c }}\nLorem ipsum dolor sit amet\n{_PROSE}",
    "javascript with bracket": f"Enable JavaScript {{ please }} now\n{_PROSE}",
    "policies": f"By our terms of use here\nWe use cookies for this\n{_PROSE}",
    "citations": "The mill was built in 1484. [1][2]\nIt stands here [citation needed] still.[edit]\n[3] [4] [5]\n" * 4,
    "long word": f"see {'w' * 1001} here\nsee {'é' * 1000} here\n{_PROSE}",
    "quotation marks": "\n".join(f'“He said that no. {number}” and ‘left’ "then" »fast«.' for number in range(20)),
    "contractions": "I'm sure they'd've said it's what we can't and don't do; you're right, they'll see Tom's. " * 12,
    "addresses": "See https://example.org/a-b/c?d=e&f=g and mail to.me@example.org or www.example.com/x_y of that. "
    * 12,
    "numbers": "3,000.5 1-2 10% 5+5 1/2 2024-01-02 12:30 v1.2.3 0x1F 1e-9 (42) [7] " * 15,
    "full width": "Ｔｈｅ　ｍｉｌｌ１２３！　ｏｆ、ａｎｄ。" * 30,
    "invisible characters": "the\u200bmill\u00adof\u2060and \ufeff \u200b that \u200d have\n" * 20,
    "short lines": "one\ntwo\nthree\nfour five\n" * 30,
    "no end marks": "\n".join(
        f"line {number} of the text that has no end mark at all but a few words" for number in range(30)
    ),
}


def main() -> int:
    """Parse the command line, judge, compare, show and record; 1 if a decision differs that must not."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--documents", type=int, default=3000, help="real ones beside the edge cases (%(default)s)")
    made.add_argument("--skip", type=int, default=0, help="real ones to leave out first; such a run is not recorded")
    given = made.parse_args()
    use_environment(SPARK_ENVIRONMENT)
    corpora.build()
    real = [
        document["text"]
        for document in corpora.read("text", (given.skip + given.documents) / 50)
        if document["language"] == "en"
    ]
    real = [text for text in real if len(text.encode()) <= _LONGEST][given.skip :][: given.documents]
    texts = [*EDGE_CASES.values(), *real]
    ours = decisions(texts)
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "documents.jsonl"
        _write(texts, len(EDGE_CASES), source)
        theirs = {toolkit: _ask(toolkit, source) for toolkit in _ENVIRONMENTS}
    names = [*EDGE_CASES, *(f"document {number}" for number in range(len(real)))]
    rows, differences = _compare(names, texts, ours, theirs)
    versions = {toolkit: _version(toolkit) for toolkit in _ENVIRONMENTS}
    page = _page(rows, differences, len(real), versions)
    print(page)
    if not given.skip:
        _record(page, names, texts, ours, versions)
    return 1 if differences else 0


def decisions(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Our reasons of each text: ``family@variant`` -> rule or None; what C4 leaves of it."""
    import pyarrow as pa

    from goldmill.rules.quality import C4Rules, FineWebRules, GopherQualityRules, GopherRepetitionRules
    from goldmill.text.c4 import clean_c4_lines
    from goldmill.text.quality import count_for, judge_prose

    batch = pa.array(texts, pa.large_string())
    made: list[dict[str, Any]] = [{} for _ in texts]
    for family in (
        GopherRepetitionRules(),
        GopherQualityRules(),
        FineWebRules(),
        GopherRepetitionRules(variant="dolma"),
        GopherQualityRules(variant="dolma"),
    ):
        reasons = judge_prose(count_for(batch, family), family).rule.to_pylist()
        _put(made, type(family), family.variant, reasons)
    for rules in (C4Rules(), C4Rules(variant="dolma", require_terminal_punctuation=True)):
        cleaned = clean_c4_lines(batch, rules)
        _put(made, C4Rules, rules.variant, judge_prose(cleaned.counters, rules).rule.to_pylist())
        for one, text in zip(made, cleaned.texts.to_pylist(), strict=True):
            one[f"c4 text@{rules.variant}"] = text
    return made


def _put(made: list[dict[str, Any]], family: type, variant: str, reasons: Iterable[str | None]) -> None:
    from goldmill.text.quality import FAMILIES as NAMES

    for one, reason in zip(made, reasons, strict=True):
        one[f"{NAMES[family]}@{variant}"] = reason and reason.partition(":")[2]


def _write(texts: Sequence[str], edge_cases: int, path: Path) -> None:
    """What the peers are given: texts, our words, and our sentences of the lines that C4 asks about."""
    import pyarrow as pa

    from goldmill.text.sentences import count_sentences
    from goldmill.text.words import split_words

    with path.open("w") as out:
        for number, text in enumerate(texts):
            lines = sorted({_CITATION.sub("", line.strip()) for line in text.splitlines()})
            counts = count_sentences(pa.array(lines, pa.string())).to_pylist()
            document = {
                "text": text,
                "words": split_words(pa.array([text]))[0].as_py(),
                "sentences": dict(zip(lines, counts, strict=True)),
                "shipped": number >= edge_cases,
            }
            out.write(json.dumps(document) + "\n")


def _ask(toolkit: str, source: Path) -> list[dict[str, Any]]:
    python = ROOT / _ENVIRONMENTS[toolkit] / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{python} does not exist; run `scripts/bootstrap --peers`")
    script = ROOT / "bench" / "conformance_peers.py"
    done = subprocess.run([python, script, toolkit, source], stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _version(toolkit: str) -> str:
    python = ROOT / _ENVIRONMENTS[toolkit] / "bin" / "python"
    command = f"import importlib.metadata as m; print(m.version({toolkit!r}))"
    done = subprocess.run([python, "-c", command], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def _compare(
    names: Sequence[str], texts: Sequence[str], ours: list[dict[str, Any]], theirs: dict[str, list[dict[str, Any]]]
) -> tuple[list[tuple[Any, ...]], list[tuple[str, ...]]]:
    """A row a rule: documents that ours and theirs remove by it, agreement; and what differs though it must not."""
    from goldmill.rules.variants import VARIANTS

    removed: Counter[tuple[str, str, str, str]] = Counter()
    differing: Counter[tuple[str, str, str]] = Counter()
    shipped = 0
    differences: list[tuple[str, ...]] = []
    for number, (name, text, our) in enumerate(zip(names, texts, ours, strict=True)):
        for mode, peer in _peers(number, text, theirs):
            toolkit, _, how = mode.partition(" ")
            for key, reason in peer.items():
                own = our[f"{key}@{toolkit}"]
                if how == "shipped":
                    shipped += key == FAMILIES[0]
                if key != "c4 text":
                    if reason == "empty" and not text.strip():  # never comes to these rules: removed as no_text
                        reason = own
                    removed[mode, key, own or "", "ours"] += 1
                    removed[mode, key, reason or "", "theirs"] += 1
                    if own != reason:
                        for rule in {own, reason} - {None}:
                            differing[mode, key, rule] += 1
                elif peer.get("c4") is not None:
                    continue
                if own != reason and how != "shipped":
                    differences.append((mode, name, key, str(own)[:60], str(reason)[:60]))
    rows = []
    for family, variants in VARIANTS.items():
        for variant, rules in variants.items():
            for rule in dict.fromkeys(rule.name for rule in rules):
                for how, total in (("given", len(texts)), ("shipped", shipped)):
                    mode = f"{variant} {how}"
                    if variant == "dolma" and how == "shipped":
                        continue
                    counts = (removed[mode, family, rule, who] for who in ("ours", "theirs"))
                    share = 100 * (1 - differing[mode, family, rule] / total)
                    rows.append((f"{family}@{variant}", rule, how, total, *counts, share))
    return rows, differences


def _peers(number: int, text: str, theirs: dict[str, list[dict[str, Any]]]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Mode, and the peer's reasons in our names, by family."""
    from goldmill.rules.variants import VARIANTS

    for mode, reasons in theirs["datatrove"][number].items():
        translated: dict[str, Any] = {}
        for key, reason in reasons.items():
            known = {rule.peer: rule.name for rule in VARIANTS.get(key, {}).get("datatrove", ())}
            translated[key] = known.get(reason, reason)
        yield f"datatrove {mode}", translated
    scores = theirs["dolma"][number]
    broken = {family: _broken(family, scores) for family in ("gopher_repetition", "gopher_quality", "c4")}
    yield "dolma given", broken | {"c4 text": scores["c4 text"]}


def _broken(family: str, scores: dict[str, Any]) -> str | None:
    """The first rule of dolma's variant that its own scores break."""
    from goldmill.rules.quality import C4Rules, GopherQualityRules, GopherRepetitionRules
    from goldmill.rules.variants import VARIANTS

    limits = {"gopher_repetition": GopherRepetitionRules, "gopher_quality": GopherQualityRules, "c4": C4Rules}[family]()
    attributes = scores["c4" if family == "c4" else "gopher"]
    for rule in VARIANTS[family]["dolma"]:
        limit = getattr(limits, rule.limit)
        limit = 0 if limit is True else limit
        score = attributes.get(rule.peer, 0)
        if score < limit if rule.side == "least" else score > limit:
            return rule.name
    return None


def _page(
    rows: Sequence[tuple[Any, ...]], differences: Sequence[tuple[str, ...]], real: int, versions: dict[str, str]
) -> str:
    columns = ("family@variant", "rule", "words", "documents", "removed by ours", "by theirs", "agreement %")
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    parts = [
        (
            f"{packages}; {len(EDGE_CASES)} edge cases and {real:,} real documents of at most {_LONGEST:,} bytes, "
            f"`bench/corpora.py`, seed {corpora.SEED}."
        ),
        table(columns, rows),
        f"Differing decisions, reasons or cleaned texts where there must be none: {len(differences)}.",
    ]
    if differences:
        parts.append(table(("peer", "document", "family", "ours", "theirs"), differences[:50]))
    return "\n\n".join(parts)


def _record(
    page: str, names: Sequence[str], texts: Sequence[str], ours: list[dict[str, Any]], versions: dict[str, str]
) -> None:
    before, begin, rest = PAGE.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} lacks the lines {_BEGIN!r} and {_END!r}, between which the table belongs")
    PAGE.write_text(f"{before}{_BEGIN}\n\n{page}\n\n{_END}{after}")
    # Texts of others are not copied into the repository: the edge cases are our own.
    golden = [
        {"name": name, "text": text, "reasons": {key: value for key, value in one.items() if "text" not in key}}
        for name, text, one in zip(names[: len(EDGE_CASES)], texts, ours, strict=False)
        if len(text.encode()) <= 10 * _GOLDEN_BYTES
    ]
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps({"versions": versions, "documents": golden}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
