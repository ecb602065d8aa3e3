"""Text to token ids, packed into sequences of one length and written; the others encode only.

All get the same vocabulary. ``identical`` is the share of documents whose ids are those of Hugging Face ``tokenizers``;
ours is compared on every document when the clock is off.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora import TOKENIZER

from contests import CORES, Contestant, Document, Result, Run

if TYPE_CHECKING:
    import pyarrow as pa

    from goldmill.text.tokens import CorpusTokenizer

STAGE = "tokenize"
CORPUS = "text"
UNIT = "MB/s/core"
BARS = {"tokenizers": 20.0}
_BATCH = 512
_END_OF_TEXT = "<|endoftext|>"


def _goldmill(documents: Sequence[Document]) -> Run:
    """Encodes, packs and writes one shard after the other, as the stage does."""
    import numpy as np
    import pyarrow as pa

    from goldmill.rules.packing import PackingRules, TokenizerRules
    from goldmill.text.packing import shard_of
    from goldmill.text.tokens import encode, load_tokenizer

    tokenizer = load_tokenizer(TOKENIZER.read_bytes(), TokenizerRules())
    count = PackingRules().shard_count(sum(len(document["text"].encode()) for document in documents))
    numbers = shard_of(pa.array([document["id"] for document in documents]), 0, count).to_numpy()
    shards = [
        [
            pa.record_batch({"id": [d["id"] for d in batch], "text": [d["text"] for d in batch]})
            for batch in _batches([documents[row] for row in np.flatnonzero(numbers == shard)])
        ]
        for shard in range(count)
    ]
    _write_shard(shards[0][:1], tokenizer)

    def check() -> Result:
        tokens = identical = 0
        for batch in (batch for shard in shards for batch in shard):
            ids = encode(batch["text"], tokenizer)
            tokens += len(ids.values)
            reference = tokenizer.tokenizer.encode_batch_fast(batch["text"].to_pylist(), add_special_tokens=False)
            identical += sum(e.ids == row for e, row in zip(reference, ids.to_pylist(), strict=True))
        return {"tokens": tokens, "identical": identical, "documents": len(documents)}

    def run() -> Callable[[], Result]:
        sequences = sum(_write_shard(shard, tokenizer) for shard in shards)
        return lambda: {"rows": sequences, **check()}

    return run


def _write_shard(batches: Sequence[pa.RecordBatch], tokenizer: CorpusTokenizer) -> int:
    """Number of sequences that were written, of 2,048 tokens each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from goldmill.rules.packing import PackingRules
    from goldmill.text.packing import pack
    from goldmill.text.tokens import encode

    sequences = pack(
        pa.concat_arrays([batch["id"] for batch in batches]),
        pa.concat_arrays([encode(batch["text"], tokenizer) for batch in batches]),
        PackingRules(),
        end_of_text_id=tokenizer.end_of_text_id,
        padding_id=tokenizer.padding_id,
        seed=0,
        split="train",
        shard=0,
    )
    with (
        tempfile.NamedTemporaryFile() as file,
        # Ids repeat too seldom for a dictionary; their high bytes compress well by themselves.
        pq.ParquetWriter(
            file.name,
            sequences.schema,
            compression="zstd",
            use_dictionary=["split", "shard", "document_ids.list.element"],
            column_encoding={"token_ids.list.element": "BYTE_STREAM_SPLIT"},
            write_batch_size=2**16,
        ) as writer,
    ):
        writer.write_batch(sequences)
    return int(sequences.num_rows)


def _tokenizers(documents: Sequence[Document]) -> Run:
    """Encodes alone: its ids are not even copied out."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.encode_special_tokens = True
    texts = [[document["text"] for document in some] for some in _batches(documents)]
    tokenizer.encode_batch_fast(texts[0], add_special_tokens=False)

    def run() -> Result:
        tokens = 0
        for batch in texts:
            tokens += sum(map(len, tokenizer.encode_batch_fast(batch, add_special_tokens=False)))
        return {"rows": len(documents), "tokens": tokens}

    return run


def _tiktoken(documents: Sequence[Document]) -> Run:
    """Encodes alone."""
    import json

    import tiktoken

    content = json.loads(TOKENIZER.read_text())
    special = {token["content"]: token["id"] for token in content["added_tokens"]}
    bytes_of = _byte_level_alphabet()
    ranks = {
        bytes(bytes_of[c] for c in token): rank
        for token, rank in content["model"]["vocab"].items()
        if token not in special
    }
    words = content["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    encoding = tiktoken.Encoding("contest", pat_str=words, mergeable_ranks=ranks, special_tokens=special)
    texts = [[document["text"] for document in some] for some in _batches(documents)]
    encoding.encode_ordinary_batch(texts[0], num_threads=CORES)

    def run() -> Result:
        tokens = sum(len(ids) for batch in texts for ids in encoding.encode_ordinary_batch(batch, num_threads=CORES))
        return {"rows": len(documents), "tokens": tokens}

    return run


def _datatrove(documents: Sequence[Document]) -> Run:
    """Encodes and writes ids and an index, shuffled; no packing."""
    from datatrove.data import Document as Trove
    from datatrove.pipeline.tokens import DocumentTokenizer
    from datatrove.utils.logging import logger

    logger.remove()
    troves = [Trove(text=document["text"], id=document["id"]) for document in documents]

    def run_on(some: Sequence[Any]) -> Result:
        with tempfile.TemporaryDirectory() as directory:
            step = DocumentTokenizer(directory, str(TOKENIZER), eos_token=_END_OF_TEXT, seed=0)
            list(step.run(iter(some)) or ())
            written = sum(file.stat().st_size for file in Path(directory).glob("*.ds")) // 2
        return {"rows": written, "tokens": written - len(some)}

    run_on(troves[:_BATCH])
    return lambda: run_on(troves)


def _batches(documents: Sequence[Document]) -> Iterator[Sequence[Document]]:
    for start in range(0, len(documents), _BATCH):
        yield documents[start : start + _BATCH]


def _byte_level_alphabet() -> dict[str, int]:
    """The character that stands for each byte in a byte-level vocabulary: itself if it is visible, else from 256 on."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + i): byte for i, byte in enumerate(unseen)}


CONTESTANTS = {
    "goldmill": Contestant(".venv-spark", _goldmill, packages=("tokenizers", "fastokens", "pyarrow")),
    "tokenizers": Contestant(".venv-peers", _tokenizers, workers=1, packages=("tokenizers",)),
    "tiktoken": Contestant(".venv-peers", _tiktoken, workers=1, packages=("tiktoken",)),
    "datatrove": Contestant(".venv-peers", _datatrove, packages=("datatrove",)),
}


def judge(results: dict[str, list[Result]]) -> dict[str, dict[str, Any]]:
    """Tokens of each, and the share of documents on which ours has the ids of the reference."""
    figures: dict[str, dict[str, Any]] = {}
    for name, workers in results.items():
        figures[name] = {"tokens": sum(worker["tokens"] for worker in workers)}
    ours = results["goldmill"]
    identical, documents = (sum(worker[key] for worker in ours) for key in ("identical", "documents"))
    figures["goldmill"] |= {"identical": f"{identical} of {documents}"}
    return figures
