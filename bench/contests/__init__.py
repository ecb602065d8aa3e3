"""The contests of ``bench/contest.py``: one module a stage.

A module is read in every environment, so its heavy imports are in functions. It says what is measured and who takes
part:

  STAGE        name of the stage, which is the module's
  CORPUS       "text", "html" or "labelled": what ``bench/corpora.py`` made
  UNIT         "MB/s/core" or "docs/s/core"
  BARS         peer -> how many times faster than it ours has to be; a peer without a bar is left out
  CONTESTANTS  name -> Contestant; the first is ours
  judge        optional: results of all workers by contestant -> figures of quality by contestant
  SIZES        optional: megabytes that a recorded run takes, smallest first, in place of the whole corpus; then BARS
               has "peer@megabytes" for a bar that counts for one size alone
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

Document = dict[str, Any]
Result = dict[str, Any]
Run = Callable[[], Result | Callable[[], Result]]
# Cores that each contestant may use.
CORES = 2


@dataclass(frozen=True)
class Contestant:
    """One that takes part in a contest.

    Attributes:
        environment: directory of the virtual environment that it runs in.
        prepare: gets a worker's documents; imports, loads models, warms up, brings the documents into its own form;
            returns what is put on the clock. That returns figures that JSON can hold, or a function that makes them
            when the clock is off: at least ``rows``, the documents or rows that came out, so that silent success shows;
            the others go to ``judge``.
        workers: processes; the documents are dealt to them. One that spreads its work over cores itself takes 1.
        packages: distributions whose versions are published with its figures.
    """

    environment: str
    prepare: Callable[[Sequence[Document]], Run]
    workers: int = CORES
    packages: tuple[str, ...] = ()


def stages() -> list[str]:
    """Names of all contests, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def contest(stage: str) -> ModuleType:
    """The module of a contest."""
    return importlib.import_module(f"{__name__}.{stage}")
