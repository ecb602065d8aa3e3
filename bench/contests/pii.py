"""Personal data: ours looks for all its types, datatrove for e-mail and IP addresses, Presidio for what patterns find.

Presidio runs its pattern recognisers as it loads them for English, without a language model, and only finds; the others
replace what they find.
"""

from __future__ import annotations

from collections.abc import Sequence

from contests import Contestant, Document, Result, Run

STAGE = "pii"
CORPUS = "text"
UNIT = "MB/s/core"
BARS = {"datatrove": 8.0, "Presidio": 80.0}


def _ours(documents: Sequence[Document]) -> Run:
    import pyarrow as pa
    import pyarrow.compute as pc

    from goldmill.rules.safety import PiiRules
    from goldmill.text.pii import scrub

    texts = [document["text"] for document in documents]
    batches = [pa.array(texts[at : at + 512], pa.string()) for at in range(0, len(texts), 512)]
    rules = PiiRules()
    scrub(batches[0], rules)

    def run() -> Result:
        rows = found = 0
        for batch in batches:
            scrubbed = scrub(batch, rules)
            rows += len(scrubbed.texts)
            found += pc.sum(scrubbed.counts.items).as_py() or 0
        return {"rows": rows, "found": found}

    return run


def _datatrove(documents: Sequence[Document]) -> Run:
    from datatrove.pipeline.formatters import PIIFormatter

    formatter = PIIFormatter()
    texts = [document["text"] for document in documents]
    formatter.format(texts[0])

    def run() -> Result:
        changed = sum(formatter.format(text) != text for text in texts)
        return {"rows": len(texts), "changed": changed}

    return run


def _presidio(documents: Sequence[Document]) -> Run:
    from presidio_analyzer import PatternRecognizer, RecognizerRegistry

    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    recognisers = [one for one in registry.recognizers if isinstance(one, PatternRecognizer)]
    texts = [document["text"] for document in documents]

    def find(text: str) -> int:
        return sum(len(one.analyze(text, one.supported_entities, None)) for one in recognisers)

    find(texts[0])

    def run() -> Result:
        found = sum(find(text) for text in texts)
        return {"rows": len(texts), "found": found}

    return run


CONTESTANTS = {
    "ours": Contestant(".venv-spark", _ours),
    "datatrove": Contestant(".venv-peers", _datatrove, packages=("datatrove",)),
    "Presidio": Contestant(".venv-peers", _presidio, packages=("presidio-analyzer",)),
}
