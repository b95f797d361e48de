"""A trained network as one graph from pixels to answers, in files that other programs run."""
