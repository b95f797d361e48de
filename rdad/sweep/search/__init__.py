"""Search for good settings with Optuna: what may vary, and the study that proposes it."""
