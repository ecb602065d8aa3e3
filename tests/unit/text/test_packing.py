"""Packing: every token once, little waste, nothing that depends on order."""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldmill.rules.packing import PackingRules
from goldmill.text.packing import (
    SEQUENCE_SCHEMA,
    keyed_fractions,
    pack,
    pack_shard,
    shard_of,
    split_of,
    waste,
)

END, PAD = 0, 1


def ids_of(count: int) -> list[str]:
    rng = random.Random(count)
    return [f"{rng.getrandbits(128):032x}" for _ in range(count)]


def packed(documents: dict[str, list[int]], length: int = 16, seed: int = 7) -> pa.RecordBatch:
    return pack(
        pa.array(list(documents), pa.string()),
        pa.array(list(documents.values()), pa.list_(pa.int32())),
        PackingRules(sequence_length=length),
        end_of_text_id=END,
        padding_id=PAD,
        seed=seed,
        split="train",
        shard=3,
    )


def oracle_best_fit(lengths: list[int], sequence_length: int) -> list[int]:
    """Room by room, the slow way; the newest of equal rooms is taken."""
    rooms: list[tuple[int, int]] = []  # room, and when it came about
    assigned = [0] * len(lengths)
    for moment, index in enumerate(sorted(range(len(lengths)), key=lambda at: -lengths[at])):
        fitting = [(room, -since, number) for number, (room, since) in enumerate(rooms) if room >= lengths[index]]
        if fitting:
            room, _, number = min(fitting)
            rooms[number] = (room - lengths[index], moment)
        else:
            number = len(rooms)
            rooms.append((sequence_length - lengths[index], moment))
        assigned[index] = number
    return assigned


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.lists(st.integers(1, size), max_size=60))))
@settings(deadline=None)  # the first example compiles the kernel
def test_pieces_go_to_the_fullest_sequence_that_holds_them(case: tuple[int, list[int]]) -> None:
    size, lengths = case
    assert pack_shard(np.array(lengths, np.int64), size).tolist() == oracle_best_fit(lengths, size)


documents_strategy = st.dictionaries(
    st.text("0123456789abcdef", min_size=4, max_size=4), st.lists(st.integers(2, 50), max_size=60), max_size=25
)


@given(documents_strategy, st.integers(8, 40))
@settings(deadline=None)
def test_every_token_appears_exactly_once_in_its_document_and_order(
    documents: dict[str, list[int]], length: int
) -> None:
    batch = packed(documents, length)
    assert batch.schema.equals(SEQUENCE_SCHEMA)
    pieces: dict[str, list[list[int]]] = {}
    for row in batch.to_pylist():
        tokens, count = row["token_ids"], row["token_count"]
        assert len(tokens) == length
        assert 0 < count <= length
        assert tokens[count:] == [PAD] * (length - count)
        assert row["document_offsets"][0] == 0
        assert row["document_offsets"] == sorted(set(row["document_offsets"]))
        ends = [*row["document_offsets"][1:], count]
        for name, begin, end in zip(row["document_ids"], row["document_offsets"], ends, strict=True):
            pieces.setdefault(name, []).append(tokens[begin:end])
    assert set(pieces) == set(documents)
    for name, tokens in documents.items():
        whole = [*tokens, END]
        expected = [whole[at : at + length] for at in range(0, len(whole), length)]
        assert Counter(map(tuple, pieces[name])) == Counter(map(tuple, expected))


