"""Goldmill mills raw data into versioned gold training data."""

__version__ = "0.1.0"
