"""One Airflow for all end-to-end tests: the services of the demo, in a home of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow_line import Line

from goldmill.demo.processes import Airflow, processes_of
from goldmill.demo.progress import AirflowApi
from goldmill.demo.run import BUNDLE, service_environment
from goldmill.landing.objects import land_file
from goldmill.runtime.jars import install_jars
from goldmill.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """The line, with real source code and real prose in its landing area before it starts."""
    home = tmp_path_factory.mktemp("goldmill")
    settings = Settings(home=str(home))
    install_jars(Path(settings.spark.jars_dir))
    standard_library = Path(json.__file__).parent.parent
    modules = sorted(path for path in standard_library.glob("[a-z]*.py") if path.stat().st_size > 4000)[:40]
    for path in modules:
        land_file(path, settings.places.landing_uri, f"stdlib/{path.name}")
    # The same files again, as an archive would bring them: duplicates between two sources.
    for name in ("argparse", "ast", "base64", "bdb", "calendar"):
        land_file(standard_library / f"{name}.py", settings.places.landing_uri, f"vendored/{name}.py")
    land_file(b"\x1f\x8b\x08\x00 not gzip", settings.places.landing_uri, "stdlib/cut.jsonl.gz")
    # Jobs of a few kilobytes: compiling them well and cutting them fine costs more than it gains.
    quick = {
        "GOLDMILL_SPARK__PARTITIONS": "2",
        "GOLDMILL_SPARK__CONF": json.dumps({"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1"}),
    }
    environment = service_environment(settings) | quick
    with Airflow(home, BUNDLE / "dags", BUNDLE / "plugins", environment) as airflow:
        airflow.start("api-server", "dag-processor", "triggerer", "scheduler")
        airflow.wait_until_ready()
        api = AirflowApi(airflow.url)
        try:
            yield Line(airflow, api, settings)
        finally:
            api.close()
    assert not processes_of(home), "Airflow left processes behind"
