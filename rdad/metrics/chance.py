"""What an AUROC reaches by chance alone: the one home of that arithmetic."""

import math
from collections.abc import Sequence

ONE_IN_FORTY = 1.96  # standard deviations that chance exceeds upwards so rarely


def chance_auroc(counts: Sequence[tuple[int, int]]) -> float:
    """What scores that tell nothing exceed in one test of forty; above 1 where any AUROC does.

    Without ties; those make it less, so that nothing is called better than chance for them.

    Args:
        counts: Of defective and of good images; of several categories, whose AUROCs' mean it is.

    Returns:
        nan where a category has no image of one kind.

    Source: the variance of U, Mann & Whitney, Annals of Mathematical Statistics 18 (1947).
    """
    if not counts or any(0 in pair for pair in counts):
        return math.nan
    variances = [(bad + good + 1) / (12 * bad * good) for bad, good in counts]
    return 0.5 + ONE_IN_FORTY * math.sqrt(sum(variances)) / len(counts)
