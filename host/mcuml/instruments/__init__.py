"""Instruments that measure energy, behind one interface."""
