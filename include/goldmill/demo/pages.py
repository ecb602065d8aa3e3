"""The documentation of the standard library as HTML pages, rendered by `pydoc`: real pages that every machine has.

A program of its own (``python -I -m goldmill.demo.pages``, with an empty environment): it imports the whole library,
and pydoc prints what it finds in modules, the environment of the process included. Writes one JSON object a line:
``{"name": ..., "html": ...}``.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import pkgutil
import pydoc
import re
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# They open windows or browsers, run programs when imported, or are tests.
_LEFT_OUT = {"antigravity", "idlelib", "lib2to3", "test", "this", "tkinter", "turtle", "turtledemo", "__main__"}
# Addresses in memory differ from run to run.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def pages() -> Iterator[tuple[str, str]]:
    """Name and page of each module that can be imported here, sorted by name."""
    for name in sorted(sys.stdlib_module_names - _LEFT_OUT):
        if name.startswith("_"):
            continue
        page = _page(name)
        if page is None:
            continue
        yield name, page
        for entry in sorted(pkgutil.iter_modules(getattr(sys.modules[name], "__path__", [])), key=lambda e: e.name):
            child = f"{name}.{entry.name}"
            if not entry.name.startswith("_") and entry.name not in _LEFT_OUT and (page := _page(child)) is not None:
                yield child, page


def _page(name: str) -> str | None:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            module = importlib.import_module(name)
            body = pydoc.html.document(module, name)
    except (Exception, SystemExit):  # noqa: BLE001 a module for another system fails as it likes
        return None
    return _ADDRESS.sub("", pydoc.html.page(pydoc.describe(module), body))


def main() -> None:
    """Print all pages as JSON lines."""
    warnings.simplefilter("ignore")
    for name, html in pages():
        print(json.dumps({"name": name, "html": html}))


if __name__ == "__main__":
    main()
