"""Images and masks: where they lie, how they become pixels, how they reach the network."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
