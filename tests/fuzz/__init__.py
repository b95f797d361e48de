"""Hostile input of all kinds, made from seeds: a short part in `make test`, all by `make fuzz`."""
