"""Boards on serial ports: which ports there are, the link over one, what is wrong with one. The only users of pyserial."""
