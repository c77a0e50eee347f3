"""Random numbers by seed and purpose.

Each purpose and each machine has a stream of its own, so machine 3 is the same machine in a fleet
of 5 and in a fleet of 5,000, and a new purpose does not disturb the others. numpy keeps the bit
streams but may change how a distribution uses them between releases: bytes are reproducible for
the pinned numpy.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    MACHINE = 1
    PRICES = 2
    WEATHER = 3
    VISITS = 4
    DEMAND = 5
    REFILLS = 6
    TELEMETRY = 7
    FAULTS = 8


def stream(seed: int, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """The stream of one purpose and one thing (a machine, a prefecture) of a fleet."""
    return np.random.default_rng([seed, int(purpose), index])
