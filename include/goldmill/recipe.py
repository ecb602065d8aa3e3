"""What a corpus is made of: sources, rules and thresholds, tokenizer, packing, gates.

A recipe is a YAML file. What it leaves out has the published default; a key that it should not have is refused, so
that a misspelt threshold is not silently the default one.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from goldmill.errors import GoldmillError
from goldmill.rules.code import CodeRules
from goldmill.rules.decontamination import DecontaminationRules
from goldmill.rules.deduplication import DeduplicationRules
from goldmill.rules.gates import GateRules
from goldmill.rules.language import LanguageRules
from goldmill.rules.packing import PackingRules, TokenizerRules
from goldmill.rules.quality import C4Rules, FineWebRules, GopherQualityRules, GopherRepetitionRules
from goldmill.rules.reading import ReadLimits
from goldmill.rules.safety import PiiRules, SecretRules, ToxicityRules
from goldmill.storage import read_text
from goldmill.validation import explain, nearest

if TYPE_CHECKING:
    from collections.abc import Hashable

_BUNDLED = Path(__file__).parent / "config" / "recipes"
DEFAULT_RECIPE = "default"


class RecipeError(GoldmillError):
    """A recipe cannot be found, is not YAML, or says something that no recipe can say."""


class SourceRules(BaseModel):
    """What is taken of a source, and how much of it may be lost before a version is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: float = Field(
        default=1.0,
        gt=0,
        description="Share of the documents that is kept, chosen by hash of the document id and the seed; the others "
        "are removed by the rule `source_weight`.",
    )
    loss_budget: float = Field(
        default=0.9, ge=0, le=1, description="Share of the documents that may be removed as duplicates."
    )
    failure_budget: float = Field(
        default=0.2, ge=0, le=1, description="Share of the records that may be quarantined because they cannot be read."
    )

    @field_validator("weight")
    @classmethod
    def _weight_is_a_share(cls, weight: float) -> float:
        if weight > 1:
            raise ValueError(
                "must be at most 1: a document is in a version once or not at all; repeat a source in training, "
                "by epochs of the trainer"
            )
        return weight


class NamedSourceRules(SourceRules):
    """A source that the recipe names."""

    priority: int = Field(
        default=100,
        ge=0,
        description="Of two duplicates in a build, the one from the source with the lower number stays.",
    )


class Recipe(BaseModel):
    """A recipe with all its defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the recipe.")
    corpus: str = Field(
        default="corpus", pattern=r"^[a-z][a-z0-9_]*$", description="Name of the corpus: the namespace of its tables."
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="Keys the sampling, the splits and the shuffle.")
    sources: dict[str, NamedSourceRules] = Field(
        default_factory=dict, description="Rules by source: the first component of a path in the landing area."
    )
    other_sources: SourceRules | None = Field(
        default_factory=SourceRules,
        description="Rules for every source that is not named; their documents give way to those of named sources. "
        "Null leaves objects of other sources unclaimed.",
    )
    read: ReadLimits = Field(default_factory=ReadLimits, description="How much of an object is read.")
    language: LanguageRules = Field(default_factory=LanguageRules, description="Languages of prose.")
    gopher_repetition: GopherRepetitionRules = Field(
        default_factory=GopherRepetitionRules, description="Repetition in prose (arXiv 2112.11446, table A1)."
    )
    gopher_quality: GopherQualityRules = Field(
        default_factory=GopherQualityRules, description="Quality of prose (arXiv 2112.11446, section A1.1)."
    )
    c4: C4Rules = Field(default_factory=C4Rules, description="Quality of prose by C4 (arXiv 1910.10683).")
    fineweb: FineWebRules = Field(
        default_factory=FineWebRules, description="Quality of prose by FineWeb (arXiv 2406.17557)."
    )
    code: CodeRules = Field(default_factory=CodeRules, description="Quality of source code.")
    toxicity: ToxicityRules = Field(default_factory=ToxicityRules, description="Toxic prose and code.")
    pii: PiiRules = Field(default_factory=PiiRules, description="Personal data.")
    secrets: SecretRules = Field(default_factory=SecretRules, description="Keys and passwords.")
    decontaminate: DecontaminationRules = Field(
        default_factory=DecontaminationRules, description="Evaluation sets that the corpus must not hold."
    )
    deduplicate: DeduplicationRules = Field(default_factory=DeduplicationRules, description="Duplicates.")
    tokenizer: TokenizerRules = Field(default_factory=TokenizerRules, description="The tokenizer.")
    packing: PackingRules = Field(default_factory=PackingRules, description="Sequences, splits and shards.")
    gates: GateRules = Field(default_factory=GateRules, description="What a version must satisfy.")

    @model_validator(mode="after")
    def _something_is_taken(self) -> Self:
        if self.other_sources is None and not self.sources:
            raise ValueError("sources is empty and other_sources is null: nothing would be built; name a source")
        for name in self.sources:
            if "/" in name or not name.strip() or name.startswith("."):
                raise ValueError(
                    f"sources.{name} can be no source: a source is one directory of the landing area, without a slash"
                )
        return self

    @property
    def digest(self) -> str:
        """SHA-256, hex, over all values, defaults included: equal for two files that mean the same."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def source_priorities(self) -> dict[str, int]:
        """Priority by named source, lower first; sources that are not named come last."""
        return {name: rules.priority for name, rules in self.sources.items()}

    @property
    def claimed_sources(self) -> list[str] | None:
        """Sources whose objects a build may claim, sorted; None for all."""
        return None if self.other_sources is not None else sorted(self.sources)

    def source(self, name: str) -> SourceRules:
        """Rules for a source.

        Raises:
            RecipeError: the recipe does not take this source.
        """
        rules = self.sources.get(name, self.other_sources)
        if rules is None:
            raise RecipeError(
                f"recipe {self.name!r} does not take source {name!r}; {nearest(name, list(self.sources))} "
                "Add it to sources, or set other_sources."
            )
        return rules


