from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from goldmill.recipe import Recipe, RecipeError, bundled_recipes, load_recipe, parse_recipe

MINIMAL = Recipe(name="x")


@pytest.mark.parametrize("name", bundled_recipes())
def test_bundled_recipes_load_and_are_named_as_their_file(name: str) -> None:
    assert load_recipe(name).name == name


def test_there_is_a_default_recipe() -> None:
    assert load_recipe().name == "default"


def test_the_defaults_are_the_published_thresholds() -> None:
    assert MINIMAL.language.min_score == 0.65  # FineWeb, arXiv 2406.17557
    assert (MINIMAL.deduplicate.minhash.bands, MINIMAL.deduplicate.minhash.rows) == (14, 8)  # the same
    assert (MINIMAL.gopher_quality.min_words, MINIMAL.gopher_quality.max_words) == (50, 100_000)  # arXiv 2112.11446


def test_loading_needs_no_library_of_a_kernel() -> None:
    code = (
        "import sys; from goldmill.recipe import load_recipe; load_recipe();"
        "print({'numba', 'pyarrow', 'resiliparse', 'tokenizers', 'pyspark', 'airflow', 'pandas', 'numpy'}"
        " & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("langauge: {}", r"unknown key 'langauge': did you mean 'language'\?"),
            ("language: {min_scor: 0.5}", r"unknown key 'language.min_scor': did you mean 'min_score'\?"),
            ("deduplicate: {minhash: {band: 3}}", r"'deduplicate.minhash.band': did you mean 'bands'\?"),
            ("sources: {wiki: {wieght: 0.5}}", r"unknown key 'sources.wiki.wieght': did you mean 'weight'\?"),
            ("sequence_length: 512", r"unknown key 'sequence_length': did you mean 'packing.sequence_length'\?"),
            ("zebra: 1", r"unknown key 'zebra': known are: c4, code, corpus, .*toxicity"),
            ("packing: {zebra: 1}", r"'packing.zebra': known are: sequence_length, shard_bytes, validation_fraction"),
            ("language: {min_score: high}", r"'language.min_score' is 'high': input should be a valid number"),
            ("language: {min_score: '0.5'}", r"'language.min_score' is '0.5': input should be a valid number"),
            ("seed: true", r"'seed' is True: input should be a valid integer"),
            ("seed: 1.5", r"'seed' is 1.5: input should be a valid integer"),
            ("packing: {sequence_length: 1}", r"'packing.sequence_length' is 1: .*greater than or equal to 8"),
            ("language:", r"'language' is null: leave the key out for its default"),
            ("code: {min_lines: 99999}", r"code.min_lines is above code.max_lines"),
            ("sources: {wiki: {weight: 2.0}}", r"'sources.wiki.weight' is 2(.0)?: must be at most 1: .*epochs"),
            ("sources: {wiki: {weight: 0}}", r"'sources.wiki.weight' is 0: input should be greater than 0"),
            ("sources: {a/b: {}}", r"sources.a/b can be no source"),
            ("other_sources: null", r"sources is empty and other_sources is null"),
            ("corpus: My Corpus", r"'corpus' is 'My Corpus': string should match pattern"),
            ("seed: 1\nseed: 2", r"key 'seed' is given twice; keep one\n.*line 3"),
            ("language: {min_score: 0.5, min_score: 0.6}", r"key 'min_score' is given twice"),
            ("? [a]\n: 1", r"a key must be a text"),
            ("sources: [unclosed", r"not YAML"),
            ("made: !!python/object/apply:os.system [echo]", r"could not determine a constructor"),
        ],
    )
    def test_names_file_field_and_remedy(self, text: str, message: str) -> None:
        with pytest.raises(RecipeError, match=message) as caught:
            parse_recipe(f"name: x\n{text}\n", "recipe mine.yaml")
        assert str(caught.value).startswith("recipe mine.yaml: ")

    def test_names_all_that_is_wrong_at_once(self) -> None:
        with pytest.raises(RecipeError) as caught:
            parse_recipe("name: x\nlangauge: {}\nseed: high\n")
        assert len(str(caught.value).splitlines()) == 2

    @pytest.mark.parametrize("text", ["", "- a", "text", "12"])
    def test_what_is_no_mapping(self, text: str) -> None:
        with pytest.raises(RecipeError, match=r"not keys and values; start with `name"):
            parse_recipe(text)

    def test_a_name_that_is_none(self) -> None:
        with pytest.raises(RecipeError, match=r"recipe 'defualt': there is no file .*; did you mean 'default'\?"):
            load_recipe("defualt")

    def test_a_file_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(RecipeError, match=r"there is no file .*/none.yaml\. Give the name"):
            load_recipe(f"{tmp_path}/none.yaml")

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "r.yaml").write_bytes(b"name: caf\xe9")
        with pytest.raises(RecipeError, match=r"r.yaml: not UTF-8 text .* at byte 9\); save it as UTF-8"):
            load_recipe(f"{tmp_path}/r.yaml")


