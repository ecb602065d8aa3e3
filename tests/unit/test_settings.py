from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from goldmill.settings import CatalogSettings, Settings, SettingsError, _load


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No Goldmill variable, an empty working directory, and nothing cached from another test."""
    for variable in [name for name in os.environ if name.startswith("GOLDMILL_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    _load.cache_clear()
    yield
    _load.cache_clear()


def profile(directory: Path, text: str) -> str:
    path = directory / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_an_empty_environment_gives_the_local_profile_below_the_working_directory(tmp_path: Path) -> None:
    settings = Settings.load()
    home = f"{tmp_path}/.goldmill"
    assert (settings.profile, settings.platform, settings.home) == ("local", "local", home)
    assert settings.places.landing_uri == f"{home}/landing"
    assert settings.ledger.url == f"sqlite:///{home}/ledger.db"
    assert settings.catalog.properties == {"uri": f"sqlite:///{home}/catalog.db", "warehouse": f"{home}/warehouse"}
    assert settings.lineage.events_path == f"{home}/lineage/events.jsonl"
    assert not Path(home).exists(), "loading settings must create nothing"


def test_they_parse_in_a_process_without_any_variable(tmp_path: Path) -> None:
    code = "from goldmill.settings import Settings; print(Settings.load().home)"
    found = subprocess.check_output([sys.executable, "-c", code], env={}, cwd=tmp_path, text=True)
    assert found.strip() == f"{tmp_path}/.goldmill"


def test_every_place_follows_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOLDMILL_HOME", "elsewhere")
    document = Settings.load().model_dump_json()
    assert f"{tmp_path}/elsewhere/" in document
    assert ".goldmill" not in document
    assert "{home}" not in document
    assert "{bundle}" not in document


def test_the_environment_overrides_one_field_and_keeps_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDMILL_SPARK__DRIVER_MEMORY", "7g")
    monkeypatch.setenv("GOLDMILL_SPARK__CONF", '{"spark.sql.ansi.enabled": "false"}')
    monkeypatch.setenv("GOLDMILL_PLACES__WAREHOUSE_URI", "s3://bucket/warehouse")
    monkeypatch.setenv("GOLDMILL_LEDGER__URL", "")  # an empty variable is one that is not set
    settings = Settings.load()
    assert settings.spark.driver_memory == "7g"
    assert settings.spark.conf == {"spark.sql.ansi.enabled": "false"}
    assert settings.spark.master == "local[*]"
    assert settings.catalog.properties["warehouse"] == "s3://bucket/warehouse"
    assert settings.ledger.url.endswith("/ledger.db")


def test_a_profile_may_be_a_file_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "catalog: {type: rest, properties: {uri: 'http://localhost:8181'}}\nplaces: {work_uri: '{home}/w'}\n"
    monkeypatch.setenv("GOLDMILL_PROFILE", profile(tmp_path, text))
    settings = Settings.load()
    assert settings.places.work_uri == f"{tmp_path}/.goldmill/w"
    assert settings.places.landing_uri == f"{tmp_path}/.goldmill/landing"
    assert settings.catalog.properties == {
        "uri": "http://localhost:8181",
        "warehouse": f"{tmp_path}/.goldmill/warehouse",
    }


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("GOLDMILL_PROFILE", "locla", r"GOLDMILL_PROFILE is 'locla', but there is no file .*locla.yaml; did you mean"),
        ("GOLDMILL_SPARK__PARTITIONS", "many", r"'spark.partitions' is 'many': input should be a valid integer"),
        ("GOLDMILL_SPARK__PARTITIONS", "0", r"'spark.partitions' is '0': input should be greater than or equal to 1"),
        ("GOLDMILL_SPARK__DRIVER_MEMROY", "2g", r"unknown key 'spark.driver_memroy': did you mean 'driver_memory'\?"),
        ("GOLDMILL_SPRAK__MASTER", "local", r"GOLDMILL_SPRAK__MASTER: unknown section 'sprak'; did you mean 'spark'\?"),
        ("GOLDMILL_SPARK", "{broken", r"settings \(local.yaml, or GOLDMILL_\* in the environment\)"),
        ("GOLDMILL_PLACES", "[]", r"'places' is \[\]"),
        ("GOLDMILL_CATALOG__TYPE", "hive", r"'catalog.type' is 'hive': input should be 'sql', 'rest' or 'glue'"),
    ],
)
def test_an_error_names_the_setting_the_value_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=message):
        Settings.load()


def test_an_error_in_a_profile_names_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOLDMILL_PROFILE", profile(tmp_path, "placse: {}"))
    with pytest.raises(SettingsError, match=r"settings \(mine.yaml.*unknown key 'placse': did you mean 'places'\?"):
        Settings.load()
    monkeypatch.setenv("GOLDMILL_PROFILE", profile(tmp_path, "places: [unclosed"))
    with pytest.raises(SettingsError, match=r"settings \(mine.yaml(.|\n)*a profile is YAML"):
        Settings.load()


def test_variables_of_the_demo_are_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDMILL_DEMO_PORT", "8080")
    assert Settings.load().platform == "local"


def test_a_stage_has_a_work_area_of_its_own_below_the_build(tmp_path: Path) -> None:
    places = Settings.load().places
    assert places.stage_uri("b1", "refine") == f"{tmp_path}/.goldmill/work/b1/refine"
    assert places.manifests_uri("c") != places.tokenizers_uri("c") != places.exports_uri("c", "b1")


class TestCatalogForSpark:
    def properties(self, uri: str, **more: str) -> dict[str, str]:
        return CatalogSettings(properties={"uri": uri, "warehouse": "/w", **more}).spark_properties()

    def test_sqlite(self) -> None:
        assert self.properties("sqlite:////data/my catalog.db") == {
            "uri": "jdbc:sqlite:/data/my catalog.db",
            "jdbc.busy_timeout": "60000",
            "warehouse": "/w",
        }

    def test_postgres_with_a_password_of_special_characters(self) -> None:
        assert self.properties("postgresql+psycopg://me:p%40ss%2F@db:5433/lake", **{"io-impl": "X"}) == {
            "uri": "jdbc:postgresql://db:5433/lake",
            "jdbc.user": "me",
            "jdbc.password": "p@ss/",
            "warehouse": "/w",
            "io-impl": "X",
        }

    def test_other_databases_are_refused_without_showing_the_password(self) -> None:
        with pytest.raises(SettingsError, match=r"catalog.properties.uri is 'mysql://me:\*\*\*@db/lake'.*sqlite"):
            self.properties("mysql://me:hidden@db/lake")

    def test_other_catalogs_keep_their_properties(self) -> None:
        catalog = CatalogSettings(type="rest", properties={"uri": "http://c", "warehouse": "/w"})
        assert catalog.spark_properties() == {"uri": "http://c", "warehouse": "/w"}
