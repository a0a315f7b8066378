"""How far a format moves values: mean squared error and signal-to-quantization-noise ratio.

SQNR = 10·log10(Σx² ÷ Σ(x − q(x))²) in dB. The sums are over groups of whole blocks, which are
independent for independent samples, so that the standard error of the ratio of sums follows from
the spread between groups (the delta method; Cochran, Sampling Techniques, section 6.4). For
Student's t with few degrees of freedom it is an estimate of an estimate: a few blocks carry much
of both sums.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .blocks import BlockLayout
from .codec import check_tensor
from .errors import TensorError
from .quantizer import quantize
from .record import Format
from .scale import Granularity, ScaleSpec

BLOCK_ABSMAX = ScaleSpec(granularity=Granularity.BLOCK)
_DB = 10 / math.log(10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A figure and its standard error, None where there is only one group to judge by."""

    value: float
    standard_error: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantizationError:
    """A format's error on data.

    ``mse`` and ``signal_power`` are means of squares over ``elements`` values, in the data's own
    units; ``sqnr_db`` is their ratio, infinite where nothing is lost.
    """

    format: str
    data: str
    elements: int
    signal_power: float
    mse: float
    sqnr_db: float
    standard_error_db: float | None

    @classmethod
    def of_sums(
        cls,
        signal: Tensor,
        noise: Tensor,
        *,
        format: str,  # noqa: A002 - the field's word
        data: str,
        elements: int,
    ) -> "QuantizationError":
        """Return the record of Σx² and Σ(x − q(x))² by group, each of shape (groups,).

        Raises :class:`TensorError` where the signal is 0.
        """
        if not elements or not bool(signal.sum() > 0):
            raise TensorError(
                f"The data ({data}) hold no value other than 0, so that there is no signal to "
                "compare the quantization error with."
            )
        ratio = ratio_db(signal, noise)
        return cls(
            format=format,
            data=data,
            elements=elements,
            signal_power=float(signal.sum()) / elements,
            mse=float(noise.sum()) / elements,
            sqnr_db=ratio.value,
            standard_error_db=ratio.standard_error,
        )


def ratio_db(numerator: Tensor, denominator: Tensor) -> Estimate:
    """Return 10·log10(Σ numerator ÷ Σ denominator) over groups, with its standard error.

    Both have shape (groups,). With a format's noise over another's it is the first's loss in dB;
    both err on the same data, so that what they have in common adds nothing to its error.
    """
    over, under = float(numerator.sum()), float(denominator.sum())
    if under == 0 or over == 0:
        value = 0.0 if under == over else math.copysign(math.inf, over - under)
        return Estimate(value=value, standard_error=None)
    groups = len(numerator)
    error = None
    if groups > 1:
        spread = numerator.double() / over - denominator.double() / under
        error = _DB * math.sqrt(float(spread.square().sum()) * groups / (groups - 1))
    return Estimate(value=_DB * math.log(over / under), standard_error=error)


def quantization_error(
    tensor: Tensor,
    format: Format,  # noqa: A002 - the field's word
    spec: ScaleSpec = BLOCK_ABSMAX,
    *,
    data: str = "tensor",
) -> QuantizationError:
    """Quantize a tensor with the reference quantizer, and measure what that changes.

    Blocks of 128 with absmax scales unless ``spec`` says otherwise; ``data`` names the tensor. The
    groups of the standard error are the blocks. Raises what :func:`.quantize` raises, and
    :class:`TensorError` for a tensor without a value other than 0.
    """
    check_tensor(tensor, f"The tensor {data!r}")
    back = quantize(tensor, format, spec, name=data).dequantize(torch.float64)
    wide = tensor.detach().to(torch.float64)
    if not wide.numel():
        raise TensorError(f"The tensor {data!r} is empty.")
    layout = BlockLayout.of(tensor.shape, spec)
    signal, noise = (
        torch.cat([rows.square().sum(dim=1) for rows in layout.split(part)])
        for part in (wide, wide - back)
    )
    return QuantizationError.of_sums(
        signal, noise, format=format.name, data=data, elements=wide.numel()
    )
