"""The Data Docs of the gates: a page and a Great Expectations site for each gate, and one index of all gates.

Layout under the directory of all Data Docs::

    index.html                 every build, newest first
    <build_id>/<stage>.html    the gate: every expectation, required and observed, examples, remedies
    <build_id>/<stage>.json    its result; what the index is made of
    <build_id>/<stage>/        the site that Great Expectations builds, with its details

A gate writes nothing that another gate writes, but for the index, which is made anew under a lock.
"""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader
from pydantic import ValidationError

from goldmill.gates.result import GATED_STAGES, GateResult
from goldmill.gates.suite import TABLES
from goldmill.storage import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEMPLATES = PackageLoader("goldmill", "gates/templates")

_TITLES = {"totals": "All sources together", "sources": "Source by source", "sample": "A sample, row by row"}
# Builds on the index page; older ones keep their pages.
_BUILDS_LISTED = 200


def site_dir(docs_dir: Path, build_id: str, stage: str) -> Path:
    """Directory of the Great Expectations site of a gate."""
    return docs_dir / build_id / stage


def page_path(docs_dir: Path, build_id: str, stage: str) -> Path:
    """The gate's own page."""
    return docs_dir / build_id / f"{stage}.html"


def clear_site(docs_dir: Path, build_id: str, stage: str) -> Path:
    """Remove the site of an earlier attempt of the gate and return the directory for the new one."""
    site = site_dir(docs_dir, build_id, stage)
    shutil.rmtree(site, ignore_errors=True)
    return site


def write_pages(docs_dir: Path, result: GateResult) -> None:
    """Write the gate's page and the index, next to the site that is built already."""
    site = site_dir(docs_dir, result.build_id, result.stage)
    details = {
        table: page.relative_to(site.parent).as_posix()
        for table in TABLES
        for page in site.glob(f"validations/{result.stage}/{table}/*/*/*.html")
    }
    page = _render("gate.j2", result=result, tables=TABLES, titles=_TITLES, details=details)
    write_text(str(page_path(docs_dir, result.build_id, result.stage)), page)
    result.write(str(docs_dir / result.build_id / f"{result.stage}.json"))
    with _locked(docs_dir / ".index.lock"):
        write_text(str(docs_dir / "index.html"), _render("index.j2", stages=GATED_STAGES, builds=_builds(docs_dir)))


def _builds(docs_dir: Path) -> list[tuple[str, dict[str, GateResult]]]:
    """Build ids with their gate results, newest first."""
    directories = sorted(
        (path for path in docs_dir.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime, reverse=True
    )
    builds = []
    for directory in directories[:_BUILDS_LISTED]:
        results = {}
        for path in directory.glob("*.json"):
            # A result of another release has its page, but no line here: a list of pages must not stop a build.
            with suppress(ValidationError):
                results[path.stem] = GateResult.read(str(path))
        if results:
            builds.append((directory.name, results))
    builds.sort(key=lambda build: max(result.evaluated_at for result in build[1].values()), reverse=True)
    return builds


def _render(template: str, **values: object) -> str:
    environment = Environment(loader=TEMPLATES, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(**values)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that other processes on this machine respect."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
