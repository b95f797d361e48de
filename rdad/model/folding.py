"""Batch norms as part of the convolutions before them."""

import copy
from itertools import chain, pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

Module = TypeVar("Module", bound=nn.Module)


def shallow_copy(module: Module) -> Module:
    """Modules of its own around the same parameters and buffers."""
    tensors = chain(module.parameters(), module.buffers())
    return copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})


def fold_batch_norms(network: nn.Module) -> None:
    """Give convolutions new weights and take out the batch norms behind them, in place.

    Only right for inference, and where a batch norm is registered right behind the convolution
    that it follows, as in ResNets and in our blocks.
    """
    for module in network.modules():
        for (_, conv), (name, norm) in pairwise(list(module.named_children())):
            is_conv = isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
            if is_conv and isinstance(norm, nn.BatchNorm2d):
                _fold(norm, conv)
                setattr(module, name, nn.Identity())


def _fold(norm: nn.BatchNorm2d, conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        mean,
        variance,
        norm.eps,
        norm.weight,
        norm.bias,
        transpose=isinstance(conv, nn.ConvTranspose2d),
    )
