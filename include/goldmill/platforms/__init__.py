"""Where things run: one file a platform, all behind one protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldmill.errors import GoldmillError
from goldmill.settings import Settings

if TYPE_CHECKING:
    from goldmill.platforms.protocol import Platform


class UnknownPlatform(GoldmillError):
    """The settings name a platform that there is none of."""


def platform() -> Platform:
    """The platform that the settings name.

    Raises:
        UnknownPlatform: names the platforms that there are.
    """
    settings = Settings.load()
    # Imported on demand: a platform's file imports its cloud's SDK, which other platforms do not have.
    if settings.platform == "local":
        from goldmill.platforms.local import LocalPlatform

        return LocalPlatform(settings)
    raise UnknownPlatform(f"setting `platform` is {settings.platform!r}; known are: local")
