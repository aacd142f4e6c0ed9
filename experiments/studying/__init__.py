"""Studies: the networks of a sweep compared with recordings, in every way that a sceptic asks for."""
