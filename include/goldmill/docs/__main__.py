"""Write the generated pages, or check that they are up to date.

python -m goldmill.docs                 # write into docs/
python -m goldmill.docs --check         # exit 1 where a page differs from what the code says
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from goldmill.docs.pages import outdated, write

_BUNDLE = Path(__file__).resolve().parents[3]


def main() -> int:
    """Write the pages, or with ``--check`` name those that would change; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m goldmill.docs", description="Write the generated pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page would change")
    check: bool = parser.parse_args().check
    if not check:
        write(_BUNDLE)
        return 0
    names = outdated(_BUNDLE)
    if names:
        sys.stderr.write(f"not what the code says: {', '.join(names)}; run `make docs` and commit the result\n")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
