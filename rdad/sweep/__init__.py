"""Jobs side by side: how they are named, compared, reported and searched."""
