"""Tokenizers: reproducible training, lossless encoding, and text that stays text."""

from __future__ import annotations

import argparse
import difflib
import inspect
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from goldmill.rules.packing import TokenizerRules
from goldmill.text.tokens import (
    CorpusTokenizer,
    TokenizerError,
    _fast_encoder,
    decode,
    encode,
    load_tokenizer,
    read_tokenizer,
    train_tokenizer,
)

RULES = TokenizerRules(vocab_size=800)
# Real text that is on every machine, and what a trainer could trip over.
SAMPLE = [
    *map(inspect.getsource, (argparse, difflib, textwrap)),
    "<|endoftext|>" * 50,
    "Größe, 中文, 한국어, \u0000 \U0001f600",
]
TRAINED_JSON = train_tokenizer(SAMPLE, RULES)
TRAINED = load_tokenizer(TRAINED_JSON, RULES)

texts = st.lists(
    st.text(
        st.one_of(st.sampled_from("ab \n<|>"), st.characters(exclude_categories=["Cs"])),
        max_size=60,
    ).flatmap(lambda text: st.sampled_from([text, f"{text}<|endoftext|>{text}", f"<|padding|>{text}"])),
    max_size=8,
)


@given(texts)
@settings(deadline=None)  # the first example pays for imports
def test_trained_tokenizers_lose_nothing_and_never_yield_control_ids(batch: list[str]) -> None:
    tokens = encode(pa.array(batch, pa.string()), TRAINED)
    assert tokens.type == pa.list_(pa.int32())
    assert decode(tokens, TRAINED).to_pylist() == batch
    assert not TRAINED.control_ids & set(tokens.flatten().to_pylist())


REFERENCE = replace(TRAINED, fast=None)


@given(texts)
def test_the_fast_encoder_gives_the_ids_of_the_reference(batch: list[str]) -> None:
    array = pa.array(batch, pa.string())
    assert encode(array, TRAINED).equals(encode(array, REFERENCE))


EDGE_CASES = {
    "empty": "",
    "one word": "word",
    "no line end": "a text whose only line does not end",
    "symbols": "#§$%&/()=?!^°*+~'<>|\\{}[]@€µ" * 20,
    "blanks": " \t\u00a0\u3000\u2028\v\f\r" * 40,
    "Chinese": "中文没有空格，所以一个段落就是一个词。" * 20,
    "Japanese": "日本語の文章はカナと漢字で書かれます。ｶﾅも。" * 20,
    "Thai": "ภาษาไทยไม่มีช่องว่างระหว่างคำ" * 20,
    "Arabic": "مرحبًا بالعالَم، هذا نص بالعربية مع تشكيلٍ وأرقام ١٢٣." * 5,
    "Hindi": "यह हिन्दी में लिखा गया एक वाक्य है।" * 5,
    "emoji": "👩‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️ 😀" * 10,
    "combining marks": "e\u0301 a\u030a n\u0303 Z\u0351\u036b\u0343\u036a\u0302" * 10,
    "CRLF": "first line\r\nsecond line\r\n\r\nthird\rfourth\n",
    "bullets": "• one\n- two\n  * three\n    1. four\n\t– five\n" * 9,
    "code": "def f(x):\n\tif x > 0x1F:\n\t\treturn [x**2 for _ in range(10)]  # ok\n" * 9,
    "digits": "3.14159265358979 1,000,000 0b1010 2026-11-24T12:00:00Z ½ Ⅷ x² " * 9,
    "long word": "abcdefghij" * 3_000,
    "long line": "the quick brown fox jumps over the lazy dog, again and again; " * 1_600,
    "control tokens": "<|endoftext|><|padding|> < |endoftext|> <|endoftext",
    "other planes": "\U00020000\U0010ffff\ufffd\ufeff\u200b\u200d\x00\x1c\x85\xad",
}


@pytest.mark.parametrize("name", EDGE_CASES)
def test_edge_cases_have_the_ids_of_the_reference(name: str) -> None:
    """Against ``tokenizers`` itself, not through any code of ours."""
    reference = Tokenizer.from_str(TRAINED_JSON.decode())
    reference.encode_special_tokens = True
    expected = reference.encode(EDGE_CASES[name], add_special_tokens=False).ids
    assert encode(pa.array([EDGE_CASES[name]]), TRAINED).to_pylist() == [expected]


