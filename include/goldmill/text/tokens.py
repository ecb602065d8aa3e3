"""Text to token ids with Hugging Face ``tokenizer.json`` files, and the training of such a file.

A document is data: whatever it says, it never yields a control id. Where a text spells a control token, it is encoded
as the characters it consists of.

``tokenizers`` is the reference. ``fastokens``, many times faster, encodes in its place where it is installed, can read
the file, and gives the ids of the reference on texts chosen to tell them apart.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from goldmill.rules.packing import TokenizerRules

# How text is cut into words before merging: contractions, letters with what precedes them, single digits (LLaMA, arXiv
# 2302.13971), punctuation with line ends, white space. The expression of cl100k_base as Qwen2 uses it
# (arXiv 2407.10671): encoders know it and need no general regular expressions for it.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Text encoded at once, in UTF-8 bytes: the reference takes about 500 bytes a token until its ids are copied out.
_BATCH_BYTES = 2**20

Tokens = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]


class TokenizerError(ValueError):
    """A tokenizer cannot be read or does not fit its rules; the message names path, field and remedy."""


@dataclass(frozen=True)
class CorpusTokenizer:
    """A tokenizer that is ready to encode documents.

    Attributes:
        tokenizer: the reference encoder, without truncation, padding or added control tokens.
        fast: an encoder that gives the same ids, if there is one.
        end_of_text_id: ends every document.
        padding_id: fills sequences up; may equal ``end_of_text_id``.
        control_ids: ids that no text may yield; both of the above and every other special token but the unknown token.
        vocab_size: one more than the largest id.
    """

    tokenizer: Tokenizer
    fast: Any
    end_of_text_id: int
    padding_id: int
    control_ids: frozenset[int]
    vocab_size: int


def train_tokenizer(texts: Iterable[str], rules: TokenizerRules) -> bytes:
    """Train a byte-level BPE and return its ``tokenizer.json``.

    Byte-pair encoding is by Sennrich et al. (arXiv 1508.07909), on bytes as in GPT-2: every byte is in the vocabulary,
    so any text can be encoded and decoded without loss. The result depends on the texts and rules alone: not on the
    order of the texts, the number of threads or the process.

    Args:
        texts: the sample; its size is the caller's choice (``rules.sample_bytes``).
        rules: vocabulary size, least count of a pair, control tokens (they get the first ids).

    Raises:
        TokenizerError: if there is no text to learn from.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control_tokens = [rules.end_of_text_token]
    if rules.padding_token is not None:
        control_tokens.append(rules.padding_token)
    trainer = trainers.BpeTrainer(
        vocab_size=rules.vocab_size,
        min_frequency=rules.min_pair_count,
        special_tokens=control_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    seen = 0

    def counted() -> Iterator[str]:
        nonlocal seen
        for text in texts:
            seen += len(text)
            yield text

    tokenizer.train_from_iterator(counted(), trainer)
    if not seen:
        raise TokenizerError(
            "tokenizer.path: there is no text to train a tokenizer on; name a tokenizer.json, or add documents"
        )
    return str(tokenizer.to_str()).encode()


def read_tokenizer(path: str) -> bytes:
    """The bytes of the ``tokenizer.json`` at a path or URI.

    Raises:
        TokenizerError: if it cannot be read.
    """
    try:
        with fsspec.open(path, "rb") as file:
            return bytes(file.read())
    except (OSError, ValueError, ImportError) as error:
        raise TokenizerError(
            f"tokenizer.path: {path} cannot be read ({error}); correct the path, "
            "or set it to null to train a tokenizer on the corpus"
        ) from error


def load_tokenizer(tokenizer_json: bytes, rules: TokenizerRules) -> CorpusTokenizer:
    """Make a tokenizer ready to encode documents.

    Raises:
        TokenizerError: if the bytes are no tokenizer, or lack a control token that the rules name.
    """
    name = rules.path or "the trained tokenizer"
    control_tokens = {
        field: token
        for field, token in (
            ("end_of_text_token", rules.end_of_text_token),
            ("padding_token", rules.padding_token),
        )
        if token is not None
    }
    try:
        content = json.loads(tokenizer_json)
        for token in content["added_tokens"]:
            # Only special tokens can be told to stay text; some files leave the mark out.
            token["special"] = token["special"] or token["content"] in control_tokens.values()
        tokenizer_text = json.dumps(content)
        tokenizer = Tokenizer.from_str(tokenizer_text)
    except Exception as error:  # the library raises bare Exception for a file it cannot parse
        raise TokenizerError(
            f"tokenizer.path: {name} is not a Hugging Face tokenizer.json ({error}); export it again with "
            "save_pretrained(), or set the path to null to train a tokenizer on the corpus"
        ) from error
    ids: dict[str, int] = {}
    for field, token in control_tokens.items():
        token_id = tokenizer.token_to_id(token)
        if token_id is None:
            special = sorted(added["content"] for added in content["added_tokens"])
            raise TokenizerError(
                f"tokenizer.{field}: {token!r} is not in {name}; name one of its tokens, such as {special[:8]}"
                + (", or null to fill with the end-of-text token" if field == "padding_token" else "")
            )
        ids[field] = token_id
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    unknown = content["model"].get("unk_token"), content["model"].get("unk_id")
    special_ids = {
        token["id"]
        for token in content["added_tokens"]
        if token["special"] and token["content"] != unknown[0] and token["id"] != unknown[1]
    }
    return CorpusTokenizer(
        tokenizer=tokenizer,
        fast=_fast_encoder(tokenizer_text, tokenizer, [token["content"] for token in content["added_tokens"]]),
        end_of_text_id=ids["end_of_text_token"],
        padding_id=ids.get("padding_token", ids["end_of_text_token"]),
        control_ids=frozenset(special_ids | set(ids.values())),
        vocab_size=max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1,
    )


def encode(texts: pa.Array, tokenizer: CorpusTokenizer) -> pa.ListArray:
    """Token ids of each text, without control ids, ``list<int32>`` with one row a document.

    Raises:
        ValueError: if a text is null, or there are more tokens than fit an Arrow list array (2**31).
        TokenizerError: if a text cannot be encoded without a control id, because a control token is a single character.
    """
    if texts.null_count:
        raise ValueError(f"text: {texts.null_count} of {len(texts)} values are null; filter them out before encoding")
    control_ids = np.array(sorted(tokenizer.control_ids), np.int32)
    values, lengths = [np.zeros(0, np.int32)], [np.zeros(1, np.int64)]
    for batch in _batches(texts):
        ids, counts = _encode_batch(batch, tokenizer)
        ends = np.cumsum(counts)
        controls = np.flatnonzero(np.isin(ids, control_ids))
        # From the last row to the first, so that the places of the others stay.
        for row in np.unique(np.searchsorted(ends, controls, side="right"))[::-1]:
            plain = np.array(_encode_in_pieces(batch[row], tokenizer), np.int32)
            ids = np.concatenate([ids[: ends[row] - counts[row]], plain, ids[ends[row] :]])
            counts[row] = len(plain)
        values.append(ids)
        lengths.append(counts)
    offsets = np.cumsum(np.concatenate(lengths))
    if offsets[-1] >= 2**31:
        raise ValueError(f"text: {offsets[-1]} tokens do not fit one Arrow list array; encode smaller batches")
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(np.concatenate(values)))


