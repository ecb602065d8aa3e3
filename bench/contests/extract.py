"""Main content of HTML: speed on the pages of the corpus, token F1 on pages whose content is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contests import Contestant, Document, Result, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STAGE = "extract"
CORPUS = "html"
UNIT = "MB/s/core"
BARS = {"trafilatura": 10.0}
_BATCH = 256


def _prepared(extract: Callable[[str], str], documents: Sequence[Document]) -> Run:
    """What a library does that takes one page at a time; its F1 is taken before the clock starts."""
    pages = [document["html"] for document in documents]
    figures = _quality(lambda pages: [extract(page) for page in pages])

    def run() -> Result:
        return figures | {"rows": sum(bool(extract(page)) for page in pages)}

    return run


def _quality(extract: Callable[[list[str]], list[str]]) -> Result:
    """Precision, recall and F1 on the pages held out, by kind of page."""
    import labelled_pages

    figures = {}
    for kind in labelled_pages.KINDS:
        pages = labelled_pages.read("held out", kind)
        scores = labelled_pages.score(pages, extract([page["html"] for page in pages]))
        figures |= {f"{name} {kind}": round(value, 4) for name, value in scores.items()}
    return figures


def _ours(documents: Sequence[Document]) -> Run:
    import labelled_pages
    import pyarrow as pa
    import pyarrow.compute as pc

    from goldmill.text.extract import extract_main_texts

    labelled_pages.build()

    def texts(pages: list[str]) -> list[str]:
        made: list[str] = extract_main_texts(pa.array(pages, pa.large_string()))[0].to_pylist()
        return made

    figures = _quality(texts)
    batches = [
        pa.array([document["html"] for document in documents[start : start + _BATCH]], pa.string())
        for start in range(0, len(documents), _BATCH)
    ]
    extract_main_texts(batches[0])

    def run() -> Result:
        sizes = (pc.binary_length(extract_main_texts(batch)[0]) for batch in batches)
        return figures | {"rows": sum(pc.sum(pc.greater(size, 0)).as_py() for size in sizes)}

    return run


def _trafilatura(**options: bool) -> Callable[[Sequence[Document]], Callable[[], Result]]:
    def prepare(documents: Sequence[Document]) -> Run:
        import trafilatura

        return _prepared(lambda page: trafilatura.extract(page, **options) or "", documents)

    return prepare


def _resiliparse(documents: Sequence[Document]) -> Run:
    from resiliparse.extract.html2text import extract_plain_text

    return _prepared(lambda page: extract_plain_text(page, main_content=True, alt_texts=False), documents)


CONTESTANTS = {
    "goldmill": Contestant(".venv-spark", _ours, packages=("numba",)),
    "trafilatura": Contestant(".venv-peers", _trafilatura(), packages=("trafilatura",)),
    "trafilatura fast": Contestant(".venv-peers", _trafilatura(fast=True), packages=("trafilatura",)),
    "trafilatura precision": Contestant(".venv-peers", _trafilatura(favor_precision=True), packages=("trafilatura",)),
    "resiliparse": Contestant(".venv-spark", _resiliparse, packages=("resiliparse",)),
}


def judge(results: dict[str, list[Result]]) -> dict[str, dict[str, Any]]:
    """Token F1, precision and recall on the pages held out, by kind of page."""
    return {
        name: {key: value for key, value in workers[0].items() if key != "rows"} for name, workers in results.items()
    }
