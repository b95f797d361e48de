"""What the parts of a network and of its training are called. Imports nothing slow."""

from typing import Literal

Mode = Literal["add", "multiply"]
LossName = Literal[
    "global_cosine",
    "local_cosine",
    "hard_mining",
    "loose",
    "hard_mining_chained",
    "loose_chained",
]
OptimizerName = Literal["adam", "adamw", "stable_adamw"]
ScheduleName = Literal["constant", "cosine", "step"]