def load_recipe(name_or_uri: str = DEFAULT_RECIPE) -> Recipe:
    """Load a recipe by the name of a bundled one, or from a path or URI of a YAML file.

    A relative ``tokenizer.path``, or path of an evaluation set, in a file is relative to that file.

    Raises:
        RecipeError: names the file, the field with its full path, its value and the remedy.
    """
    is_name = re.fullmatch(r"[A-Za-z0-9_-]+", name_or_uri) is not None
    uri = str(_BUNDLED / f"{name_or_uri}.yaml") if is_name else name_or_uri
    try:
        text = read_text(uri)
    except (FileNotFoundError, IsADirectoryError) as error:
        remedy = f"; {nearest(name_or_uri, bundled_recipes())}" if is_name else "."
        raise RecipeError(
            f"recipe {name_or_uri!r}: there is no file {uri}{remedy} "
            "Give the name of a bundled recipe, or the path of a YAML file."
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"recipe {uri}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    recipe = parse_recipe(text, f"recipe {uri}")
    sets = {
        name: one.model_copy(update={"path": _beside(uri, one.path)}) for name, one in recipe.decontaminate.sets.items()
    }
    update: dict[str, Any] = {"decontaminate": recipe.decontaminate.model_copy(update={"sets": sets})}
    if recipe.tokenizer.path is not None:
        path = _beside(uri, recipe.tokenizer.path)
        update["tokenizer"] = recipe.tokenizer.model_copy(update={"path": path})
    return recipe.model_copy(update=update)


def _beside(uri: str, path: str) -> str:
    """A path as the file at ``uri`` means it."""
    if "://" in path or Path(path).is_absolute():
        return path
    beside = f"{uri.rpartition('/')[0] or '.'}/{path}"
    return beside if "://" in beside else str(Path(beside).absolute())


def parse_recipe(text: str, origin: str = "recipe") -> Recipe:
    """Parse the YAML text of a recipe; ``origin`` begins every message.

    Raises:
        RecipeError: see :func:`load_recipe`.
    """
    try:
        document = yaml.load(text, Loader=_RecipeLoader)  # noqa: S506 - derived from SafeLoader
    except yaml.YAMLError as error:
        raise RecipeError(f"{origin}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise RecipeError(f"{origin}: holds {type(document).__name__}, not keys and values; start with `name: ...`")
    try:
        # Strict, so that "0.5" in quotes is no number. In JSON a list may be a tuple and 1 a float, as wanted here.
        return Recipe.model_validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise RecipeError(explain(Recipe, error, origin)) from error


def bundled_recipes() -> list[str]:
    """Names of the recipes that come with Goldmill."""
    return sorted(file.stem for file in _BUNDLED.glob("*.yaml"))


class _RecipeLoader(yaml.SafeLoader):
    """YAML with the types of JSON, as YAML 1.2 has them: ``no`` is a language and not a boolean, ``1e-3`` a number.

    A key that is given twice is an error; PyYAML would take the last one.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping, each key once.

        Raises:
            yaml.constructor.ConstructorError: names the key and its line.
        """
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a text", key_node.start_mark)
            if key_node.value in seen:
                message = f"key {key_node.value!r} is given twice; keep one"
                raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
            seen.add(key_node.value)
        return {key_node.value: self.construct_object(value, deep=True) for key_node, value in node.value}


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """An integer in base ten: PyYAML would read ``010`` as eight."""
    return int(str(loader.construct_scalar(node)))


_RecipeLoader.add_constructor("tag:yaml.org,2002:int", _decimal)
_RecipeLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"null|~|", "n~\0"),
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _RecipeLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), ["" if c == "\0" else c for c in _first]
    )
