"""The scan for evaluation items against a slow oracle in plain Python, and case by case."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldmill.rules.decontamination import DecontaminationRules
from goldmill.text.decontamination import Item, build_index, decontaminate_documents
from goldmill.text.minhash import normalize_for_hash

Matches = list[dict[str, object] | None]

RULES = DecontaminationRules()
SMALL = DecontaminationRules(ngram_words=4, min_item_words=2, max_items_per_ngram=3)


def words(seed: int, count: int) -> str:
    rng = random.Random(seed)
    return " ".join(f"w{rng.randrange(10**6)}" for _ in range(count))


def matches(documents: list[str], rules: DecontaminationRules = RULES, **sets: list[Item]) -> Matches:
    index = build_index(sets.items(), rules)
    found: Matches = decontaminate_documents(pa.array(documents, pa.string()), index, frozenset(sets)).to_pylist()
    return found


def ngrams(text: str, rules: DecontaminationRules, *, is_item: bool) -> set[tuple[object, ...]]:
    """N-grams of an item, or all of a document that one could equal."""
    found = normalize_for_hash(pa.array([text])).to_pylist()[0].split()
    if not found:
        return set()
    if len(found) < rules.min_item_words:
        return {("whole", *found)}
    longest = min(len(found), rules.ngram_words)
    lengths = [longest] if is_item else range(rules.min_item_words, longest + 1)
    return {tuple(found[i : i + n]) for n in lengths for i in range(len(found) - n + 1)}


def oracle(documents: list[str], items: list[Item], rules: DecontaminationRules) -> Matches:
    owned: list[set[tuple[object, ...]]] = []
    sequences: list[list[str]] = []
    for item in items:
        texts = [t for t in normalize_for_hash(pa.array(item.texts, pa.string())).to_pylist() if t.split()]
        parts = [sorted(ngrams(t, rules, is_item=True)) for t in texts]
        is_copy = texts in sequences
        sequences.append(texts)
        owned.append(set() if is_copy else {gram for part in parts for gram in part})
    for gram in set().union(*owned) if owned else set():
        if sum(gram in own for own in owned) > rules.max_items_per_ngram:
            for own in owned:
                own.discard(gram)
    results: Matches = []
    for document in documents:
        held = ngrams(document, rules, is_item=False)
        best: tuple[float, int, int] | None = None
        for number, own in enumerate(owned):
            shared = len(own & held)
            if shared and (best is None or shared / len(own) > best[0]):
                best = (shared / len(own), number, shared)
        results.append(
            best and {"set": "a", "item": items[best[1]].name, "ngrams": best[2], "share": pytest.approx(best[0])}
        )
    return results


vocabulary = st.sampled_from(["a", "B", "Été", "c,", "-", "中", "ไ", "d"])
phrases = st.lists(vocabulary, max_size=14).map(" ".join)


@given(st.lists(phrases, max_size=5), st.lists(st.lists(phrases, max_size=2), max_size=6))
def test_agrees_with_the_oracle(documents: list[str], texts: list[list[str]]) -> None:
    items = [Item(f"i{number}", tuple(of_item)) for number, of_item in enumerate(texts)]
    assert matches(documents, SMALL, a=items) == oracle(documents, items, SMALL)


@given(st.lists(phrases, min_size=1, max_size=6), st.integers(0, 5), st.randoms(use_true_random=False))
def test_slices_chunks_and_order_of_the_batch_change_nothing(
    documents: list[str], cut: int, rng: random.Random
) -> None:
    index = build_index([("a", [Item("1", ("a b c d",)), Item("2", ("c",)), Item("3", ("b c",))])], SMALL)
    names = frozenset({"a"})
    array = pa.array(documents, pa.string())
    whole = decontaminate_documents(array, index, names).to_pylist()
    cut = min(cut, len(documents))
    parts = [decontaminate_documents(part, index, names).to_pylist() for part in (array[:cut], array[cut:])]
    order = rng.sample(range(len(documents)), len(documents))
    shuffled = decontaminate_documents(array.take(pa.array(order, pa.int64())), index, names).to_pylist()
    assert parts[0] + parts[1] == whole
    assert shuffled == [whole[place] for place in order]


def test_one_ngram_of_thirteen_words_is_enough_and_twelve_are_not() -> None:
    item = words(1, 40).split()
    inside = f"{words(2, 50)} {' '.join(item[10:23])} {words(3, 50)}"
    short = f"{words(2, 50)} {' '.join(item[10:22])} {words(3, 50)}"
    (match, none) = matches([inside, short], arc=[Item("q7", (" ".join(item),))])
    assert match == {"set": "arc", "item": "q7", "ngrams": 1, "share": pytest.approx(1 / 28)}
    assert none is None


def test_case_accents_and_punctuation_hide_nothing() -> None:
    item = "Quelle est la capitale de la Norvège, et combien d'habitants y vivent aujourd'hui environ ?"
    document = (
        "# Quiz\n\nquelle EST la capitale — de la norvege et combien d habitants y vivent aujourd hui environ "
        f"{words(1, 9)}"
    )
    (match,) = matches([document], quiz=[Item("1", (item,))])
    assert match is not None
    assert match["share"] == 1.0


def test_a_short_item_is_found_as_a_whole_and_a_very_short_one_only_alone() -> None:
    nine, three = words(1, 9), words(2, 3)
    around = words(3, 30)
    items = [Item("nine", (nine,)), Item("three", (three,))]
    documents = [f"{around} {nine} {around}", f"{around} {three} {around}", f" {three}.\n", f"{three} more"]
    found = matches(documents, set=items)
    assert [match and match["item"] for match in found] == ["nine", None, "three", None]


def test_the_item_with_the_largest_share_is_named_and_its_ngrams_counted_once() -> None:
    first, second = words(1, 30).split(), words(2, 14).split()
    document = " ".join([*first[:14], *second, *first[:14]])
    (match,) = matches([document], a=[Item("long", (" ".join(first),))], b=[Item("short", (" ".join(second),))])
    assert match == {"set": "b", "item": "short", "ngrams": 2, "share": 1.0}


def test_what_many_items_share_is_their_template() -> None:
    preamble = words(1, 20)
    items = [Item(str(number), (f"{preamble} {words(100 + number, 20)}",)) for number in range(11)]
    found = matches([preamble, items[3].texts[0]], mmlu=items)
    assert found[0] is None
    # The n-grams that lie in the preamble alone, 8 of 28, do not count.
    assert found[1] == {"set": "mmlu", "item": "3", "ngrams": 20, "share": 1.0}


def test_copies_of_an_item_are_no_template() -> None:
    items = [Item(str(number), (words(1, 20),)) for number in range(50)]
    (match,) = matches([words(1, 20)], a=items)
    assert match is not None
    assert match["item"] == "0"
    assert build_index([("a", items)], RULES).unfindable == 49


def test_only_the_sets_that_are_asked_for_are_looked_at() -> None:
    index = build_index([("a", [Item("1", (words(1, 20),))]), ("b", [Item("1", (words(2, 20),))])], RULES)
    documents = pa.array([words(1, 20), words(2, 20)])
    found = decontaminate_documents(documents, index, frozenset({"b"})).to_pylist()
    assert [match and match["set"] for match in found] == [None, "b"]


def test_nothing_to_look_for_and_nothing_to_look_in() -> None:
    empty = build_index([], RULES)
    assert decontaminate_documents(pa.array(["x y"]), empty, frozenset()).to_pylist() == [None]
    index = build_index([("a", [Item("blank", ()), Item("dash", ("— —",))])], RULES)
    assert decontaminate_documents(pa.array([], pa.string()), index, frozenset({"a"})).to_pylist() == []
    assert decontaminate_documents(pa.array(["", " \n", "x"]), index, frozenset({"a"})).to_pylist() == [None] * 3


def test_a_null_is_refused() -> None:
    with pytest.raises(ValueError, match="null"):
        decontaminate_documents(pa.array(["a", None]), build_index([], RULES), frozenset())
