"""Bringing a data set into place: `prepare` adopts, unpacks (`unpack`) or downloads (`download`) it."""