class TestYaml:
    def test_no_is_a_language(self) -> None:
        assert parse_recipe("name: x\nlanguage: {allowed: [no, en]}").language.allowed == ("no", "en")

    def test_numbers_as_people_write_them(self) -> None:
        recipe = parse_recipe("name: x\npacking: {validation_fraction: 1e-3}\nlanguage: {min_score: 1}\nseed: 010")
        assert recipe.packing.validation_fraction == 0.001
        assert recipe.language.min_score == 1.0
        assert recipe.seed == 10

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
            max_leaves=8,
        )
    )
    def test_any_document_is_parsed_or_refused_by_a_recipe_error(self, document: object) -> None:
        text = yaml.safe_dump({"name": "x", "sources": document})
        try:
            recipe = parse_recipe(text)
        except RecipeError:
            return
        assert recipe.name == "x"


class TestDigest:
    def test_is_of_the_meaning_and_not_of_the_text(self) -> None:
        spelled_out = parse_recipe("# a comment\nseed: 0\nname: x\nlanguage: {min_score: 0.650}\n")
        assert spelled_out.digest == MINIMAL.digest
        assert len(MINIMAL.digest) == 64

    @pytest.mark.parametrize(
        "text", ["seed: 1", "language: {min_score: 0.66}", "sources: {a: {}}", "deduplicate: {url: false}", "corpus: y"]
    )
    def test_changes_with_every_value(self, text: str) -> None:
        assert parse_recipe(f"name: x\n{text}").digest != MINIMAL.digest

    def test_is_the_same_after_a_round_trip(self) -> None:
        recipe = parse_recipe("name: x\nsources: {b: {priority: 2}, a: {weight: 0.25}}")
        again = Recipe.model_validate_json(recipe.model_dump_json())
        assert again == recipe
        assert again.digest == recipe.digest

    def test_does_not_depend_on_the_order_of_sources(self) -> None:
        one = parse_recipe("name: x\nsources: {a: {}, b: {}}")
        other = parse_recipe("name: x\nsources: {b: {}, a: {}}")
        assert one.digest == other.digest


class TestSources:
    RECIPE = parse_recipe("name: x\nsources: {wiki: {priority: 1, loss_budget: 0.1}, web: {weight: 0.5}}")

    def test_named_sources_have_their_own_rules(self) -> None:
        assert self.RECIPE.source("wiki").loss_budget == 0.1
        assert self.RECIPE.source("web").weight == 0.5
        assert self.RECIPE.source_priorities == {"wiki": 1, "web": 100}

    def test_other_sources_have_the_common_ones(self) -> None:
        assert self.RECIPE.source("news") == self.RECIPE.other_sources
        assert self.RECIPE.claimed_sources is None

    def test_other_sources_may_be_left_out(self) -> None:
        recipe = parse_recipe("name: x\nsources: {wiki: {}, books: {}}\nother_sources: null")
        assert recipe.claimed_sources == ["books", "wiki"]
        with pytest.raises(RecipeError, match=r"recipe 'x' does not take source 'wikki'; did you mean 'wiki'\?"):
            recipe.source("wikki")


class TestTokenizerPath:
    def test_is_relative_to_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "recipes").mkdir()
        (tmp_path / "recipes" / "r.yaml").write_text("name: x\ntokenizer: {path: tok/tokenizer.json}")
        monkeypatch.chdir(tmp_path)
        expected = str(tmp_path / "recipes" / "tok" / "tokenizer.json")
        assert load_recipe(f"{tmp_path}/recipes/r.yaml").tokenizer.path == expected
        assert load_recipe("recipes/r.yaml").tokenizer.path == expected

    @pytest.mark.parametrize("path", ["/abs/tokenizer.json", "s3://bucket/tokenizer.json"])
    def test_is_left_alone_where_it_is_complete(self, tmp_path: Path, path: str) -> None:
        (tmp_path / "r.yaml").write_text(json.dumps({"name": "x", "tokenizer": {"path": path}}))
        assert load_recipe(str(tmp_path / "r.yaml")).tokenizer.path == path
