"""Great Expectations, imported without what no gate uses, and run without any traffic.

Importing it as it is takes over 8 s of one core, a third of it for SciPy, Altair and PySpark, which only histograms,
distribution tests and Spark tables need. They are put off here: SciPy and Altair until something touches them,
PySpark for good, which Great Expectations takes for "not installed".
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext

_PUT_OFF = ("altair", "scipy", "scipy.stats")


def great_expectations() -> ModuleType:
    """The package ``great_expectations``."""
    # Releases that send usage statistics read this at import.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    if "great_expectations" in sys.modules:
        return sys.modules["great_expectations"]
    with _without("pyspark"):
        for name in _PUT_OFF:
            _put_off(name)
        return importlib.import_module("great_expectations")


def open_context(docs_dir: Path | None) -> EphemeralDataContext:
    """A context that keeps everything in memory and builds its Data Docs, one site, in ``docs_dir``, or none."""
    gx = great_expectations()
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        # Without a temporary site of its own outside docs_dir.
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
        data_docs_sites={} if docs_dir is None else {"gate": _site(docs_dir)},
    )
    context: EphemeralDataContext = gx.get_context(mode="ephemeral", project_config=config)
    return context


def _site(docs_dir: Path) -> dict[str, Any]:
    page = {"module_name": "goldmill.gates.views", "class_name": "GatePage"}
    index_page = {"module_name": "goldmill.gates.views", "class_name": "GateIndexPage"}
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs_dir)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder", "view": index_page},
        "site_section_builders": {"expectations": {"view": page}, "validations": {"view": page}},
    }


def _put_off(name: str) -> None:
    """Have ``name`` imported by its first use."""
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    package, _, attribute = name.rpartition(".")
    if package:
        # `from scipy import stats` asks the package for an attribute, which would load it now.
        object.__getattribute__(sys.modules[package], "__dict__")[attribute] = module


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Refuse the import of ``name`` inside the block, unless it is imported already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # documented: makes the import raise
    try:
        yield
    finally:
        del sys.modules[name]
