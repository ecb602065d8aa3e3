"""Read the evaluation sets that a recipe names, and tell one state of them from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from goldmill.errors import GoldmillError

if TYPE_CHECKING:
    from goldmill.rules.decontamination import DecontaminationRules, EvaluationSet

Texts = tuple[str, tuple[str, ...]]
"""Name of an item and its texts."""


class EvaluationSetError(GoldmillError):
    """An evaluation set is missing, cannot be read, holds nothing to look for, or has changed since it was claimed."""


def digests(rules: DecontaminationRules) -> dict[str, str]:
    """SHA-256, hex, over the file of each set, by name: another digest is another build.

    Raises:
        EvaluationSetError: a file is missing; names the set.
    """
    return {name: hashlib.sha256(_content(name, one)).hexdigest() for name, one in sorted(rules.sets.items())}


def read_sets(rules: DecontaminationRules, expected: Mapping[str, str]) -> Iterator[tuple[str, list[Texts]]]:
    """Name and items of each set, in the order of the recipe.

    Args:
        rules: where the sets are and what is read of them.
        expected: what :func:`digests` returned when the build began.

    Raises:
        EvaluationSetError: a file is missing, has changed, cannot be read, or an item has none of the fields; names
            the set, the item and the remedy.
    """
    for name, one in rules.sets.items():
        content = _content(name, one)
        if hashlib.sha256(content).hexdigest() != expected.get(name):
            raise EvaluationSetError(
                f"decontaminate.sets.{name}: {one.path} has changed since the build claimed its objects; "
                "clear the task that claims them"
            )
        items = [(item, texts) for item, texts in _items(name, one, content) if texts]
        if not items:
            raise EvaluationSetError(f"decontaminate.sets.{name}: {one.path} holds no item; name another file")
        yield name, items


def _content(name: str, one: EvaluationSet) -> bytes:
    try:
        with fsspec.open(one.path, "rb", compression="infer") as file:
            content: bytes = file.read()
    except FileNotFoundError as error:
        raise EvaluationSetError(
            f"decontaminate.sets.{name}.path: there is no file {one.path}; correct the path, or leave the set out"
        ) from error
    except (OSError, EOFError, ValueError) as error:
        raise EvaluationSetError(
            f"decontaminate.sets.{name}.path: {one.path} cannot be read ({error}); write the file again"
        ) from error
    return content


def _items(name: str, one: EvaluationSet, content: bytes) -> Iterator[Texts]:
    plain = one.path.removesuffix(".gz").removesuffix(".zst").removesuffix(".bz2").removesuffix(".xz")
    try:
        if plain.endswith(".txt"):
            for number, line in enumerate(content.decode().splitlines(), start=1):
                yield f"line:{number}", (line,) if line.strip() else ()
            return
        records: Iterator[tuple[str, Any]]
        if plain.endswith(".parquet"):
            records = ((f"row:{row}", values) for row, values in enumerate(_rows(content, one)))
        else:
            lines = enumerate(content.decode().splitlines(), start=1)
            records = ((f"line:{number}", json.loads(line)) for number, line in lines if line.strip())
        for place, record in records:
            yield _item(name, one, place, record)
    except (ValueError, pa.ArrowException) as error:  # also JSON and UTF-8
        raise EvaluationSetError(
            f"decontaminate.sets.{name}: {one.path} cannot be read ({error}); it must be JSON Lines, or end in "
            ".parquet or .txt"
        ) from error


def _rows(content: bytes, one: EvaluationSet) -> list[dict[str, Any]]:
    file = pq.ParquetFile(BytesIO(content))
    wanted = [column for column in (*one.fields, one.id_field) if column in file.schema_arrow.names]
    rows: list[dict[str, Any]] = file.read(columns=wanted).to_pylist()
    return rows


def _item(name: str, one: EvaluationSet, place: str, record: Any) -> Texts:
    where = f"decontaminate.sets.{name}: {place} of {one.path}"
    if not isinstance(record, dict):
        raise EvaluationSetError(f"{where} is a {type(record).__name__}, not an object; write one JSON object a line")
    values = [record[field] for field in one.fields if record.get(field) is not None]
    if not values:
        raise EvaluationSetError(
            f"{where} has none of the fields {', '.join(one.fields)}; its fields are {', '.join(record)}: name those "
            "that must not be trained on in fields"
        )
    texts: list[str] = []
    for value in values:
        texts += [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    if one.id_field is not None:
        if record.get(one.id_field) is None:
            raise EvaluationSetError(f"{where} has no {one.id_field!r}; name the field of the ids in id_field")
        place = str(record[one.id_field])
    return place, tuple(text for text in texts if text.strip())
