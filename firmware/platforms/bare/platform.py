"""mcuml's own PlatformIO platform: no packages and no boards of its own; platformio.ini tells all there is to know."""

from platformio.public import PlatformBase


class McumlbarePlatform(PlatformBase):
    """PlatformIO derives this class's name from the platform's."""
