"""The host's end of MLPerf Tiny: the official procedure on any device that speaks its protocol, and the session folder."""
