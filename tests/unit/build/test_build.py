"""What happens around the Spark jobs: claims, specs, builds that died."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from goldmill import settings as settings_module
from goldmill.arrivals import record_unknown_objects, unknown_objects
from goldmill.build import Build, BuildError, abandon, build_id_of, claim, release_dead_builds, take_turn
from goldmill.landing.objects import land_file
from goldmill.ledger import open_ledger
from goldmill.ledger.protocol import State
from goldmill.recipe import RecipeError
from goldmill.settings import Settings
from goldmill.spec import STAGES, StageSpec


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of a home with three objects that have arrived."""
    monkeypatch.setenv("GOLDMILL_HOME", str(tmp_path))
    settings_module._load.cache_clear()
    loaded = Settings.load()
    for key in ("a/one.txt", "a/two.txt", "b/three.txt"):
        land_file(f"text of {key}".encode(), loaded.places.landing_uri, key)
    assert record_unknown_objects() == {"a": 2, "b": 1}
    yield loaded
    settings_module._load.cache_clear()


def recorded(settings: Settings) -> int:
    """Objects that a build may claim."""
    return sum(count.objects for count in open_ledger(settings).summary() if count.state == State.RECORDED)


def test_what_is_recorded_is_unknown_no_more(settings: Settings) -> None:
    assert unknown_objects() == []
    assert not record_unknown_objects()


def test_a_claim_writes_one_spec_a_stage_and_is_the_same_for_a_retry(settings: Settings) -> None:
    work_uri = claim("corpus_build/run1", "default")
    assert work_uri is not None
    again = claim("corpus_build/run1", "default")

    assert again == work_uri
    build = Build.read(work_uri)
    assert [row["object_key"] for row in build.objects] == ["a/one.txt", "a/two.txt", "b/three.txt"]
    specs = [StageSpec.read(f"{work_uri}/{stage}/spec.json") for stage in STAGES]
    assert [spec.stage for spec in specs] == list(STAGES)
    assert {spec.branch for spec in specs} == {f"build_{build_id_of('corpus_build/run1')}"}
    assert len({spec.spec_hash for spec in specs}) == len(STAGES)
    assert all("sqlite" not in Path(f"{work_uri}/{stage}/spec.json").read_text() for stage in STAGES)


def test_sources_limit_a_claim_and_nothing_left_is_none(settings: Settings) -> None:
    assert claim("corpus_build/run1", "default", sources=["b"]) is not None
    assert recorded(settings) == 2
    assert claim("corpus_build/run2", "default") is not None
    assert claim("corpus_build/run3", "default") is None
    assert not Path(settings.places.build_uri(build_id_of("corpus_build/run3"))).exists()


@pytest.mark.parametrize(
    ("recipe", "error", "message"),
    [
        ("name: x\ntokenizer: {path: /nowhere/t.json}\n", BuildError, r"tokenizer\.path.*/nowhere/t\.json"),
        ("name: x\ngopher_qualty: {}\n", RecipeError, "gopher_quality"),
    ],
)
def test_a_recipe_that_cannot_be_built_claims_nothing(
    settings: Settings, tmp_path: Path, recipe: str, error: type[Exception], message: str
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe)

    with pytest.raises(error, match=message):
        claim("corpus_build/run1", str(path))
    assert recorded(settings) == 3


def test_the_claim_of_a_build_whose_run_is_over_is_released(settings: Settings) -> None:
    work_uri = claim("corpus_build/dead", "default", sources=["a"])
    alive = claim("corpus_build/alive", "default", sources=["b"])
    assert work_uri is not None
    assert alive is not None
    assert take_turn(work_uri)
    assert not take_turn(alive)

    released = release_dead_builds(lambda run: run == "corpus_build/alive")

    assert released == [build_id_of("corpus_build/dead")]
    assert recorded(settings) == 2
    assert take_turn(alive), "the dead build's turn is over"


def test_abandoning_twice_changes_nothing(settings: Settings) -> None:
    work_uri = claim("corpus_build/run1", "default")
    assert work_uri is not None
    abandon(work_uri)
    abandon(work_uri)
    assert recorded(settings) == 3
