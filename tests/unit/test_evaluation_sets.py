from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldmill.evaluation_sets import EvaluationSetError, digests, read_sets
from goldmill.recipe import Recipe, RecipeError, load_recipe, parse_recipe
from goldmill.rules.decontamination import DecontaminationRules

RECORDS = [
    {"id": "a", "question": "What is it?", "choices": ["this one", "that one"], "answer": 1},
    {"id": "b", "question": "And this?", "choices": [], "answer": 0},
]


def rules(path: Path | str, **values: Any) -> DecontaminationRules:
    return DecontaminationRules.model_validate({"sets": {"arc": {"path": str(path), **values}}})


def read(path: Path, **values: Any) -> list[tuple[str, tuple[str, ...]]]:
    one = rules(path, **values)
    ((name, items),) = read_sets(one, digests(one))
    assert name == "arc"
    return items


def lines(path: Path, records: list[Any]) -> Path:
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["arc.jsonl", "arc.jsonl.gz", "arc.json"])
def test_fields_of_json_lines_alone_and_in_lists(tmp_path: Path, name: str) -> None:
    items = read(lines(tmp_path / name, RECORDS), fields=("question", "choices"), id_field="id")
    assert items == [("a", ("What is it?", "this one", "that one")), ("b", ("And this?",))]


def test_columns_of_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "arc.parquet")
    items = read(tmp_path / "arc.parquet", fields=("question", "choices"))
    assert items == [("row:0", ("What is it?", "this one", "that one")), ("row:1", ("And this?",))]


def test_lines_of_text(tmp_path: Path) -> None:
    (tmp_path / "arc.txt").write_text("One item\n\nÉtude\n")
    assert read(tmp_path / "arc.txt") == [("line:1", ("One item",)), ("line:3", ("Étude",))]


@pytest.mark.parametrize(
    ("records", "values", "message"),
    [
        (
            [{"body": "x"}],
            {},
            r"arc: line:1 of .*arc.jsonl has none of the fields question, prompt, text; its fields are body",
        ),
        (["x"], {}, r"line:1 of .* is a str, not an object"),
        ([{"text": "x"}], {"id_field": "key"}, r"line:1 of .* has no 'key'"),
        ([], {}, r"arc: .*arc.jsonl holds no item"),
        ([{"text": "  "}], {}, r"holds no item"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, records: list[Any], values: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationSetError, match=message):
        read(lines(tmp_path / "arc.jsonl", records), **values)


def test_broken_files_are_named(tmp_path: Path) -> None:
    for name, content in (
        ("a.jsonl", b"{no"),
        ("a.jsonl.gz", b"\x1f\x8b cut"),
        ("a.parquet", b"PAR1"),
        ("a.txt", b"\xff\xfe"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EvaluationSetError, match=rf"decontaminate\.sets\.arc.*{name} cannot be read"):
            read(tmp_path / name)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(EvaluationSetError, match=r"decontaminate\.sets\.arc\.path: there is no file /none\.jsonl"):
        digests(rules("/none.jsonl"))


def test_a_file_that_changed_since_the_claim_is_refused(tmp_path: Path) -> None:
    path = lines(tmp_path / "arc.jsonl", RECORDS)
    one = rules(path)
    before = digests(one)
    lines(path, RECORDS[:1])
    assert digests(one) != before
    with pytest.raises(EvaluationSetError, match="clear the task that claims"):
        list(read_sets(one, before))


def test_a_path_is_relative_to_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "own.yaml"
    recipe.write_text(
        "name: own\ndecontaminate:\n  sets:\n    arc: {path: sets/arc.jsonl}\n"
        "    far: {path: 's3://b/f.jsonl', action: keep}\n"
    )
    found = load_recipe(str(recipe)).decontaminate
    assert found.sets["arc"].path == str(tmp_path / "sets" / "arc.jsonl")
    assert found.sets["far"].path == "s3://b/f.jsonl"
    assert found.removing == {"arc"}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{ngram_words: 6, min_item_words: 7}", "min_item_words 7 is over decontaminate.ngram_words 6"),
        ("{sets: {'a/b': {path: x}}}", "'a/b' can be no name of a set"),
        ("{sets: {a: {path: x, fields: []}}}", "name at least one field"),
    ],
)
def test_impossible_rules_are_refused(section: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(f"name: x\ndecontaminate: {section}\n")
    assert Recipe(name="x").decontaminate.sets == {}