@given(documents_strategy, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_result_does_not_depend_on_the_order_of_documents(documents: dict[str, list[int]], rng: random.Random) -> None:
    shuffled = list(documents.items())
    rng.shuffle(shuffled)
    assert packed(dict(shuffled)).equals(packed(documents))


def test_result_does_not_depend_on_slices() -> None:
    documents = {name: [2 + at % 40] * (at % 30) for at, name in enumerate(ids_of(50))}
    names, lists = pa.array(list(documents)), pa.array(list(documents.values()), pa.list_(pa.int32()))
    arguments: dict[str, Any] = {"end_of_text_id": END, "padding_id": PAD, "seed": 7, "split": "train", "shard": 3}
    part = pack(names[10:30], lists[10:30], PackingRules(sequence_length=16), **arguments)
    assert part.equals(packed(dict(list(documents.items())[10:30])))


def realistic_lengths(count: int, median: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(np.log(median), 1.2, count).astype(np.int64) + 1


@pytest.mark.parametrize(("median", "sequence_length"), [(300, 2048), (600, 2048), (900, 4096), (1500, 8192)])
def test_waste_is_under_one_percent_on_lognormal_lengths(median: int, sequence_length: int) -> None:
    lengths = realistic_lengths(8000, median, 5)
    documents = dict(zip(ids_of(8000), (np.full(length, 2).tolist() for length in lengths), strict=True))
    batch = packed(documents, sequence_length)
    total = int((lengths + 1).sum())
    assert sum(batch.column("token_count").to_pylist()) == total
    assert waste(batch) == pytest.approx(1 - total / (batch.num_rows * sequence_length))
    assert waste(batch) < 0.01
    # Full documents are not cut up to get there.
    cut = sum(len(names) for names in batch.column("document_ids").to_pylist()) - len(documents)
    assert cut == int(((lengths + 1 + sequence_length - 1) // sequence_length - 1).sum())


def test_waste_of_nothing_is_nothing() -> None:
    empty = packed({})
    assert empty.num_rows == 0
    assert empty.schema.equals(SEQUENCE_SCHEMA)
    assert waste(empty) == 0.0
    assert waste(packed({"a": [5, 5]}, 12)) == pytest.approx(0.75)
    assert waste(pa.Table.from_batches([packed({"a": [5, 5]}, 12), packed({"b": [5] * 11}, 12)])) == pytest.approx(
        0.375
    )


def test_order_and_ids_follow_documents_and_seed() -> None:
    documents = {name: list(range(2, 2 + at % 14)) for at, name in enumerate(ids_of(200))}
    one, other = packed(documents, seed=1), packed(documents, seed=2)
    assert one.column("position").to_pylist() == list(range(one.num_rows))
    assert one.column("split").unique().to_pylist() == ["train"]
    assert one.column("shard").unique().to_pylist() == [3]
    ids = one.column("sequence_id").to_pylist()
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in ids)
    assert ids != other.column("sequence_id").to_pylist()
    # The longest piece is put in first and the shortest last; that must not show.
    wide = packed({name: [5] * (at % 30) for at, name in enumerate(ids_of(2000))}, 128)
    firsts = [np.diff(starts)[:2] for starts in wide.column("document_offsets").to_pylist() if len(starts) > 2]
    falling = [first > second for first, second in firsts if first != second]
    assert len(falling) > 50
    assert 0.2 < sum(falling) / len(falling) < 0.8


def test_equal_sequences_of_different_places_have_different_ids() -> None:
    batch = packed({"a": [5] * 47, "b": [5] * 47}, 16)
    assert batch.num_rows == 6
    assert len(set(batch.column("sequence_id").to_pylist())) == 6


def test_splits_are_keyed_by_id_and_grow_with_the_fraction() -> None:
    names = pa.array(ids_of(20_000))
    splits = split_of(names, 3, 0.05)
    held_out = splits.to_pylist().count("validation")
    assert set(splits.to_pylist()) == {"train", "validation"}
    assert held_out == pytest.approx(1000, abs=4 * (20_000 * 0.05 * 0.95) ** 0.5)
    assert split_of(names[5:10], 3, 0.05).equals(splits[5:10])
    assert split_of(names, 4, 0.05) != splits
    larger = split_of(names, 3, 0.1).to_pylist()
    assert all(new == "validation" for old, new in zip(splits.to_pylist(), larger, strict=True) if old == "validation")
    assert set(split_of(names, 3, 0.0).to_pylist()) == {"train"}


def test_shards_are_even_and_independent_of_the_split() -> None:
    names = pa.array(ids_of(20_000))
    shards = np.array(shard_of(names, 3, 8).to_pylist())
    counts = np.bincount(shards, minlength=8)
    assert counts == pytest.approx(2500, abs=5 * 2500**0.5)
    held_out = np.array(split_of(names, 3, 0.5).to_pylist()) == "validation"
    assert np.bincount(shards[held_out], minlength=8) == pytest.approx(1250, abs=5 * 1250**0.5)
    with pytest.raises(ValueError, match="0 shards"):
        shard_of(names, 3, 0)


def test_fractions_are_evenly_spread() -> None:
    fractions = keyed_fractions(pa.array([str(number) for number in range(50_000)]), 1, "sample")
    assert ((fractions >= 0) & (fractions < 1)).all()
    counts, _ = np.histogram(fractions, bins=20, range=(0, 1))
    assert ((counts - 2500) ** 2 / 2500).sum() < 43.8  # chi-squared with 19 degrees of freedom, p = 0.001


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0 to 9 tokens; cut them to 1 to 8$"):
        pack_shard(np.array([0, 9]), 8)
    lists = pa.array([[1], [2]], pa.list_(pa.int32()))
    arguments: dict[str, Any] = {"end_of_text_id": END, "padding_id": PAD, "seed": 7, "split": "train", "shard": 3}
    with pytest.raises(ValueError, match="document_id a appears twice"):
        pack(pa.array(["a", "a"]), lists, PackingRules(), **arguments)
    with pytest.raises(ValueError, match="1 document ids for 2 token lists"):
        pack(pa.array(["a"]), lists, PackingRules(), **arguments)
    with pytest.raises(ValueError, match="null"):
        pack(pa.array(["a", None]), lists, PackingRules(), **arguments)


def test_the_number_of_shards_follows_the_text() -> None:
    rules = PackingRules(shard_bytes=1024)
    assert [rules.shard_count(size) for size in (0, 1, 1024, 1025)] == [1, 1, 1, 2]
