"""The plugin loads in Airflow, and its pages are for those who are logged in."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from goldmill.settings import Settings, _load

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("goldmill_plugin", PLUGINS / "goldmill_plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["goldmill_plugin"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def docs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOLDMILL_HOME", str(tmp_path))
    _load.cache_clear()
    docs = Path(Settings.load().places.data_docs_uri)
    (docs / "build/refine").mkdir(parents=True)
    (docs / "index.html").write_text("all gates")
    (docs / "build/refine/index.html").write_text("one gate")
    (tmp_path / "secret.txt").write_text("no page")
    yield docs
    _load.cache_clear()


_LOAD = """
import json
from airflow import plugins_manager
found = [plugin for plugin in plugins_manager._get_plugins()[0] if plugin.name == "goldmill"]
apps, _ = plugins_manager.get_fastapi_plugins()
print(json.dumps({
    "plugins": len(found),
    "errors": plugins_manager.get_import_errors(),
    "links": [type(link).__name__ for plugin in found for link in plugin.operator_extra_links],
    "views": [view["name"] for plugin in found for view in plugin.external_views],
    "apps": [app["url_prefix"] for app in apps],
}))
"""


def test_airflow_loads_the_plugin_without_an_error(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
        "GOLDMILL_LINEAGE_URL": "http://127.0.0.1:3000",
    }
    loaded = subprocess.run(
        [sys.executable, "-c", _LOAD], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert json.loads(loaded.stdout.splitlines()[-1]) == {
        "plugins": 1,
        "errors": {},
        "links": ["DataDocsLink"],
        "views": ["Data Docs", "Lineage"],
        "apps": ["/goldmill/data-docs"],
    }


def test_strangers_get_no_page(plugin: ModuleType, docs_dir: Path) -> None:
    assert docs_dir.is_dir()
    assert TestClient(plugin.data_docs_app()).get("/index.html").status_code == 401


def test_pages_for_those_who_are_logged_in(plugin: ModuleType, docs_dir: Path) -> None:
    assert docs_dir.is_dir()
    app = plugin.data_docs_app()
    app.dependency_overrides[plugin.require_login] = lambda: None
    client = TestClient(app)
    assert client.get("/").text == "all gates"
    assert client.get("/build/refine/index.html").text == "one gate"
    assert client.get("/build/none.html").status_code == 404
    assert client.get("/%2e%2e/secret.txt").status_code == 404


@pytest.mark.parametrize("name", ["../secret.txt", "build/../../secret.txt", "/etc/passwd", "build"])
def test_nothing_outside_of_the_pages_is_served(plugin: ModuleType, docs_dir: Path, name: str) -> None:
    with pytest.raises(HTTPException) as refused:
        plugin.find_page(docs_dir, name)
    assert refused.value.status_code == 404


def test_a_link_that_leads_outside_is_not_followed(plugin: ModuleType, docs_dir: Path) -> None:
    (docs_dir / "link.html").symlink_to(docs_dir.parent / "secret.txt")
    with pytest.raises(HTTPException):
        plugin.find_page(docs_dir, "link.html")


def test_without_a_lineage_server_there_is_no_entry_for_it(plugin: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(plugin.LINEAGE_URL, raising=False)
    assert [view["name"] for view in plugin._views()] == ["Data Docs"]
