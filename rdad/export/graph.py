"""The network with everything around it: pixels in, answers out."""

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from rdad.data.framing import PADDING, WHOLE, Framing, between, content_sides, edges_of
from rdad.data.tiling import Size
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
        framing: How images come to the network's size, and what of them is looked at; not by a
            mask of each.
        half: Keep and compute the convolutional parts in float16; all else stays in float32.

    Attributes:
        outputs: The names of what it gives.
    """

    def __init__(
        self,
        model: ReverseDistillationModel,
        thresholds: "Thresholds | None",
        framing: Framing = WHOLE,
        *,
        half: bool = False,
    ) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
        self.dtype = torch.float16 if half else torch.float32
        for part in (self.model.encoder.network, self.model.bottleneck, self.model.decoder):
            part.to(self.dtype)
        self.threshold = None if thresholds is None else thresholds.image
        self.framing = framing
        drawn = None if framing.mask is None else framing.drawn(self.model.input_size)
        self.drawn = None if drawn is None else torch.from_numpy(drawn)
        self.outputs = RAW_OUTPUTS if thresholds is None else ALL_OUTPUTS

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        size = images.shape[1], images.shape[2]
        sides = valid = None
        if self.framing.letterbox:
            around = {"least": torch.sym_min, "most": torch.sym_max}
            sides = content_sides(size, self.model.input_size, **around)
        if self.framing != WHOLE:
            valid = self._valid(size, sides or self.model.input_size)
        maps = self._maps(self._pixels(images, sides), valid)
        scores = self.model.anomaly_map.scores(maps, None if valid is None else valid[:, 0])
        stretched = stretched_maps(maps, *size, sides)
        if self.threshold is None:
            return scores, stretched
        # as rdad.metrics.thresholds.Threshold.normalise
        ratios = self.threshold.value / scores.clamp_min(torch.finfo(torch.float32).tiny)
        normalised = 1 / (1 + ratios**self.threshold.steepness)
        defective = ~(scores <= self.threshold.value)  # also where a score is no number
        return scores, normalised, defective, stretched

    def _pixels(self, images: Tensor, sides: Size | None) -> Tensor:
        """Whole float32 pixels (B, 3, h, w), as `Framing.fit_image`; `sides` where letterboxed."""
        pixels = resized_pixels(images, self.model.input_size, sides)
        if sides is None:
            return pixels
        inside = []
        for dim, (length, side) in enumerate(zip(self.model.input_size, sides, strict=True), 2):
            places = _places(length, side)
            pixels = pixels.index_select(dim, places.clamp(0, length - 1))
            inside.append((places >= 0) & (places < side))
        padding = torch.tensor(PADDING, dtype=pixels.dtype)[:, None, None]
        return torch.where(inside[0][:, None] & inside[1], pixels, padding)

    def _valid(self, size: Size, sides: Size) -> Tensor:
        """(1, 1, h, w), as `Framing.valid` of an image of that size that lies on those sides."""
        inside, rectangle = [], self.framing.rectangle
        for axis, (length, side) in enumerate(zip(self.model.input_size, sides, strict=True)):
            places = _places(length, side)
            inside.append((places >= 0) & (places < side))
            if rectangle is not None:
                edges, units = edges_of(rectangle, size)
                inside[axis] &= between(places, side, units[axis], edges[axis::2])
        valid = inside[0][:, None] & inside[1]
        if self.drawn is not None:
            valid = valid & self.drawn
        return valid[None, None]

    def _maps(self, pixels: Tensor, valid: Tensor | None) -> Tensor:
        """Whole float32 pixels (B, 3, h, w) -> raw maps (B, h, w)."""
        normalised = self.model.encoder.normalise(pixels).to(self.dtype)
        encoder_features = self.model.encode(normalised)
        decoder_features = self.model.decode(encoder_features)
        return self.model.anomaly_map(decoder_features, encoder_features, valid).squeeze(1)


def _places(length: int, side: int) -> Tensor:
    """Rows (length,) numbered from the first of so many in the middle."""
    return torch.arange(length) - (length - side) // 2


def traced(graph: InspectionGraph) -> "ExportedProgram":
    """The graph free of our code, for any number of images: of any size, or of their mask's."""
    height, width = graph.model.input_size
    # an example unlike any other length in the network, so that none is taken for the same
    size = graph.framing.mask_size or (height + 7, width + 11)
    example = torch.zeros(2, *size, 3, dtype=torch.uint8)
    names = enumerate(("batch",) if graph.framing.mask_size else ("batch", "height", "width"))
    lengths = {place: torch.export.Dim(name, min=1) for place, name in names}
    with torch.no_grad():
        program = torch.export.export(graph, (example,), dynamic_shapes=(lengths,))
    program.example_inputs = None
    graphs = [one.graph for one in program.graph_module.modules() if isinstance(one, GraphModule)]
    for node in (node for one in graphs for node in one.nodes):  # where in our files it came from
        for origin in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
            node.meta.pop(origin, None)
    return program
