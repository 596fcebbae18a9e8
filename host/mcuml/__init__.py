"""mcuml: a trained network to C for a microcontroller, and the truth about it there."""

__version__ = "0.1.0"
