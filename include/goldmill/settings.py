"""Where Goldmill runs and keeps its things: typed settings from a profile and the environment.

A profile is ``config/<profile>.yaml`` (``GOLDMILL_PROFILE``, default ``local``; also the path of a YAML file).
Environment variables override it: ``GOLDMILL_HOME=/data`` or, for a field of a section,
``GOLDMILL_SPARK__DRIVER_MEMORY=4g``. What a corpus is made of is no setting: see :mod:`goldmill.recipe`.

Every text may hold ``{home}``, the absolute home directory, and ``{bundle}``, the directory that holds ``dags/``
and ``spark_jobs/``. Loading settings touches nothing but the profile file, so that a DAG file may do it.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, SettingsConfigDict, YamlConfigSettingsSource
from pydantic_settings import SettingsError as SourceError
from yaml import YAMLError

from goldmill.errors import GoldmillError
from goldmill.validation import explain, nearest

if TYPE_CHECKING:
    from pydantic_settings import PydanticBaseSettingsSource

PREFIX = "GOLDMILL_"
_NESTED = "__"
_CONFIG = Path(__file__).parent / "config"
# include/goldmill/settings.py lies two directories below the root of the bundle.
_BUNDLE = Path(__file__).resolve().parents[2]


class SettingsError(GoldmillError):
    """A setting is unknown or has a value that it cannot have."""


class PlacesSettings(BaseModel):
    """Where data lies. Every place is an absolute path or a URI that both fsspec and Spark can open."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    landing_uri: str = Field(default="{home}/landing", description="Where raw objects arrive, one directory a source.")
    warehouse_uri: str = Field(default="{home}/warehouse", description="Where the Iceberg tables lie.")
    work_uri: str = Field(default="{home}/work", description="Specs, reports and intermediate results of builds.")
    artifacts_uri: str = Field(
        default="{home}/artifacts",
        description="What belongs to versions but is no table: manifests, tokenizers, exports.",
    )
    data_docs_uri: str = Field(default="{home}/data_docs", description="Where the pages of the gates are built.")

    def build_uri(self, build_id: str) -> str:
        """The work area of one build."""
        return f"{self.work_uri}/{build_id}"

    def stage_uri(self, build_id: str, stage: str) -> str:
        """The work area of one stage of a build: spec, progress, report, audit and intermediate results."""
        return f"{self.build_uri(build_id)}/{stage}"

    def manifests_uri(self, corpus: str) -> str:
        """The version manifests of a corpus."""
        return f"{self.artifacts_uri}/{corpus}/versions"

    def tokenizers_uri(self, corpus: str) -> str:
        """The tokenizers of a corpus."""
        return f"{self.artifacts_uri}/{corpus}/tokenizers"

    def exports_uri(self, corpus: str, build_id: str) -> str:
        """The files that a build writes for trainers."""
        return f"{self.artifacts_uri}/{corpus}/exports/{build_id}"


class CatalogSettings(BaseModel):
    """The Iceberg catalog, the same one for Spark and for PyIceberg."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="lake", pattern=r"^[a-z][a-z0-9_]*$", description="Name of the catalog in SQL.")
    type: Literal["sql", "rest", "glue"] = Field(default="sql", description="Kind of catalog, as PyIceberg names it.")
    properties: dict[str, str] = Field(
        default_factory=dict,
        description="Properties as PyIceberg names them; `uri` and `warehouse` are filled in where they are left out.",
    )

    def spark_properties(self) -> dict[str, str]:
        """The properties as Iceberg's Java catalogs name them.

        A SQL catalog's SQLAlchemy address becomes a JDBC one, and its credentials become properties of their own.

        Raises:
            SettingsError: the catalog is on a database that has no JDBC address here.
        """
        if self.type != "sql":
            return dict(self.properties)
        from sqlalchemy.engine import make_url  # late: settings are loaded at every parse of a DAG file

        url = make_url(self.properties["uri"])
        properties = {key: value for key, value in self.properties.items() if key != "uri"}
        backend = url.get_backend_name()
        if backend == "sqlite":
            # Two builds commit to the same file: the one that comes second waits for the lock, in milliseconds.
            return {"uri": f"jdbc:sqlite:{url.database}", "jdbc.busy_timeout": "60000", **properties}
        if backend == "postgresql":
            port = f":{url.port}" if url.port else ""
            credentials = {"jdbc.user": url.username, "jdbc.password": url.password and unquote(str(url.password))}
            given = {key: value for key, value in credentials.items() if value}
            return {"uri": f"jdbc:postgresql://{url.host or 'localhost'}{port}/{url.database}", **given, **properties}
        raise SettingsError(
            f"catalog.properties.uri is {url.render_as_string(hide_password=True)!r}: Spark reaches a SQL catalog on "
            "sqlite or postgresql only; name one of these, or another catalog.type"
        )


class LineageSettings(BaseModel):
    """Where OpenLineage events go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    namespace: str = Field(default="goldmill", description="OpenLineage namespace of the jobs.")
    events_path: str | None = Field(
        default="{home}/lineage/events.jsonl",
        description="File that events are appended to; null leaves it to OpenLineage's own settings (a server).",
    )


