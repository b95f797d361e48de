"""Which layers exist, how they lie on the image, and what sizes fit. Imports nothing slow."""

from collections.abc import Sequence

from rdad.data.tiling import LARGEST_SIDE

LAYERS = ("layer1", "layer2", "layer3")
STRIDES = {"layer1": 4, "layer2": 8, "layer3": 16}


def number(layer: str) -> int:
    """1, 2 or 3."""
    return LAYERS.index(layer) + 1


def checked_layers(layers: Sequence[str]) -> tuple[str, ...]:
    """The named layers, each once, shallowest first.

    Raises:
        ValueError: no layer is named, or one that is not among layer1, layer2, layer3.
    """
    if isinstance(layers, str):
        layers = [layers]
    unknown = [layer for layer in layers if layer not in LAYERS]
    if unknown or not layers:
        found = f"found {list(layers)}" if layers else "found none"
        raise ValueError(f"layers must name one or more of {', '.join(LAYERS)}; {found}")
    return tuple(layer for layer in LAYERS if layer in layers)


def checked_input_size(input_size: Sequence[int], layers: Sequence[str]) -> tuple[int, int]:
    """(height, width), if the network for these layers can take it.

    Raises:
        ValueError: the size is no pair of positive multiples of twice the deepest layer's stride,
            or one of which nothing has the memory.
    """
    step = 2 * STRIDES[checked_layers(layers)[-1]]
    size = tuple(int(side) for side in input_size)
    if len(size) != 2:
        raise ValueError(f"image size must be (height, width); found {list(size)}")
    if max(size) > LARGEST_SIDE:
        raise ValueError(f"image size is {list(size)}; allowed: {LARGEST_SIDE} a side at most")
    nearest = tuple(max(step, round(side / step) * step) for side in size)
    if size != nearest:
        raise ValueError(
            f"image size {size[0]}x{size[1]} does not fit the network: with layers "
            f"{', '.join(layers)} height and width must be multiples of {step}; "
            f"the nearest size is [{nearest[0]},{nearest[1]}]"
        )
    return size[0], size[1]


def check_batches(
    count: int, batch_size: int, input_size: Sequence[int], layers: Sequence[str]
) -> None:
    """Whether a training on `count` images can be, where the embedding of each is 1×1.

    Batch norms have nothing to normalise then in a batch of one image, as the last may be.

    Raises:
        ValueError: it cannot; names the batch size next to `batch_size` with which it can.
    """
    step = 2 * STRIDES[checked_layers(layers)[-1]]
    if tuple(input_size) != (step, step) or (count - 1) % batch_size:
        return
    fitting = [size for size in range(2, count + 1) if (count - 1) % size]
    remedy = "give more images"
    if fitting:
        remedy = f"take batch_size={min(fitting, key=lambda size: abs(size - batch_size))}"
    raise ValueError(
        f"batch_size={batch_size} leaves one of {count} training images alone in a batch, and at "
        f"{step}x{step} the network's batch norms need two; {remedy}, or a larger image_size"
    )
