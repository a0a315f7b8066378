"""The error of levels under absmax scales for a distribution, by integration and without samples.

A block has B independent elements with the density f. Its largest magnitude M has the distribution
function F(m)^B, where F(m) = P(|X| ≤ m). Given M = m, one element is ±m, and the others follow f
cut off at ±m. With absmax scales the levels are m·c_k, c_k being a level ÷ the largest level, and
cell k holds m·a_k < x ≤ m·b_k, so that the noise of the others is, cell by cell,

    (S2(ma) − S2(mb) − 2·m·c·(S1(ma) − S1(mb)) + m²·c²·(S0(ma) − S0(mb))) ÷ F(m)

with the partial moments of :mod:`.density`. What is left is one integral over M. In Gumbel's
variable w = −log(−B·log F(M)), in which every such maximum has the density exp(−w − e^(−w)), the
integrand is smooth, and panels of Gauss-Legendre nodes converge fast. E[M²], whose integrand falls
slowly for heavy tails, comes as B·(E[X²] − E[X²·(1 − F(|X|)^(B−1))]).

Each figure is computed with 16 and with 8 nodes a panel; the difference is the stated error.
"""

import math
from dataclasses import dataclass

import numpy as np

from .density import Array, Density, density_of
from .distribution import Distribution
from .errors import UsageError
from .exact import shown
from .weighted_cells import CellMoments, middles

FINE, COARSE = 16, 8
_LAST = 60.0  # of w: what lies beyond has a probability of 1e-26
_CORE = 8.0
_TAIL_PANELS = 12
MAX_BLOCK = 2**32


@dataclass(frozen=True, kw_only=True, slots=True)
class Integral:
    """A figure by numerical integration, and how far the coarser rule is from it."""

    value: float
    error: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cells:
    """Cells of y = x ÷ the block's largest magnitude, from −1 to 1, by both rules.

    ``moments`` are weighted by the largest magnitude's square, so that errors in y are errors in x,
    a mean over elements; ``shares`` are probabilities. Extremes at −1 and 1 are in the outer cells.
    The pairs are the finer and the coarser rule's.
    """

    moments: tuple[CellMoments, CellMoments]
    shares: tuple[Array, Array]


