"""The generated pages by their path in the bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldmill.docs.dags import dags_page
from goldmill.docs.models import recipe_page, settings_page
from goldmill.docs.tables import tables_page

if TYPE_CHECKING:
    from pathlib import Path


def render(bundle: Path) -> dict[str, str]:
    """Each page's Markdown, by its path below the root of the bundle.

    Raises:
        DagsBroken: a DAG file cannot be imported.
    """
    return {
        "docs/dags.md": dags_page(bundle / "dags"),
        "docs/tables.md": tables_page(),
        "docs/settings.md": settings_page(),
        "docs/recipe.md": recipe_page(),
    }


def write(bundle: Path) -> None:
    """Write all pages."""
    for name, text in render(bundle).items():
        (bundle / name).write_text(text)


def outdated(bundle: Path) -> list[str]:
    """Pages whose file differs from what the code says, or is not there."""
    return [
        name
        for name, text in render(bundle).items()
        if not (bundle / name).is_file() or (bundle / name).read_text() != text
    ]
