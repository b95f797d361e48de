"""What a test leaves: metrics, maps, pictures, curves, the report."""
