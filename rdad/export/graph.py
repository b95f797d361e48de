"""The network with everything around it: pixels in, answers out."""

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from rdad.export.resize import resized_pixels, stretched_maps
from rdad.model.torch_model import ReverseDistillationModel

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from rdad.metrics.thresholds import Thresholds

RAW_OUTPUTS = ("score", "anomaly_map")
ALL_OUTPUTS = ("score", "normalised_score", "label", "anomaly_map")


class InspectionGraph(nn.Module):
    """What is exported.

    Called with images uint8 (B, H, W, 3), RGB, of any size, it gives in this order: `score` (B,),
    float32, raw, which `rdad.model.anomaly_map.image_scores` takes of the map at the network's
    size; `normalised_score` (B,), float32, in [0, 1], 0.5 at the threshold; `label` (B,), bool,
    True where defective; `anomaly_map` (B, H, W), float32, raw. The two in the middle are left out
    where there are no thresholds.

    Args:
        half: Keep and compute the convolutional parts in float16; all else stays in float32.

    Attributes:
        outputs: The names of what it gives.
    """

    def __init__(
        self,
        model: ReverseDistillationModel,
        thresholds: "Thresholds | None",
        *,
        half: bool = False,
    ) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
        self.dtype = torch.float16 if half else torch.float32
        for part in (self.model.encoder.network, self.model.bottleneck, self.model.decoder):
            part.to(self.dtype)
        self.threshold = None if thresholds is None else thresholds.image
        self.outputs = RAW_OUTPUTS if thresholds is None else ALL_OUTPUTS

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        pixels = resized_pixels(images, self.model.input_size)
        maps = self._maps(pixels)
        scores = self.model.anomaly_map.scores(maps)
        stretched = stretched_maps(maps, images.shape[1], images.shape[2])
        if self.threshold is None:
            return scores, stretched
        # as rdad.metrics.thresholds.Threshold.normalise
        ratios = self.threshold.value / scores.clamp_min(torch.finfo(torch.float32).tiny)
        normalised = 1 / (1 + ratios**self.threshold.steepness)
        return scores, normalised, scores > self.threshold.value, stretched

    def _maps(self, pixels: Tensor) -> Tensor:
        """Whole float32 pixels (B, 3, h, w) -> raw maps (B, h, w)."""
        normalised = self.model.encoder.normalise(pixels).to(self.dtype)
        encoder_features = self.model.encode(normalised)
        decoder_features = self.model.decode(encoder_features)
        return self.model.anomaly_map(decoder_features, encoder_features).squeeze(1)


def traced(graph: InspectionGraph) -> "ExportedProgram":
    """The graph free of our code, for any number of images of any size."""
    height, width = graph.model.input_size
    # an example unlike any other length in the network, so that none is taken for the same
    example = torch.zeros(2, height + 7, width + 11, 3, dtype=torch.uint8)
    names = enumerate(("batch", "height", "width"))
    lengths = {place: torch.export.Dim(name, min=1) for place, name in names}
    with torch.no_grad():
        program = torch.export.export(graph, (example,), dynamic_shapes=(lengths,))
    program.example_inputs = None
    graphs = [one.graph for one in program.graph_module.modules() if isinstance(one, GraphModule)]
    for node in (node for one in graphs for node in one.nodes):  # where in our files it came from
        for origin in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
            node.meta.pop(origin, None)
    return program