def test_the_fast_encoder_is_used_where_it_is_proven() -> None:
    pytest.importorskip("fastokens", reason="the fast encoder is not installed; the reference encodes")
    assert TRAINED.fast is not None
    # A unigram model is none that it knows; then the reference encodes.
    rules = TokenizerRules(end_of_text_token="</s>", padding_token=None)
    assert load_tokenizer(given_tokenizer(UNIGRAM, special=True), rules).fast is None


def test_an_encoder_that_gives_other_ids_is_not_used() -> None:
    pytest.importorskip("fastokens", reason="the fast encoder is not installed; the reference encodes")
    other = train_tokenizer(["other text, other merges: " * 9, *SAMPLE[1:]], RULES).decode()
    assert _fast_encoder(TRAINED_JSON.decode(), TRAINED.tokenizer, []) is not None
    assert _fast_encoder(other, TRAINED.tokenizer, []) is None
    # Without the mark, control tokens in texts would be found: the probes spell them.
    reference = Tokenizer.from_str(TRAINED_JSON.decode())
    assert _fast_encoder(TRAINED_JSON.decode(), reference, ["<|endoftext|>"]) is None


def test_control_tokens_come_first_and_are_never_read_from_text() -> None:
    assert (TRAINED.end_of_text_id, TRAINED.padding_id, TRAINED.vocab_size) == (0, 1, 800)
    ids = encode(pa.array(["<|endoftext|>"]), TRAINED).to_pylist()[0]
    assert 0 not in ids
    assert len(ids) > 1
    # The library alone would have taken it for the control token.
    assert Tokenizer.from_str(TRAINED_JSON.decode()).encode("<|endoftext|>").ids == [0]


@given(st.lists(st.sampled_from(["end", "fill", " ", "x", "weekend", "\n", "é"]), max_size=30))
def test_control_tokens_that_are_common_words_stay_text(words: list[str]) -> None:
    text = "".join(words)
    ids = encode(pa.array([text]), WORDLIKE)
    assert not WORDLIKE.control_ids & set(ids.to_pylist()[0])
    assert decode(ids, WORDLIKE).to_pylist() == [text]


def train_with_wordlike_control_tokens() -> CorpusTokenizer:
    """The merges of such a tokenizer can lead to its control tokens."""
    rules = TokenizerRules(vocab_size=300, end_of_text_token="end", padding_token="fill")
    tokenizer = load_tokenizer(train_tokenizer(["end fill end fill weekend"] * 20, rules), rules)
    assert tokenizer.tokenizer.encode("end", add_special_tokens=False).ids == [tokenizer.end_of_text_id]
    return tokenizer


WORDLIKE = train_with_wordlike_control_tokens()


def given_tokenizer(model: models.Model, *, special: bool, ignore_normalizer: bool = True) -> bytes:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    if not ignore_normalizer:
        tokenizer.normalizer = normalizers.Lowercase()
    add = tokenizer.add_special_tokens if special else tokenizer.add_tokens
    add([AddedToken("</s>", normalized=False)])
    return tokenizer.to_str().encode()


UNIGRAM = models.Unigram([("<unk>", 0.0), ("</s>", 0.0), *((letter, -3.0) for letter in "\u2581ab<>/s")], unk_id=0)


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("ignore_normalizer", [True, False])
def test_given_tokenizers_never_yield_control_ids(special: bool, ignore_normalizer: bool) -> None:
    # A unigram model holds its control tokens as pieces, so that switching off their search is not enough.
    rules = TokenizerRules(end_of_text_token="</s>", padding_token=None)
    content = given_tokenizer(UNIGRAM, special=special, ignore_normalizer=ignore_normalizer)
    tokenizer = load_tokenizer(content, rules)
    assert tokenizer.padding_id == tokenizer.end_of_text_id == 1
    assert tokenizer.tokenizer.encode("a</s>b", add_special_tokens=False).ids.count(1) == 1
    rows = encode(pa.array(["a</s>b", "</s></s>a", "ab", "</S>", "z"]), tokenizer).to_pylist()
    assert all(1 not in row for row in rows)
    assert (
        "".join(str(tokenizer.tokenizer.id_to_token(token)) for token in rows[1]).replace("\u2581", "") == "</s></s>a"
    )
    # The unknown token stays: it says nothing about where a document ends.
    assert rows[4][-1] == 0


