"""What rdad adds to Hydra, where Hydra looks for it. Imported at each start, so nothing slow."""
