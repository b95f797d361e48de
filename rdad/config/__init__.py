"""Composing and checking: what may be set, how it is spelled, and what it builds."""
