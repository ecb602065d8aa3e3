"""The generated pages say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldmill.docs.models import recipe_page, settings_page
from goldmill.docs.pages import outdated, render, write
from goldmill.docs.tables import tables_page
from goldmill.lake.tables import CORPUS_TABLES
from goldmill.recipe import Recipe
from goldmill.settings import Settings

BUNDLE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return render(BUNDLE)


def test_the_committed_pages_are_those_of_the_code(pages: dict[str, str]) -> None:
    different = [name for name, text in pages.items() if (BUNDLE / name).read_text() != text]
    assert not different, f"{different} do not say what the code says: run `make docs` and commit the result"


def test_a_changed_or_missing_page_is_named(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "dags").symlink_to(BUNDLE / "dags")
    write(tmp_path)
    assert outdated(tmp_path) == []
    (tmp_path / "docs/tables.md").write_text("# Tables\n")
    (tmp_path / "docs/dags.md").unlink()
    assert outdated(tmp_path) == ["docs/dags.md", "docs/tables.md"]


def test_every_column_has_a_row() -> None:
    lines = tables_page().splitlines()
    for table in CORPUS_TABLES:
        section = lines[lines.index(f"## {table.name}") :]
        for column in table.columns:
            assert any(line.startswith(f"| `{column.name}` | `{column.type}` |") for line in section)


def test_every_section_and_field_is_described() -> None:
    for page, model in ((settings_page(), Settings), (recipe_page(), Recipe)):
        rows = [line for line in page.splitlines() if line.startswith("| `")]
        assert rows, f"the page of {model.__name__} has no field"
        nameless = [row for row in rows if row.endswith("|  |")]
        assert not nameless, f"no description: {nameless}; give the field Field(description=...)"
        for name in model.model_fields:
            assert f"`{name}`" in page or f"## `{name}.<name>`" in page


def test_a_setting_names_its_variable() -> None:
    assert '| `driver_memory` | `GOLDMILL_SPARK__DRIVER_MEMORY` | text | `"2g"` |' in settings_page()
