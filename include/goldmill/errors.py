"""The base of Goldmill's errors."""

from __future__ import annotations


class GoldmillError(Exception):
    """An error for people: the message names the object, the field and the remedy."""
