"""Anomaly detection by Reverse Distillation: the network, its data, and experiments with it.

Public names stand in `__init__.pyi`, and are loaded when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
