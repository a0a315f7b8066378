"""Real quantized data for a MAC: the operands whose dot products a power figure is measured on.

A MAC's power depends on what flows through it, so its operands are quantized as a model's tensors
are: in blocks along the reduction axis, one absmax scale each. Weights and activations are
Student's t samples (5 degrees of freedom, the middle of what the paper's Table 1 found for both)
or a user's tensors. Both operands change every clock: the MAC is output-stationary, it keeps its
accumulator while weights and activations stream by.
"""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from .distribution import Distribution
from .dot import partial_sums
from .errors import TensorError, UsageError
from .mac import MacSpec
from .quantizer import quantize
from .record import Format
from .scale import PAPER_BLOCK, Granularity, ScaleSpec

DEFAULT_LANES = 256
DEFAULT_NU = 5.0
DEFAULT_SEED = 1
MAX_PRODUCTS = 2**22


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Operands:
    """Codes of independent dot products, uint8 of shape (lanes, terms), and what they are."""

    weight: Tensor
    activation: Tensor
    description: str

    @property
    def lanes(self) -> int:
        """How many dot products there are."""
        return self.weight.shape[0]

    @property
    def terms(self) -> int:
        """How many products each of them has."""
        return self.weight.shape[1]

    @property
    def digest(self) -> str:
        """SHA-256 of the shape and all codes."""
        found = hashlib.sha256(repr(tuple(self.weight.shape)).encode())
        for codes in (self.weight, self.activation):
            found.update(codes.numpy().tobytes())
        return found.hexdigest()

    def sums(self, spec: MacSpec) -> Tensor:
        """Return the reference's partial sums, int64 in the codes' shape."""
        return partial_sums(spec, self.weight, self.activation)


def sampled_operands(
    spec: MacSpec,
    *,
    lanes: int = DEFAULT_LANES,
    nu: float | None = DEFAULT_NU,
    seed: int = DEFAULT_SEED,
) -> Operands:
    """Return ``lanes`` dot products of ``spec.terms`` products of quantized random samples.

    ``nu`` are the degrees of freedom of Student's t, None for the normal. The samples before
    quantization are the same for every format. Raises :class:`UsageError` for numbers without a
    meaning, or of more than 2**22 products.
    """
    _check_size(lanes, spec.terms)
    distribution = Distribution(nu=nu)
    drawn = distribution.sample(2 * lanes, spec.terms, seed=seed)
    weight = _codes(drawn[:lanes], spec.weight, "weight")
    activation = _codes(drawn[lanes:], spec.activation, "activation")
    return Operands(
        weight=weight,
        activation=activation,
        description=(
            f"weights and activations from {distribution.name}, {_blocks(spec.terms)}, "
            f"{lanes} dot products of {spec.terms} terms, seed {seed}"
        ),
    )


def tensor_operands(
    spec: MacSpec,
    weight: Tensor,
    activation: Tensor | None = None,
    *,
    lanes: int = DEFAULT_LANES,
    seed: int = DEFAULT_SEED,
    name: str = "the user's tensor",
) -> Operands:
    """Return dot products of a user's tensors, quantized along their last axis.

    Each takes ``spec.terms`` consecutive elements of a row of ``weight`` (any shape, the last axis
    is the reduction axis) and the same places of a row of ``activation``; rows and places are
    drawn by ``seed``, places at a block's start. Without activations, they are Student's t
    samples. Raises :class:`TensorError` for tensors that cannot be quantized or have rows of fewer
    than ``spec.terms`` elements, and where the two's rows differ in length.
    """
    _check_size(lanes, spec.terms)
    rows = _rows(weight, spec.terms, "The weight tensor")
    others = None if activation is None else _rows(activation, spec.terms, "The activation tensor")
    if others is not None and others.shape[1] != rows.shape[1]:
        raise TensorError(
            f"The weight tensor's rows have {rows.shape[1]} elements and the activation tensor's "
            f"{others.shape[1]}; a dot product needs the same reduction axis in both."
        )
    generator = torch.Generator().manual_seed(seed)
    places = (rows.shape[1] - spec.terms) // PAPER_BLOCK + 1
    starts = PAPER_BLOCK * torch.randint(places, (lanes,), generator=generator)
    columns = starts[:, None] + torch.arange(spec.terms)

    def taken(matrix: Tensor) -> Tensor:
        chosen = torch.randint(matrix.shape[0], (lanes,), generator=generator)
        return matrix[chosen[:, None], columns]

    if others is None:
        samples = Distribution(nu=DEFAULT_NU).sample(lanes, spec.terms, seed=seed)
        source = f"activations from {Distribution(nu=DEFAULT_NU).name}"
    else:
        samples, source = taken(others), "the user's activations"
    return Operands(
        weight=_codes(taken(rows), spec.weight, "weight"),
        activation=_codes(samples, spec.activation, "activation"),
        description=(
            f"weights from {name}, {source}, {_blocks(spec.terms)}, {lanes} dot products of "
            f"{spec.terms} terms, seed {seed}"
        ),
    )


def _blocks(terms: int) -> str:
    return f"blocks of {min(PAPER_BLOCK, terms)} with absmax scales"


def _codes(values: Tensor, format: Format, name: str) -> Tensor:  # noqa: A002
    spec = ScaleSpec(granularity=Granularity.BLOCK, block=PAPER_BLOCK)
    return quantize(values, format, spec, name=name).codes.contiguous()


def _rows(tensor: object, terms: int, where: str) -> Tensor:
    if not isinstance(tensor, Tensor) or not tensor.dtype.is_floating_point:
        raise TensorError(f"{where} is no floating-point tensor.")
    if tensor.dim() < 1 or not tensor.numel() or tensor.shape[-1] < terms:
        raise TensorError(
            f"{where} has the shape {list(tensor.shape)}; its last axis, the reduction axis, needs "
            f"at least {terms} elements for dot products of {terms} terms."
        )
    return tensor.detach().to("cpu").reshape(-1, tensor.shape[-1])


def _check_size(lanes: object, terms: int) -> None:
    if isinstance(lanes, bool) or not isinstance(lanes, int) or lanes < 1:
        raise UsageError(f"lanes is {lanes!r:.60}; it must be a positive integer.")
    if lanes * terms > MAX_PRODUCTS:
        raise UsageError(
            f"{lanes} dot products of {terms} terms are {lanes * terms} products; at most "
            f"{MAX_PRODUCTS} are simulated. Take fewer lanes or terms."
        )
