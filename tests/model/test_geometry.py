"""Which sizes and batches a network can be trained on, known without it."""

import pytest

from rdad.model.geometry import LAYERS, check_batches, checked_input_size


@pytest.mark.parametrize(
    ("count", "batch_size", "instead"),
    [(5, 4, "take batch_size=3"), (5, 1, "take batch_size=3"), (1, 4, "give more images")],
)
def test_an_image_alone_in_a_batch_is_refused_where_its_embedding_is_one_place(
    count: int, batch_size: int, instead: str
) -> None:
    with pytest.raises(
        ValueError, match=f"batch_size={batch_size} leaves one of {count}.*{instead}"
    ):
        check_batches(count, batch_size, (32, 32), LAYERS)
    check_batches(count, batch_size, (32, 64), LAYERS)
    check_batches(count, batch_size, (32, 32), ["layer2"])


@pytest.mark.parametrize(("count", "batch_size"), [(5, 3), (5, 5), (5, 9), (2, 2), (64, 16)])
def test_other_batches_pass(count: int, batch_size: int) -> None:
    check_batches(count, batch_size, (32, 32), LAYERS)


def test_a_size_that_no_machine_has_the_memory_for_is_refused() -> None:
    with pytest.raises(ValueError, match="16384 a side at most"):
        checked_input_size((1_000_000, 32), LAYERS)
