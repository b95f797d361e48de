"""python -m rdad.benchmark: where time and memory go on this machine, beside a plain program."""
