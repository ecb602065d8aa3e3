"""Say in plain words why a document does not fit its pydantic model: which field, which value, what to do."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


def explain(model: type[BaseModel], error: ValidationError, origin: str) -> str:
    """One message for all errors of ``error``, a line each.

    An unknown key is answered with the nearest known key, else with the place where a key of that name belongs,
    else with all keys that are known there.

    Args:
        model: the model that was validated.
        error: what pydantic found.
        origin: where the document came from, e.g. a path; begins every line.
    """
    return "\n".join(f"{origin}: {_explain_one(model, found)}" for found in error.errors(include_url=False))


def nearest(name: str, known: list[str]) -> str:
    """A remedy for a name that is none of ``known``: the nearest one, or all of them."""
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(sorted(known)) or 'none'}"


def _explain_one(model: type[BaseModel], found: ErrorDetails) -> str:
    path = ".".join(str(part) for part in found["loc"])
    if found["type"] == "extra_forbidden":
        return f"unknown key {path!r}: {_remedy_for_unknown_key(model, found['loc'])}"
    if found["type"] == "missing":
        return f"{path!r} is missing; give it a value"
    if found["input"] is None:
        return f"{path!r} is null: leave the key out for its default, or give it a value"
    message = found["msg"].removeprefix("Value error, ")
    # A rule over several fields is reported at the section, whose whole content would be no help in a message.
    if not path or isinstance(found["input"], dict):
        return f"{path}: {message}" if path else message
    return f"{path!r} is {found['input']!r}: {message[:1].lower()}{message[1:]}"


def _remedy_for_unknown_key(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    wanted = str(location[-1])
    section: type[BaseModel] | None = model
    for part in location[:-1]:
        section = _model_of(section, str(part)) if section is not None else None
    known = list(section.model_fields) if section is not None else []
    if not get_close_matches(wanted, known, n=1, cutoff=0.6):
        elsewhere = [path for path in _paths(model) if path.rsplit(".", 1)[-1] == wanted]
        if elsewhere:
            return f"did you mean {elsewhere[0]!r}?"
    return nearest(wanted, known)


def _model_of(section: type[BaseModel], key: str) -> type[BaseModel] | None:
    """The model of a field; a key that is no field is the key of a mapping, whose model the caller holds already."""
    field = section.model_fields.get(key)
    return section if field is None else _first_model(field.annotation)


def _first_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _first_model(argument))), None)


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        section = _first_model(field.annotation)
        if section is not None:
            yield from _paths(section, f"{prefix}{name}.")
