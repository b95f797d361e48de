"""The whole network: which it is for which layers, and how it is called."""

import logging

import pytest
import torch
from small_networks import (
    LAYERS,
    SIZE,
    SUBSETS,
    assert_same,
    feature_maps,
    pixels,
    snapshot,
    untrained,
)

from rdad.model.loss import ReverseDistillationLoss
from rdad.model.torch_model import ReverseDistillationModel


@pytest.mark.parametrize("layers", SUBSETS, ids="+".join)
def test_network_of_any_layers_trains_all_it_has_and_scores(layers: tuple[str, ...]):
    model = untrained(layers=layers).train()
    encoded, decoded = model(pixels())
    sides = {"layer1": (64, 16), "layer2": (128, 8), "layer3": (256, 4)}
    expected = [(2, sides[layer][0], sides[layer][1], sides[layer][1]) for layer in layers]
    assert [tuple(feature.shape) for feature in encoded] == expected
    assert [tuple(feature.shape) for feature in decoded] == expected
    ReverseDistillationLoss()(encoded, decoded).backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert {name.split(".")[0] for name in trained} == {"bottleneck", "decoder"}
    assert not [name for name, p in trained.items() if p.grad is None]
    assert all(p.grad.isfinite().all() and p.grad.any() for p in trained.values())
    maps = model.eval()(pixels())
    assert maps.shape == (2, 1, *SIZE) and maps.isfinite().all()


@pytest.mark.parametrize("backbone", ["resnet50", "efficientnet_lite0", "mobilenetv3_small_100"])
def test_network_of_any_backbone_trains_all_it_has(backbone: str):
    model = untrained(backbone, layers=("layer1", "layer3")).train()
    ReverseDistillationLoss()(*model(pixels())).backward()
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle


def test_layers_change_the_network_that_is_built():
    with torch.device("meta"):
        shapes = {
            frozenset(
                (name, tensor.shape)
                for name, tensor in untrained(layers=layers).state_dict().items()
            )
            for layers in SUBSETS
        }
    assert len(shapes) == len(SUBSETS)


def test_order_and_duplicates_of_layers_do_not_change_the_network():
    expected = snapshot(untrained(layers=["layer1", "layer3"]))
    assert_same(snapshot(untrained(layers=["layer3", "layer1", "layer3"])), expected)


@pytest.mark.parametrize(
    ("backbone", "millions"),
    [("wide_resnet50_2", (24.86, 58.89, 24.92)), ("resnet18", (2.78, 11.68, 3.70))],
)
def test_network_of_all_layers_has_the_papers_numbers_of_parameters(
    backbone: str, millions: tuple[float, float, float]
):
    with torch.device("meta"):
        model = untrained(backbone, (256, 256))
    parts = (model.encoder, model.bottleneck, model.decoder)
    found = [sum(p.numel() for p in part.parameters()) / 1e6 for part in parts]
    assert found == pytest.approx(millions, abs=0.005)


def test_embedding_of_the_paper_is_half_the_deepest_resolution_and_as_wide_as_layer4():
    with torch.device("meta"):
        model = untrained("wide_resnet50_2", (256, 256))
        embedding = model.bottleneck(model.encode(torch.zeros(1, 3, 256, 256)))
    assert embedding.shape == (1, 2048, 8, 8)


def test_decoder_mirrors_the_encoders_blocks_from_the_embedding_outwards():
    with torch.device("meta"):
        stages = untrained("wide_resnet50_2", (256, 256)).decoder.stages
    assert {name: len(stage) for name, stage in stages.items()} == {
        "layer3": 3,
        "layer2": 4,
        "layer1": 6,
    }


def test_images_need_not_be_square():
    model = untrained(size=(64, 96))
    assert model.eval()(pixels(size=(64, 96))).shape == (2, 1, 64, 96)
    encoded, decoded = model.train()(pixels(size=(64, 96)))
    assert [tuple(x.shape[2:]) for x in encoded] == [(16, 24), (8, 12), (4, 6)]
    assert [x.shape for x in encoded] == [x.shape for x in decoded]


