"""How Great Expectations draws its pages here: without the style sheets, scripts and images it would fetch.

Named in the configuration of :mod:`goldmill.gates.engine`, and imported by Great Expectations only.
"""

from __future__ import annotations

from typing import Any

from great_expectations.render.view.view import (  # noqa: TID253 - only Great Expectations imports this module
    DefaultJinjaIndexPageView,
    DefaultJinjaPageView,
    DefaultJinjaView,
)
from jinja2 import ChoiceLoader

from goldmill.gates.docs import TEMPLATES


def _prefer_our_templates(view: DefaultJinjaView) -> None:
    theirs = view.env.loader
    assert theirs is not None  # set by the base class
    view.env.loader = ChoiceLoader([TEMPLATES, theirs])


class GatePage(DefaultJinjaPageView):
    """A page of a suite or of a validation, from our ``page.j2`` and Great Expectations' parts of pages."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        _prefer_our_templates(self)


class GateIndexPage(DefaultJinjaIndexPageView):
    """The index of a site, which leads to the gate's own page."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        _prefer_our_templates(self)
