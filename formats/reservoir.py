"""A uniform sample of values that come in parts, when nobody knows how many there will be."""

import numpy as np
import torch
from torch import Tensor


class Reservoir:
    """Keeps ``cap`` of all values that were added, each equally likely, as float32.

    Each value has a random key, and those with the smallest stay. Keys are drawn only for the
    values whose key is below the largest that stays: there are fewer and fewer of them, so that
    the work for a value falls as more are added. The same seed and the same parts give the same
    sample on any device.
    """

    __slots__ = ("_cap", "_generator", "_keys", "_threshold", "_values", "count")

    def __init__(self, cap: int, seed: int) -> None:
        self._cap = cap
        self._generator = np.random.default_rng(seed)
        self._keys = np.empty(0)
        self._values = np.empty(0, dtype=np.float32)
        self._threshold = 1.0
        self.count = 0

    def add(self, values: Tensor) -> None:
        """Add values of any shape, floating-point dtype and device."""
        flat = values.detach().reshape(-1)
        count = len(flat)
        self.count += count
        if self._threshold == 1.0:
            kept, keys = flat, self._generator.random(count)
        else:
            below = int(self._generator.binomial(count, self._threshold))
            places = self._generator.choice(count, below, replace=False, shuffle=False)
            kept = flat[torch.from_numpy(places).to(flat.device)]
            keys = self._generator.random(below) * self._threshold
        self._keys = np.concatenate([self._keys, keys])
        self._values = np.concatenate([self._values, kept.float().cpu().numpy()])
        if len(self._keys) > self._cap:
            smallest = np.argpartition(self._keys, self._cap - 1)[: self._cap]
            self._keys, self._values = self._keys[smallest], self._values[smallest]
        if len(self._keys) == self._cap:
            self._threshold = float(self._keys.max())

    def sample(self) -> Tensor:
        """Return the sample, shape (at most ``cap``,), float32, in no order that means anything."""
        return torch.from_numpy(self._values.copy())