@pytest.mark.parametrize(
    ("size", "layers", "message"),
    [
        ((250, 256), LAYERS, r"250x256 .*multiples of 32; the nearest size is \[256,256\]"),
        ((64, 8), ("layer2",), r"64x8 .*multiples of 16; the nearest size is \[64,16\]"),
        ((60, 68), ("layer1",), r"60x68 .*multiples of 8; the nearest size is \[64,64\]"),
        ((0, 64), LAYERS, r"0x64 .*the nearest size is \[32,64\]"),
        ((-64, 64), LAYERS, r"-64x64 .*the nearest size is \[32,64\]"),
        ((64,), LAYERS, r"must be \(height, width\); found \[64\]"),
    ],
)
def test_size_that_does_not_fit_is_refused_with_the_nearest_that_does(size, layers, message):
    with pytest.raises(ValueError, match=message):
        untrained(size=size, layers=layers)


def test_network_without_deep_layers_takes_sizes_that_a_deep_one_refuses():
    assert untrained(size=(40, 72), layers=["layer1"]).eval()(pixels(1, (40, 72))).isfinite().all()


@pytest.mark.parametrize("layers", [[], ["layer4"], ["layer1", "layer5"], "layer0", ["Layer1"]])
def test_layers_that_are_not_offered_are_refused_with_those_that_are(layers):
    with pytest.raises(ValueError, match="one or more of layer1, layer2, layer3; found"):
        untrained(layers=layers)


def test_unknown_backbone_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match=r"resnet18, .*efficientnet_lite0.*found 'resnet_18'"):
        untrained("resnet_18")


@pytest.mark.parametrize("mode", ["sum", "Add", "", None])
def test_unknown_mode_is_refused_with_those_that_are_known(mode):
    with pytest.raises(ValueError, match=f"add or multiply; found {mode!r}"):
        untrained(mode=mode)


def test_training_mode_gives_two_lists_and_evaluation_mode_maps():
    model = untrained()
    encoded, decoded = model.train()(pixels())
    assert isinstance(encoded, list) and isinstance(decoded, list)
    maps = model.eval()(pixels())
    assert maps.shape == (2, 1, *SIZE) and maps.dtype == torch.float32
    assert (maps >= -1e-6).all()


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
def test_pixels_and_normalised_images_give_the_same_maps(backbone: str):
    model = untrained(backbone).eval()
    assert torch.equal(model(pixels()), model(model.encoder.normalise(pixels())))


def test_map_of_an_image_does_not_depend_on_its_batch():
    model = untrained().eval()
    with torch.no_grad():
        together = model(pixels(4))
        reversed_order = model(pixels(4).flip(0)).flip(0)
        alone = torch.cat([model(image[None]) for image in pixels(4)])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-5)
    torch.testing.assert_close(reversed_order, together, rtol=0, atol=1e-5)


def test_memory_layout_of_images_does_not_change_the_maps():
    model = untrained().eval()
    (images,) = feature_maps((2, 3, *SIZE))
    channels_last = images.to(memory_format=torch.channels_last)
    assert torch.equal(model(images), model(channels_last))


def test_mode_does_not_change_the_trained_weights():
    weights = []
    for mode in ("add", "multiply"):
        model = untrained(mode=mode).train()
        optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.005)
        for step in range(2):
            optimiser.zero_grad()
            ReverseDistillationLoss()(*model(pixels(seed=step))).backward()
            optimiser.step()
        weights.append(snapshot(model))
    assert_same(*weights)


