"""docker-compose.yaml is valid, closed to the network, pinned, and agrees with the settings and the locks."""

from __future__ import annotations

import importlib.resources
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from goldmill.settings import Settings, _load

BUNDLE = Path(__file__).resolve().parents[2]
FILE = BUNDLE / "docker-compose.yaml"
COMPOSE_DIR = BUNDLE / "deploy/compose"
SERVICES = {
    "postgres", "airflow-init", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer",
    "marquez-db", "marquez-api", "marquez-web", "object-store", "bucket-init", "mlflow",
}  # fmt: skip
# They run once and end.
JOBS = {"airflow-init", "bucket-init"}


def dotenv() -> dict[str, str]:
    lines = (BUNDLE / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def interpolate(text: str, values: dict[str, str]) -> str:
    """``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}`` as Compose reads them, all from ``values``."""
    return re.sub(r"(?<!\$)\$\{(\w+)(?::[-?][^}]*)?\}", lambda match: values[match[1]], text)


@pytest.fixture(scope="module")
def raw() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return document


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    document = yaml.safe_load(interpolate(FILE.read_text(), dotenv()))
    return dict(document["services"])


def test_compose_accepts_the_file(raw: dict[str, Any]) -> None:
    """By Compose itself where it is installed, else by the schema of the Compose specification."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        command = [
            docker,
            "compose",
            "--file",
            str(FILE),
            "--env-file",
            str(BUNDLE / ".env.example"),
            "config",
            "--quiet",
        ]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
    schema_file = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(schema_file.read_text())
    jsonschema.validate(raw, schema)
    with pytest.raises(jsonschema.ValidationError, match="imagee"):
        jsonschema.validate({"services": {"some": {"imagee": "x"}}}, schema)


def test_the_named_services_are_there(services: dict[str, Any]) -> None:
    assert set(services) == SERVICES


def test_every_variable_has_an_example() -> None:
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", FILE.read_text()))
    assert used == set(dotenv()), "docker-compose.yaml and .env.example must name the same variables"


def test_no_secret_stands_in_the_file() -> None:
    text = FILE.read_text()
    for name, value in dotenv().items():
        if name.endswith(("PASSWORD", "KEY", "SECRET")) and name != "S3_ACCESS_KEY":
            assert value not in text, f"docker-compose.yaml holds the value of {name}; write ${{{name}}}"


def test_every_port_is_on_this_machine_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    for port in ports:
        assert port.startswith("127.0.0.1:"), f"port {port} is open to the network: write 127.0.0.1:{port}"
    hosts = [port.split(":")[1] for port in ports]
    assert len(set(hosts)) == len(hosts), f"two services want one port: {hosts}"


def test_every_image_is_pinned(services: dict[str, Any]) -> None:
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        assert re.search(r"\d+\.\d+", tag), f"{name}: image {service['image']} has no fixed release"
    for file in COMPOSE_DIR.glob("*.Dockerfile"):
        (image,) = re.findall(r"^FROM (\S+)$", file.read_text(), re.MULTILINE)
        assert re.search(r":\d+\.\d+", image), f"{file.name}: {image} has no fixed release"


def test_whoever_is_waited_for_can_say_that_it_is_ready(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name not in JOBS:
            assert service["healthcheck"]["test"], f"{name} has no health check"
        for other, wait in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in JOBS else "service_healthy"
            assert wait["condition"] == expected, f"{name} waits for {other}: use condition {expected}"
            assert other in JOBS or services[other]["healthcheck"]["test"]


def test_waiting_has_no_circle(services: dict[str, Any]) -> None:
    done: set[str] = set()
    while len(done) < len(services):
        ready = {name for name, service in services.items() if set(service.get("depends_on", {})) <= done} - done
        assert ready, f"these wait for each other: {set(services) - done}"
        done |= ready


def test_volumes_are_declared_and_files_exist(raw: dict[str, Any], services: dict[str, Any]) -> None:
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and source != dotenv()["GOLDMILL_LANDING"]:
                assert (BUNDLE / source).is_file(), f"{name}: {source} is not there"
            elif not source.startswith("./"):
                assert source in raw["volumes"], f"{name}: declare volume {source} under volumes"


def test_the_settings_of_the_services(services: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a task of the scheduler reads: the profile with the environment that Compose gives it."""
    environment = services["airflow-scheduler"]["environment"]
    for name, value in environment.items():
        if name.startswith("GOLDMILL_"):
            monkeypatch.setenv(name, value)
    _load.cache_clear()
    try:
        settings = Settings.load()
    finally:
        _load.cache_clear()
    password = dotenv()["POSTGRES_PASSWORD"]
    assert settings.ledger.url == f"postgresql+psycopg://goldmill:{password}@postgres:5432/ledger"
    catalog = settings.catalog.spark_properties()
    assert catalog["uri"] == "jdbc:postgresql://postgres:5432/catalog"
    assert (catalog["jdbc.user"], catalog["jdbc.password"]) == ("goldmill", password)
    assert catalog["warehouse"] == settings.places.warehouse_uri == "/goldmill/warehouse"
    assert settings.lineage.events_path is None
    assert settings.spark.conf["spark.openlineage.transport.url"] == environment["OPENLINEAGE_URL"]
    mounts = {volume.split(":")[1] for volume in services["airflow-scheduler"]["volumes"]}
    assert {settings.home, settings.places.landing_uri} <= mounts, "what one service writes the others must see"


def test_every_database_is_made(services: dict[str, Any]) -> None:
    made = set(re.findall(r"CREATE DATABASE (\w+);", (COMPOSE_DIR / "databases.sql").read_text()))
    values = [value for service in services.values() for value in service.get("environment", {}).values()]
    used = {match[1] for value in values if (match := re.search(r"@postgres:5432/(\w+)", str(value)))}
    assert used == made == {"airflow", "ledger", "catalog", "mlflow"}


def test_images_copy_what_is_there_and_have_the_locked_airflow(services: dict[str, Any]) -> None:
    text = (COMPOSE_DIR / "airflow.Dockerfile").read_text()
    ignored = (COMPOSE_DIR / "airflow.Dockerfile.dockerignore").read_text().splitlines()
    for source in re.findall(r"^COPY --chown=\S+ (\S+) \S+$", text, re.MULTILINE):
        assert (BUNDLE / source).exists(), f"airflow.Dockerfile copies {source}, which is not there"
        assert f"!{source.split('/')[0]}" in ignored, f"{source} is left out by the .dockerignore"
    (locked,) = re.findall(r"^apache-airflow==(\S+)", (BUNDLE / "requirements.txt").read_text(), re.MULTILINE)
    assert f"FROM apache/airflow:{locked}-python3.11" in text
    assert services["airflow-init"]["image"] == f"goldmill-airflow:{locked}"
