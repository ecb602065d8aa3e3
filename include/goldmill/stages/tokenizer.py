"""Which tokenizer a build uses: the recipe's own, the one that the corpus has, or one trained now.

Every tokenizer that a version was made with is kept in the lake as a file named by its own hash, and the snapshot
of ``sequences`` names it. The corpus keeps its tokenizer: sequences of two vocabularies in one table would be
useless, so only a rebuild, which replaces all sequences, may change it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from goldmill.errors import GoldmillError
from goldmill.lake.tables import SEQUENCES
from goldmill.storage import read_bytes, write_bytes
from goldmill.text.tokens import load_tokenizer, read_tokenizer, train_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import DataFrame

    from goldmill.stages.job import StageContext

TOKENIZER_KEY = "goldmill.tokenizer"


class TokenizerChanged(GoldmillError):
    """The recipe names another tokenizer than the one that the corpus was tokenized with."""


@dataclass(frozen=True, slots=True)
class TokenizerFile:
    """A tokenizer in the lake: where it is, its ``tokenizer.json`` bytes, and what packing needs of it."""

    uri: str
    content: bytes
    vocab_size: int
    end_of_text_id: int
    padding_id: int


def resolve_tokenizer(context: StageContext, documents: DataFrame) -> TokenizerFile:
    """Find or train the build's tokenizer and keep it in the lake.

    Args:
        context: the stage; gets the fact ``tokenizer`` for the report.
        documents: ``document_id``, ``text`` of the build; what a tokenizer is trained on.

    Raises:
        TokenizerChanged: the recipe names a tokenizer and the corpus has another one.
        TokenizerError: the file that the recipe names is missing or is not a ``tokenizer.json``.
    """
    spec, rules = context.spec, context.spec.recipe.tokenizer
    inherited = None
    if not spec.rebuild:
        inherited = context.lake.inherited_property(SEQUENCES, spec.branch, spec.build_id, TOKENIZER_KEY)
    if rules.path is not None:
        content = read_tokenizer(rules.path)
    elif inherited is not None:
        content = read_bytes(inherited)
    else:
        content = train_tokenizer(_sample(documents, rules.sample_bytes), rules)
    sha256 = hashlib.sha256(content).hexdigest()
    uri = f"{spec.tokenizers_uri}/{sha256[:16]}.json"
    if inherited is not None and inherited != uri:
        raise TokenizerChanged(
            f"tokenizer.path: the recipe names {rules.path}, but the corpus {spec.recipe.corpus!r} was tokenized with "
            f"{inherited}. Leave tokenizer.path out to go on with it, or rebuild the corpus from a version "
            "(parameter rebuild_from) to change the tokenizer of all of it."
        )
    tokenizer = load_tokenizer(content, rules)
    write_bytes(uri, content)
    context.facts["tokenizer"] = {
        "uri": uri,
        "sha256": sha256,
        "vocab_size": tokenizer.vocab_size,
        "end_of_text_id": tokenizer.end_of_text_id,
        "padding_id": tokenizer.padding_id,
    }
    return TokenizerFile(uri, content, tokenizer.vocab_size, tokenizer.end_of_text_id, tokenizer.padding_id)


def _sample(documents: DataFrame, sample_bytes: int) -> Iterator[str]:
    """Texts of a hash-keyed sample of about ``sample_bytes`` UTF-8 bytes, in the order of their ids.

    The ids are hashes themselves, so their first 32 bits choose evenly and alike on every machine.
    """
    total = documents.agg(F.sum(F.octet_length("text"))).first()[0] or 0  # type: ignore[index]
    if total > sample_bytes:
        bound = int(sample_bytes / total * 2**32)
        documents = documents.where(F.conv(F.substring("document_id", 1, 8), 16, 10).cast("bigint") < bound)
    # At once: a local iterator would run a job for each partition, and the sample is small by its nature.
    for text in documents.orderBy("document_id").select("text").toArrow()["text"]:
        yield text.as_py()