def decode(token_lists: pa.ListArray, tokenizer: CorpusTokenizer) -> pa.StringArray:
    """The text of each row of token ids, control tokens spelled out; exact for byte-level tokenizers."""
    return pa.array(tokenizer.tokenizer.decode_batch(token_lists.to_pylist(), skip_special_tokens=False), pa.string())


def _encode_batch(texts: list[str], tokenizer: CorpusTokenizer) -> tuple[Tokens, Counts]:
    """Ids of all texts one behind the other, and the number of each text's."""
    if tokenizer.fast is not None:
        return _encode_fast(texts, tokenizer.fast)
    encodings = tokenizer.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    rows = [np.array(encoding.ids, np.int32) for encoding in encodings]
    return np.concatenate(rows), np.array([len(row) for row in rows], np.int64)


def _encode_fast(texts: list[str], fast: Any) -> tuple[Tokens, Counts]:
    ids, offsets = fast.encode_batch_flat(texts, add_special_tokens=False, split_special_tokens=True)
    ends = np.frombuffer(offsets, "<u8").astype(np.int64)
    return np.frombuffer(ids, "<i4"), ends[1:] - ends[:-1]


def _fast_encoder(tokenizer_json: str, reference: Tokenizer, added_tokens: list[str]) -> Any:
    """The fast encoder for a tokenizer, if it can read it and gives the reference's ids on every probe."""
    try:
        fast = import_module("fastokens").Tokenizer.from_json_str(tokenizer_json)
        fast.no_truncation()
        fast.no_padding()
        probes = _probes(added_tokens)
        ids, counts = _encode_fast(probes, fast)
    except (ModuleNotFoundError, ValueError, RuntimeError):
        return None  # not installed, or a kind of tokenizer that it does not know
    expected = [encoding.ids for encoding in reference.encode_batch_fast(probes, add_special_tokens=False)]
    rows = np.split(ids, np.cumsum(counts)[:-1])
    return fast if all(row.tolist() == ids for row, ids in zip(rows, expected, strict=True)) else None


