"""What Goldmill adds to the Airflow UI: the Data Docs of the gates, and a way to the lineage server.

The pages are served by the API server itself, to those who are logged in: in a deployment they lie on a disk that the
reader's browser cannot reach.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse

from goldmill.gates.operator import DATA_DOCS_PREFIX, DataDocsLink, local_path
from goldmill.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import BaseOperatorLink

# Where people look at lineage, e.g. Marquez; without it events are in a file, and there is nothing to link to.
LINEAGE_URL = "GOLDMILL_LINEAGE_URL"


def find_page(docs_dir: Path, name: str) -> Path:
    """The file of a page below the directory of the Data Docs.

    Raises:
        HTTPException: 404, where there is no such page, or it would lie outside.
    """
    root = docs_dir.resolve()
    page = (root / (name or "index.html")).resolve()
    if not page.is_relative_to(root) or not page.is_file():
        raise HTTPException(404, f"no page {name!r} in the Data Docs; they are written when a gate has judged a stage")
    return page


async def require_login(request: Request) -> None:
    """Let through whoever is logged in to Airflow, by the cookie of the UI or a bearer token.

    Raises:
        HTTPException: 401, where nobody is.
    """
    # Late: schedulers and workers load plugins too, and do without the core of the API server.
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user

    await get_user(request, None, await bearer_scheme(request))


def data_docs_app() -> FastAPI:
    """An application that serves the Data Docs."""
    app = FastAPI(title="Goldmill Data Docs", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/{name:path}", dependencies=[Depends(require_login)])
    def page(name: str) -> FileResponse:
        return FileResponse(find_page(local_path(Settings.load().places.data_docs_uri), name))

    return app


def _views() -> list[dict[str, Any]]:
    views = [{"name": "Data Docs", "href": f"{DATA_DOCS_PREFIX}/index.html", "url_route": "goldmill-data-docs"}]
    if url := os.environ.get(LINEAGE_URL):
        views.append({"name": "Lineage", "href": url})
    return [{**view, "destination": "nav", "category": "browse"} for view in views]


def _apps() -> list[dict[str, Any]]:
    return [{"app": data_docs_app(), "url_prefix": DATA_DOCS_PREFIX, "name": "Goldmill Data Docs"}]


def _links() -> list[BaseOperatorLink]:
    return [DataDocsLink()]


class GoldmillPlugin(AirflowPlugin):
    """Menu entries, the pages behind them, and the button of the gates."""

    name = "goldmill"
    # Airflow declares these as variables of the instance, and reads them from the class.
    fastapi_apps = _apps()
    external_views = _views()
    operator_extra_links = _links()
