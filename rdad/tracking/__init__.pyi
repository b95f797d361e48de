from .sweep import SweepRun as SweepRun
from .tags import source_tags as source_tags
from .tracker import MlflowTracker as MlflowTracker
