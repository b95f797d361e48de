"""16-bit grey that uses fewer bits."""

import numpy as np
import pytest

from rdad.data.depth import bits_used, upper_byte


@pytest.mark.parametrize(
    ("brightest", "bits"),
    [
        ([], 16),
        ([200, 90], 8),
        ([256], 10),
        ([1023, 4], 10),
        ([1024], 12),
        ([4095], 12),
        ([4096], 14),
        ([16383], 14),
        ([200, 16384], 16),
        ([65535], 16),
    ],
)
def test_as_many_bits_are_used_as_the_brightest_needs(brightest: list[int], bits: int) -> None:
    assert bits_used(brightest) == bits


def test_of_16_bits_the_high_byte_is_taken_and_of_12_the_upper_8() -> None:
    values = np.array([0, 15, 16, 255, 256, 4095], np.uint16)
    assert upper_byte(values).tolist() == [0, 0, 0, 0, 1, 15]
    assert upper_byte(values, 12).tolist() == [0, 0, 1, 15, 16, 255]
    assert upper_byte(values[:4], 8).tolist() == [0, 15, 16, 255]


def test_values_that_need_more_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="pixels from 7 to 4096, more than 12 bits, as dataset"):
        upper_byte(np.array([7, 4096], np.uint16), 12)
    with pytest.raises(ValueError, match="pixels from -1 to 3, more than 16 bits hold"):
        upper_byte(np.array([-1, 3], np.int32))
