"""What `python -m rdad.predict` does: images found, opened ahead, scored, written down."""
