from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from goldmill.recipe import Recipe
from goldmill.report import StageReport, UnbalancedRows
from goldmill.settings import CatalogSettings, LineageSettings
from goldmill.spec import SpecError, StageSpec, manifest_digest


def make_spec(**changes: Any) -> StageSpec:
    values: dict[str, Any] = {
        "stage": "refine",
        "build_id": "b1",
        "branch": "build_b1",
        "recipe": Recipe(name="x"),
        "catalog": CatalogSettings(name="lake", properties={"uri": "postgresql://me:hidden@db/lake"}),
        "landing_uri": "/landing",
        "manifest_uri": "/work/b1/objects.jsonl",
        "manifest_digest": "0" * 64,
        "input_bytes": 10,
        "work_uri": "/work/b1/refine",
        "tokenizers_uri": "/artifacts/tokenizers",
        "exports_uri": "/artifacts/exports/b1",
        "lineage": LineageSettings(events_path="/work/b1/lineage/refine.jsonl"),
        "code_revision": "abc",
    }
    return StageSpec(**{**values, **changes})


class TestSpecHash:
    @pytest.mark.parametrize(
        "change",
        [
            {"stage": "tokenize"},
            {"recipe": Recipe(name="x", seed=1)},
            {"manifest_digest": "1" * 64},
            {"evaluation_sets": {"arc": "1" * 64}},
            {"parent_version": "corpus-20261124-00000000"},
            {"rebuild": True},
            {"code_revision": "abd"},
        ],
    )
    def test_changes_with_what_decides_the_rows(self, change: dict[str, Any]) -> None:
        assert make_spec(**change).spec_hash != make_spec().spec_hash

    @pytest.mark.parametrize(
        "change",
        [
            {"build_id": "b2", "branch": "build_b2"},
            {"partitions": 64},
            {"work_uri": "/elsewhere", "exports_uri": "/elsewhere", "tokenizers_uri": "/e", "manifest_uri": "/m"},
            {"catalog": CatalogSettings(name="other")},
            {"lineage": LineageSettings(events_path=None)},
            {"input_bytes": 11},
        ],
    )
    def test_does_not_change_with_places_and_pace(self, change: dict[str, Any]) -> None:
        assert make_spec(**change).spec_hash == make_spec().spec_hash

    def test_every_field_was_considered(self) -> None:
        decides = {
            "stage", "recipe", "manifest_digest", "evaluation_sets", "parent_version", "rebuild", "code_revision"
        }  # fmt: skip
        names_or_paces = {
            "build_id", "branch", "catalog", "landing_uri", "manifest_uri", "input_bytes", "work_uri", "tokenizers_uri",
            "exports_uri", "lineage", "partitions",
        }  # fmt: skip
        assert set(StageSpec.model_fields) == decides | names_or_paces, "say in spec.py which kind the new field is"


class TestSpecFile:
    def test_round_trip(self, tmp_path: Path) -> None:
        spec = make_spec(work_uri=str(tmp_path / "b1" / "refine"))
        again = StageSpec.read(spec.write())
        assert again == spec
        assert again.spec_hash == spec.spec_hash

    def test_has_no_credentials_of_the_catalog(self, tmp_path: Path) -> None:
        spec = make_spec(work_uri=str(tmp_path))
        assert "hidden" not in Path(spec.write()).read_text()
        assert (spec.catalog.name, spec.catalog.type) == ("lake", "sql")

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match=r"spec .*/none.json does not exist; clear the task that claims"):
            StageSpec.read(f"{tmp_path}/none.json")

    def test_a_spec_of_another_release_is_named(self, tmp_path: Path) -> None:
        spec = make_spec(work_uri=str(tmp_path))
        path = Path(spec.write())
        path.write_text(path.read_text().replace('"rebuild"', '"rebuilt"'))
        with pytest.raises(SpecError, match=r"spec .*spec.json: unknown key 'rebuilt': did you mean 'rebuild'\?"):
            StageSpec.read(str(path))

    @pytest.mark.parametrize("branch", ["", "build-1", "a`b", "a b"])
    def test_a_branch_can_be_named_in_sql(self, branch: str) -> None:
        with pytest.raises(ValueError, match="branch"):
            make_spec(branch=branch)


def test_the_digest_of_a_manifest_is_of_its_objects_in_any_order() -> None:
    one, other = {"object_key": "a/1", "etag": "1"}, {"object_key": "a/2", "etag": "1"}
    assert manifest_digest([one, other]) == manifest_digest([other, one])
    assert manifest_digest([one, {**other, "etag": "2"}]) != manifest_digest([one, other])
    assert manifest_digest([one]) != manifest_digest([one, one])


def make_report(**changes: Any) -> StageReport:
    values: dict[str, Any] = {
        "stage": "refine",
        "build_id": "b1",
        "spec_hash": "0" * 64,
        "rows_in": 10,
        "rows_out": 6,
        "removed_by_rule": {"language": 2, "exact": 1},
        "quarantined_by_code": {"truncated_gzip": 1},
        "by_source": {"web": {"rows_in": 10, "rows_out": 6, "removed": 3, "quarantined": 1}},
        "digest": "d" * 64,
        "snapshots": {"documents": 1},
        "code_revision": "abc",
        "metrics": {},
    }
    return StageReport(**{**values, **changes})


class TestReport:
    def test_balanced(self) -> None:
        report = make_report()
        report.check_balance()
        assert (report.removed, report.quarantined) == (3, 1)

    def test_a_lost_row_is_named_with_the_numbers(self) -> None:
        with pytest.raises(UnbalancedRows, match=r"refine of build b1, all sources: 11 rows in, but 6 out \+ 3"):
            make_report(rows_in=11).check_balance()

    def test_sources_that_make_up_for_one_another_are_found(self) -> None:
        by_source = {
            "web": {"rows_in": 5, "rows_out": 6, "removed": 0, "quarantined": 0},
            "wiki": {"rows_in": 5, "rows_out": 0, "removed": 3, "quarantined": 1},
        }
        with pytest.raises(UnbalancedRows, match=r"web: 5 rows in, but 6 out .* -1 are unaccounted for"):
            make_report(by_source=by_source).check_balance()

    def test_round_trip(self, tmp_path: Path) -> None:
        report = make_report(metrics={"tokens": 5, "tokenizer": {"uri": "t"}}, peak_rss_bytes=2**40)
        report.write(str(tmp_path / "deep" / "report.json"))
        assert StageReport.read(str(tmp_path / "deep" / "report.json")) == report
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report.json"]