def test_maps_of_both_modes_are_joined_from_the_same_layer_maps():
    model, image = untrained().eval(), pixels(1)
    encoded = model.encode(image)
    decoded = model.decode(encoded)
    layers = model.anomaly_map.layer_maps(decoded, encoded)
    torch.testing.assert_close(model(image), model.anomaly_map.blur(layers.sum(0)))
    multiplied = untrained(mode="multiply").eval()
    torch.testing.assert_close(multiplied(image), multiplied.anomaly_map.blur(layers.prod(0)))


def test_weights_are_not_read_for_an_untrained_network(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, logger="rdad"):
        ReverseDistillationModel("resnet18", SIZE, LAYERS, "add", False, "nowhere.pth")
    assert "untrained" in caplog.text


def test_trained_convolutions_start_kaiming_normal_and_transposed_ones_at_torchs_default():
    model = untrained()
    conv = model.bottleneck.embed[0].conv1.weight  # (512, 768, 3, 3)
    assert conv.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.02)
    transposed = model.decoder.stages["layer3"][0].conv1.weight  # (512, 256, 2, 2)
    bound = (256 * 4) ** -0.5
    assert transposed.abs().max().item() == pytest.approx(bound, rel=0.02)
    assert transposed.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


@pytest.mark.parametrize("size", [(32, 32), (32, 96)])
def test_smallest_images_score(size: tuple[int, int]):
    assert untrained(size=size).eval()(pixels(1, size)).isfinite().all()


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
def test_images_encoded_in_parts_give_the_same_features(
    backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = untrained(backbone).eval()
    whole = network.encode(pixels(7))
    monkeypatch.setattr("rdad.model.torch_model.PIXELS_AT_ONCE", 3 * SIZE[0] * SIZE[1])
    in_parts = network.encode(pixels(7))
    for a, b in zip(whole, in_parts, strict=True):
        assert (a - b).abs().max() < 1e-4 * a.std()  # fewer pixels may take other kernels
        assert b.is_contiguous(memory_format=torch.channels_last)


def test_a_network_without_noise_draws_nothing():
    model, before = untrained().train(), torch.get_rng_state()
    model.decode(model.encode(pixels()))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("noise", ["dropout", "feature_jitter"])
def test_noise_in_the_bottleneck_is_of_training_alone(noise: str):
    plain, noisy = untrained(), untrained()
    setattr(noisy.bottleneck, noise, 0.3)
    assert noisy.bottleneck.is_noisy and not plain.bottleneck.is_noisy
    features = plain.encode(pixels())
    assert torch.equal(noisy.eval().bottleneck(features), plain.eval().bottleneck(features))
    once, again = (noisy.train().bottleneck(features) for _ in range(2))
    assert not torch.equal(once, again)
    assert noisy.state_dict().keys() == plain.state_dict().keys()


def test_dropout_leaves_out_its_share_of_the_fused_features_and_strengthens_the_rest():
    bottleneck = untrained().bottleneck.train()
    bottleneck.dropout = 0.25
    seen: list[torch.Tensor] = []
    bottleneck.embed.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    features = feature_maps((2, 64, 16, 16), (2, 128, 8, 8), (2, 256, 4, 4))
    bottleneck(features)
    bottleneck.dropout = 0
    bottleneck(features)
    found, whole = seen
    kept = (found != 0) & (whole != 0)
    assert kept.sum() / (whole != 0).sum() == pytest.approx(0.75, abs=0.03)
    torch.testing.assert_close(found[kept], whole[kept] / 0.75)


def test_jitter_is_its_share_of_each_places_length_and_leaves_the_teacher_alone():
    model = untrained().train()
    model.bottleneck.feature_jitter = 0.5
    (feature,) = feature_maps((2, 400, 8, 8))
    feature = feature * torch.arange(1, 9).float()  # places of several lengths
    before = feature.clone()
    noise = model.bottleneck._jittered(feature) - feature
    assert torch.equal(feature, before)
    shares = noise.norm(dim=1) / feature.norm(dim=1)
    assert shares.mean().item() == pytest.approx(0.5, rel=0.01)
    assert shares.min() > 0.4 and shares.max() < 0.6
