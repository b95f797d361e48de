"""MLflow as the index of run folders: what is tracked is on disk first and copied after."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