class LedgerSettings(BaseModel):
    """The ledger of arrivals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(default="sqlite:///{home}/ledger.db", description="SQLAlchemy address: sqlite or postgresql.")


class SparkSettings(BaseModel):
    """How Spark jobs are run on this platform."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    master: str = Field(default="local[*]", description="Spark master; local[N] runs N tasks at a time.")
    driver_memory: str = Field(
        default="2g", pattern=r"^[1-9][0-9]*[kmgt]$", description="Heap of the driver's Java process, e.g. 2g."
    )
    partitions: int = Field(default=16, ge=1, description="Shuffle partitions; the result does not depend on it.")
    python_executable: str = Field(
        default="{bundle}/.venv-spark/bin/python", description="Python of the Spark environment, which has no Airflow."
    )
    java_home: str | None = Field(default=None, description="Java 17 or later; null finds one.")
    jars_dir: str = Field(default="{home}/jars", description="The pinned jars: Iceberg, OpenLineage, JDBC drivers.")
    jobs_dir: str = Field(default="{bundle}/spark_jobs", description="The job files.")
    conf: dict[str, str] = Field(default_factory=dict, description="More Spark settings, by name.")

    @property
    def spark_submit(self) -> str:
        """The launcher that belongs to the Spark environment."""
        return str(Path(self.python_executable).with_name("spark-submit"))


class Settings(BaseSettings):
    """All settings. They parse from an empty environment; use :meth:`load`."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter=_NESTED, env_ignore_empty=True
    )

    profile: str = Field(default="local", description="Name of a profile in config/, or the path of a YAML file.")
    home: str = Field(default=".goldmill", description="Directory of everything that is kept on this machine.")
    platform: str = Field(default="local", description="Which platform runs the tasks.")
    places: PlacesSettings = Field(default_factory=PlacesSettings, description="Where data lies.")
    catalog: CatalogSettings = Field(default_factory=CatalogSettings, description="The Iceberg catalog.")
    ledger: LedgerSettings = Field(default_factory=LedgerSettings, description="The ledger of arrivals.")
    lineage: LineageSettings = Field(default_factory=LineageSettings, description="Where OpenLineage events go.")
    spark: SparkSettings = Field(default_factory=SparkSettings, description="How Spark jobs are run.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values given in code come first, then the environment, then the profile."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=profile_path())

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Make the home absolute, put it and the bundle into every text, and complete the catalog."""
        home = str(Path(str(values.get("home", cls.model_fields["home"].default))).expanduser().absolute())
        filled = {**values, "home": home}
        for name, field in cls.model_fields.items():
            section, given = field.annotation, values.get(name, {})
            if isinstance(section, type) and issubclass(section, BaseModel) and isinstance(given, dict):
                defaults = {key: f.default for key, f in section.model_fields.items() if isinstance(f.default, str)}
                filled[name] = _expand({**defaults, **given}, {"{home}": home, "{bundle}": str(_BUNDLE)})
        places, catalog = filled["places"], filled["catalog"]
        if isinstance(places, dict) and isinstance(catalog, dict) and isinstance(catalog.get("properties", {}), dict):
            defaults = {"warehouse": places["warehouse_uri"]}
            if catalog["type"] == "sql":
                defaults["uri"] = f"sqlite:///{home}/catalog.db"
            filled["catalog"] = {**catalog, "properties": {**defaults, **catalog.get("properties", {})}}
        return filled

    @classmethod
    def load(cls) -> Settings:
        """The settings of this process; read once.

        Raises:
            SettingsError: names the setting, its value and what to do.
        """
        return _load()


def profile_path() -> Path:
    """The file of the profile that ``GOLDMILL_PROFILE`` names.

    Raises:
        SettingsError: there is no such profile; names those that there are.
    """
    profile = os.environ.get(f"{PREFIX}PROFILE") or "local"
    is_path = profile.endswith((".yaml", ".yml")) or os.sep in profile
    path = Path(profile).expanduser() if is_path else _CONFIG / f"{profile}.yaml"
    if not path.is_file():
        known = [file.stem for file in _CONFIG.glob("*.yaml")]
        raise SettingsError(f"{PREFIX}PROFILE is {profile!r}, but there is no file {path}; {nearest(profile, known)}")
    return path


@lru_cache(maxsize=1)
def _load() -> Settings:
    path = profile_path()
    _refuse_unknown_variables()
    origin = f"settings ({path.name}, or {PREFIX}* in the environment)"
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(explain(Settings, error, origin)) from error
    except (SourceError, YAMLError) as error:
        raise SettingsError(f"{origin}: {error}; a section in the environment is JSON, a profile is YAML") from error


def _refuse_unknown_variables() -> None:
    """Refuse a variable of a section that does not exist: pydantic-settings would pass over it in silence.

    Variables without ``__`` are let through: the demo and the deployments have some of their own.
    """
    known = [name for name, field in Settings.model_fields.items() if field.default is PydanticUndefined]
    for variable in sorted(os.environ):
        section, nested, _ = variable.removeprefix(PREFIX).lower().partition(_NESTED)
        if variable.startswith(PREFIX) and nested and section not in known:
            raise SettingsError(f"{variable}: unknown section {section!r}; {nearest(section, known)}")


def _expand(value: Any, replacements: dict[str, str]) -> Any:
    if isinstance(value, str):
        for placeholder, path in replacements.items():
            value = value.replace(placeholder, path)
        return value
    if isinstance(value, dict):
        return {key: _expand(item, replacements) for key, item in value.items()}
    return value