def test_a_single_character_control_token_in_a_text_is_an_error() -> None:
    rules = TokenizerRules(end_of_text_token="a", padding_token=None)
    model = models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -1.0)], unk_id=0)
    tokenizer = load_tokenizer(Tokenizer(model).to_str().encode(), rules)
    assert encode(pa.array(["bb"]), tokenizer).to_pylist() == [[2, 2]]
    with pytest.raises(TokenizerError, match=r"tokenizer\.path: the text 'a' can only be encoded as the control token"):
        encode(pa.array(["bab"]), tokenizer)


def test_truncation_padding_and_added_tokens_of_a_given_file_are_off() -> None:
    tokenizer = Tokenizer.from_str(TRAINED_JSON.decode())
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    content = json.loads(tokenizer.to_str())
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}},
    }
    loaded = load_tokenizer(json.dumps(content).encode(), RULES)
    batch = pa.array(["one two three four five six seven", "a"])
    assert encode(batch, loaded).equals(encode(batch, TRAINED))


def test_result_does_not_depend_on_batches_or_slices() -> None:
    batch = pa.array([*SAMPLE * 12, "", "x"])  # more than one internal batch
    assert sum(len(text.as_py().encode()) for text in batch) > 2 * 2**20
    tokens = encode(batch, TRAINED)
    single = [encode(pa.array([text.as_py()]), TRAINED).to_pylist()[0] for text in batch[-7:]]
    assert tokens[-7:].to_pylist() == single
    assert encode(batch[3:9], TRAINED).to_pylist() == tokens[3:9].to_pylist()
    assert encode(batch.cast(pa.large_string())[:4], TRAINED).to_pylist() == tokens[:4].to_pylist()
    assert len(encode(pa.array([], pa.string()), TRAINED)) == 0


TRAIN_IN_A_PROCESS = """
import argparse, difflib, hashlib, random, sys, textwrap
from pathlib import Path
from goldmill.rules.packing import TokenizerRules
from goldmill.text.tokens import train_tokenizer
lines = [line for module in (argparse, difflib, textwrap) for line in Path(module.__file__).open()]
random.Random(int(sys.argv[1])).shuffle(lines)
print(hashlib.sha256(train_tokenizer(lines, TokenizerRules(vocab_size=2000))).hexdigest())
"""


def test_training_gives_the_same_bytes_on_any_threads_hash_seed_and_order() -> None:
    digests = set()
    for threads, hash_seed, order in (("1", "0", "1"), ("2", "1", "2"), ("2", "2", "3")):
        environment = {
            **os.environ,
            "RAYON_NUM_THREADS": threads,
            "PYTHONHASHSEED": hash_seed,
            "TOKENIZERS_PARALLELISM": "false" if threads == "1" else "true",
        }
        done = subprocess.run(
            [sys.executable, "-c", TRAIN_IN_A_PROCESS, order],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == 64


def test_training_on_nothing_is_refused() -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer\.path: there is no text"):
        train_tokenizer(iter([""]), RULES)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing.json"
    with pytest.raises(TokenizerError, match=rf"tokenizer\.path: {path} cannot be read .*set it to null"):
        read_tokenizer(str(path))
    (tmp_path / "tokenizer.json").write_bytes(TRAINED_JSON)
    assert read_tokenizer(f"file://{tmp_path}/tokenizer.json") == TRAINED_JSON


@pytest.mark.parametrize("content", [b"", b"{}", b'{"added_tokens": []}', TRAINED_JSON[:-200], b"\xff\xfe"])
def test_a_corrupt_file_is_named(content: bytes) -> None:
    rules = RULES.model_copy(update={"path": "s3://bucket/tokenizer.json"})
    with pytest.raises(TokenizerError, match=r"tokenizer\.path: s3://bucket/tokenizer\.json is not a .*null"):
        load_tokenizer(content, rules)


@pytest.mark.parametrize("field", ["end_of_text_token", "padding_token"])
def test_a_control_token_that_the_file_lacks_is_named(field: str) -> None:
    rules = RULES.model_copy(update={field: "</none>"})
    with pytest.raises(TokenizerError, match=rf"tokenizer\.{field}: '</none>' is not in .*<\|endoftext\|>"):
        load_tokenizer(TRAINED_JSON, rules)


def test_a_null_text_is_refused() -> None:
    with pytest.raises(ValueError, match="text: 1 of 2 values are null"):
        encode(pa.array(["a", None]), TRAINED)
