"""A trained network: images in, scores, maps and verdicts out."""
