"""Exact figures of raw scores and maps: numpy functions, and torchmetrics classes over them.

The functions need neither torch nor torchmetrics, and are loaded without them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