def _probes(added_tokens: list[str]) -> list[str]:
    """Texts on which encoders differ if they do: what separates words, scripts, marks, long runs, added tokens."""
    generator = random.Random(0)  # noqa: S311 - nothing secret
    atoms = [
        *"aZ09 '\"-_.,:;!?<|>(){}[]#@/\\=+*&%$^~`\n\r\t\v\f\0",
        *"\x1c\x85\xa0\xad\u2028\u3000\ufeff\u200b\u200d\ufffd",
        *"éßİıǅſΣςЙй中文かなไทย한국عربىहिन्दी١Ⅷ²½€…—“”😀\u0301\u0345\U0001f1e9\U00020000\U0010ffff",
        *[
            "'s",
            "'LL",
            "'ſ",
            "\r\n",
            "  ",
            "\t\t",
            "the",
            " Word",
            "\n    ",
            "1234567",
            "naïve",
            "e\u0301",
            "def f(x):",
        ],
        *added_tokens[:64],
    ]
    mixed = ["".join(generator.choices(atoms, k=generator.randrange(40))) for _ in range(1500)]
    any_character = [
        "".join(chr(generator.choice((generator.randrange(0x300), generator.randrange(0xD800)))) for _ in range(30))
        for _ in range(300)
    ]
    return [*mixed, *any_character, *added_tokens, *atoms, "", "a" * 3000, " " * 3000, "\n" * 3000, "ab " * 1000]


def _encode_in_pieces(text: str, tokenizer: CorpusTokenizer) -> list[int]:
    """Encode a text whose model knows a control token as a word: cut through each place where it sees one."""
    pieces = [text]
    while True:
        encodings: list[Any] = tokenizer.tokenizer.encode_batch(pieces, add_special_tokens=False)
        smaller: list[str] = []
        for piece, encoding in zip(pieces, encodings, strict=True):
            begin = 0
            for token_id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
                if token_id not in tokenizer.control_ids:
                    continue
                if end - start < 2:
                    token = tokenizer.tokenizer.id_to_token(token_id)
                    raise TokenizerError(
                        f"tokenizer.path: the text {piece[start:end]!r} can only be encoded as the control token "
                        f"{token!r}; use a tokenizer whose control tokens are no words of its model"
                    )
                smaller.append(piece[begin : start + 1])
                begin = start + 1
            smaller.append(piece[begin:])
        if len(smaller) == len(pieces):
            return [token_id for encoding in encodings for token_id in encoding.ids]
        pieces = smaller


def _batches(texts: pa.Array) -> Iterator[list[str]]:
    """The texts in order, about ``_BATCH_BYTES`` at a time."""
    if not len(texts):
        return
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False)
    numbers = np.cumsum(lengths, dtype=np.int64) // _BATCH_BYTES
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(texts)], strict=True):
        yield texts[start:stop].to_pylist()
