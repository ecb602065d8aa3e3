"""``docs/settings.md`` and ``docs/recipe.md``: every field of a pydantic model with its default and description."""

from __future__ import annotations

import json
import types
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from goldmill.docs.markdown import code, page, table
from goldmill.recipe import Recipe
from goldmill.settings import PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

# How pydantic's constraints read in a page.
_BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "min_length": "length ≥", "max_length": "length ≤"}


def settings_page() -> str:
    """The page of the settings."""
    return page(
        "Settings",
        "A profile (`include/goldmill/config/<profile>.yaml`, named by `GOLDMILL_PROFILE`) gives them; a variable of "
        "the environment comes before it. `{home}` is the absolute home, `{bundle}` the root of the checkout.",
        *_sections(Settings, "", variables=True),
    )


def recipe_page() -> str:
    """The page of the recipe."""
    return page(
        "Recipe",
        "What a corpus is made of: a YAML file. What it leaves out has the default below; an unknown key is refused "
        "with the nearest known one. Bundled recipes are in `include/goldmill/config/recipes/`.",
        *_sections(Recipe, "", variables=False),
    )


def _sections(model: type[BaseModel], path: str, *, variables: bool) -> Iterator[str]:
    """The fields of a model as one block, then a block for each section below it."""
    plain: list[tuple[str, ...]] = []
    below: list[tuple[str, FieldInfo, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        section = _model_in(field.annotation)
        if section is None:
            extra = (code(_variable(f"{path}{name}")),) if variables else ()
            plain.append((code(name), *extra, _type_text(field), _default(field), field.description or ""))
        else:
            # The key of a mapping is the reader's own to choose.
            key = f"{name}.<name>" if get_origin(field.annotation) is dict else name
            below.append((f"{path}{key}", field, section))
    header = ("key", *(("variable",) if variables else ()), "type", "default", "what")
    if plain:
        yield table(header, plain)
    for where, field, section in below:
        yield f"## {code(where)}\n\n{field.description or ''}"
        yield from _sections(section, f"{where}.", variables=variables)


def _variable(path: str) -> str:
    return PREFIX + path.upper().replace(".", "__")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, or holds by name, or holds unless it is null."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _type_text(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(item, key)}"
        for item in field.metadata
        for key, sign in _BOUNDS.items()
        if getattr(item, key, None) is not None
    ]
    return ", ".join([_annotation(field.annotation), *bounds])


def _annotation(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "null"
    if origin in (Union, types.UnionType):
        return " or ".join(_annotation(part) for part in arguments)
    if origin is Literal:
        return " or ".join(code(str(value)) for value in arguments)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(code(str(member.value)) for member in annotation)
    if origin is dict:
        return f"mapping of {_annotation(arguments[0])} to {_annotation(arguments[1])}"
    if origin in (list, tuple, set, frozenset):
        return f"list of {_annotation(arguments[0])}"
    return {str: "text", int: "integer", float: "number", bool: "boolean"}.get(annotation, str(annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value == {} or value == []:
        return "none"
    if isinstance(value, set | frozenset):
        value = sorted(value)
    return code(json.dumps(value, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else str(value)
