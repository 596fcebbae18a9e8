"""Links to a device: one interface, whatever is behind it."""
