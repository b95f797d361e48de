"""The only wiring: in what order a run, and an evaluation of one, are made of their parts."""
