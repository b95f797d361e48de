"""Imported before commands are forked: what Hydra's parser learns at its first text is kept."""

from rdad import load_config

load_config("mode=multiply")
