"""Anomaly detection by Reverse Distillation."""