class BlockTheory:
    """A distribution in blocks with absmax scales.

    ``signed`` scales turn each block so that its extreme is at +1; levels must then be given with
    their larger side positive. Raises :class:`UsageError` for a block that is no positive integer.
    """

    def __init__(self, distribution: Distribution, *, block: int, signed: bool = False) -> None:
        if isinstance(block, bool) or not isinstance(block, int) or not 1 <= block <= MAX_BLOCK:
            raise UsageError(
                f"The block is {shown(block)}; it must be an integer from 1 to {MAX_BLOCK}."
            )
        self.distribution = distribution
        self.block = block
        self.signed = signed
        self._density = density_of(distribution)
        self._nodes, self._weights = _gumbel_rules(block)
        self._largest = self._density.magnitude(-np.expm1(-np.exp(-self._nodes) / block))
        self._ends = self._density.tails(self._largest)
        whole = self._density.tails(np.zeros(1))[0] * 2
        self._inside = whole - 2 * self._ends[0]
        self.square_of_largest = _square_of_largest(self._density, block)

    @property
    def signal(self) -> float:
        """E[X²]."""
        return self._density.variance

    def cells(self, bounds: Array, *, extremes: bool = True) -> Cells:
        """Return the cells between ascending ``bounds`` inside (−1, 1), shape (cells − 1,).

        Without ``extremes`` the blocks' largest elements are left out.
        """
        edges = np.concatenate([[-1.0], bounds, [1.0]])
        distances, index = np.unique(np.append(np.abs(edges), 0.0), return_inverse=True)
        tails = self._tails(distances)[:, index]
        tails, at_zero = tails[:, :-1], tails[:, -1:]
        # The part of each cell above zero, and the mirrored part below.
        upper = np.where(edges[:, None] >= 0, tails, at_zero)
        lower = np.where(edges[:, None] <= 0, tails, at_zero)
        right = upper[:, :-1] - upper[:, 1:]
        left = lower[:, 1:] - lower[:, :-1]
        parity = np.array([1.0, -1.0, 1.0, 1.0])[:, None, None]
        inner = right + parity * left
        if extremes:
            self._add_extremes(inner)
        pairs = [
            CellMoments(weight=inner[0, :, rule], first=inner[1, :, rule], second=inner[2, :, rule])
            for rule in (0, 1)
        ]
        return Cells(moments=(pairs[0], pairs[1]), shares=(inner[3, :, 0], inner[3, :, 1]))

    def noise(self, levels: Array) -> Integral:
        """Return E[(x − q(x))²], of ascending levels ÷ the largest, of shape (levels,)."""
        return self.assess(levels)[0]

    def assess(self, levels: Array) -> tuple[Integral, Array]:
        """Return :meth:`noise`, and how often each level is used, of shape (levels,)."""
        cells = self.cells(np.clip(middles(levels), -1, 1))
        fine, coarse = (float(part.errors(levels).sum()) for part in cells.moments)
        noise = Integral(value=max(fine, 0.0), error=abs(fine - coarse))
        return noise, cells.shares[0].clip(min=0)

    def _add_extremes(self, inner: Array) -> None:
        """Add each block's largest element to the outer cells, of shape (4, cells, 2)."""
        low, high = (0.0, 1.0) if self.signed else (0.5, 0.5)
        for rule, square in enumerate((self.square_of_largest.value, self._coarse_square)):
            part = square / self.block
            inner[:3, 0, rule] += low * part * np.array([1, -1, 1])
            inner[:3, -1, rule] += high * part
        inner[3, 0] += low / self.block
        inner[3, -1] += high / self.block

    @property
    def _coarse_square(self) -> float:
        return self.square_of_largest.value + self.square_of_largest.error

    def _tails(self, distances: Array) -> Array:
        """Return Σw, Σwy, Σwy² and the share of y beyond each distance, of the inner elements.

        Shape (4, distances, 2), the last axis being the two rules.
        """
        m = self._largest
        others = (self.block - 1) / self.block / self._inside
        beyond = self._density.tails(distances[:, None] * m)
        zeroth, first, second = (part - end for part, end in zip(beyond, self._ends, strict=True))
        weights = self._weights.T
        tails = np.stack(
            [
                (zeroth * (m * m * others)) @ weights,
                (first * (m * others)) @ weights,
                (second * others) @ weights,
                (zeroth * others) @ weights,
            ]
        )
        # Blocks beyond the last node: next to their largest everything else is as good as 0.
        rest = self._density.tails(np.array([m.max()]))[2][0]
        tails[0, distances == 0] += (self.block - 1) * rest
        return tails


def _gumbel_rules(block: int, core: float = _CORE) -> tuple[Array, Array]:
    """Return all nodes in w, shape (nodes,), and each rule's weights, shape (2, nodes).

    Up to ``core`` panels are short.
    """
    # Below the first node either the block's maximum or one element's share of it is negligible.
    first = -math.log(min(40.0, 16.0 * block))
    edges = np.concatenate(
        [
            np.linspace(first, core, round(core - first), endpoint=False),
            np.linspace(core, _LAST, _TAIL_PANELS + 1),
        ]
    )
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    parts, weights = [], []
    for count in (FINE, COARSE):
        places, shares = np.polynomial.legendre.leggauss(count)
        nodes = (middle[:, None] + half[:, None] * places).ravel()
        parts.append(nodes)
        weights.append((half[:, None] * shares).ravel() * np.exp(-nodes - np.exp(-nodes)))
    both = np.zeros((2, sum(map(len, parts))))
    both[0, : len(parts[0])] = weights[0]
    both[1, len(parts[0]) :] = weights[1]
    return np.concatenate(parts), both


def _square_of_largest(density: Density, block: int) -> Integral:
    """Return E[M²] of a block."""
    # An element is the largest of a block's from about w = log B on.
    nodes, weights = _gumbel_rules(1, _CORE + math.log(block))
    x = density.magnitude(-np.expm1(-np.exp(-nodes)))
    smaller = -np.expm1(-(block - 1) * np.exp(-nodes))
    fine, coarse = (
        block * (density.variance - float(part @ (x * x * smaller))) for part in weights
    )
    return Integral(value=fine, error=abs(fine - coarse))
