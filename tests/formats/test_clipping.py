"""Squared-error clipping against a direct search over the documented candidates."""

from fractions import Fraction

import pytest
import torch
from nibblemac.formats.catalog import CATALOG, E2M1, E2M1_SR, INT3, INT4, SF4
from nibblemac.formats.clipping import wider_ratios
from nibblemac.formats.quantizer import Quantized, quantize
from nibblemac.formats.record import Format
from nibblemac.formats.scale import Clipping, Granularity, ScaleSpec

POSITIVE = Format(name="Positive", bits=2, grid=(1, 2, 4, 8), unit=Fraction(1))
FORMATS = [*CATALOG, POSITIVE]


def random(*shape: int, seed: int) -> torch.Tensor:
    """Return heavy-tailed values in float64."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(shape, generator=generator, dtype=torch.float64)
    return normal * torch.randn(shape, generator=generator, dtype=torch.float64).abs()


def name(value: object) -> str:
    return value.name if isinstance(value, Format) else ("signed" if value else "unsigned")


def block_errors(values: torch.Tensor, made: Quantized, block: int) -> torch.Tensor:
    error = (made.dequantize() - values).square()
    return error.reshape(values.shape[0], -1, block).sum(-1)


def with_signs(formats: list[Format]) -> list[tuple[Format, bool]]:
    """Return each format without, and where it is asymmetric also with, a signed scale."""
    return [(known, signed) for known in formats for signed in sorted({False, known.is_asymmetric})]


@pytest.mark.parametrize(("known", "signed"), with_signs(FORMATS), ids=name)
def test_never_worse_than_absmax_in_any_block(known: Format, signed: bool) -> None:
    values = random(64, 128, seed=1)
    absmax, mse = (
        quantize(
            values,
            known,
            ScaleSpec(granularity=Granularity.BLOCK, block=32, clipping=clipping, signed=signed),
        )
        for clipping in (Clipping.ABSMAX, Clipping.MSE)
    )
    before, after = block_errors(values, absmax, 32), block_errors(values, mse, 32)
    assert bool((after <= before * (1 + 1e-9)).all())
    assert float(after.sum()) < float(before.sum())


def direct_best(values: torch.Tensor, known: Format, *, signed: bool) -> float:
    """Return the least error over the documented candidates, element by element.

    1, 2**(k/32) up to the ratio of the two largest magnitudes (included, at most 2), and
    2**(-k/32) for k from 1 to 320; each with both signs where ``signed``.
    """
    levels = torch.tensor([float(level) for level in known.levels], dtype=torch.float64)
    largest = float(values.abs().max()) / float(known.largest_level)

    def error(ratio: float) -> float:
        results = []
        for sign in (1, -1) if signed else (1,):
            distance = values[:, None] - levels * (sign * ratio * largest)
            results.append(float(distance.abs().min(dim=1).values.square().sum()))
        return min(results)

    sides = sorted([float(max(known.levels)), float(-min(known.levels))])
    limit = min(sides[1] / sides[0], 2.0) if sides[0] > 0 else 2.0
    wider = [limit, *(2 ** (k / 32) for k in range(32) if 2 ** (k / 32) <= limit)]
    return min(error(ratio) for ratio in [*wider, *(2 ** (-k / 32) for k in range(1, 321))])


@pytest.mark.parametrize(
    ("known", "signed"), with_signs([E2M1, INT4, E2M1_SR, SF4, POSITIVE]), ids=name
)
@pytest.mark.parametrize("length", [1, 2, 16, 129])
def test_the_best_candidate_is_found(known: Format, signed: bool, length: int) -> None:
    values = random(12, length, seed=length)
    values[6:] = values[6:].clamp(-0.1, 0.1)  # a bulk, and below one outlier beside it
    values[6:, 0] = torch.tensor([1.0, -1, 0.3, -0.3, 5, -5], dtype=torch.float64)
    spec = ScaleSpec(granularity=Granularity.CHANNEL, clipping=Clipping.MSE, signed=signed)
    made = quantize(values, known, spec)
    errors = (made.dequantize() - values).square().sum(dim=1)
    for row, error in zip(values, errors.tolist(), strict=True):
        scale = float(row.square().sum())
        assert error == pytest.approx(
            direct_best(row, known, signed=signed), rel=1e-6, abs=1e-12 * scale
        )


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_a_row_is_searched_alone(known: Format) -> None:
    values = torch.cat([random(6, 40, seed=2), torch.zeros(1, 40), random(1, 40, seed=3) ** 5])
    spec = ScaleSpec(granularity=Granularity.CHANNEL, clipping=Clipping.MSE)
    together = quantize(values, known, spec)
    for row, codes, scale in zip(values, together.codes, together.scales, strict=True):
        alone = quantize(row[None], known, spec)
        assert torch.equal(alone.codes[0], codes)
        assert torch.equal(alone.scales[0], scale)


def test_an_outlier_among_many_is_clipped_far() -> None:
    values = torch.cat([random(4000, seed=4), torch.tensor([1e3], dtype=torch.float64)])
    values[:4000] /= values[:4000].abs().max()
    absmax = quantize(values, INT4)
    mse = quantize(values, INT4, ScaleSpec(clipping=Clipping.MSE))
    assert absmax.codes[:4000].unique().tolist() == [0]
    # Losing the outlier costs more than all other elements together, so it is kept.
    assert float(mse.dequantize()[-1]) == pytest.approx(1e3, rel=0.01)


def test_the_search_crosses_a_long_stretch_without_improvement() -> None:
    # INT3's step is a quarter of the extreme, 7.5: all of the bulk rounds to zero, and no smaller
    # scale helps before the step is below twice the bulk's limit, a factor of 5 further down.
    bulk = random(100_000, seed=5).clamp(-0.75, 0.75)
    values = torch.cat([bulk, torch.tensor([-30.0], dtype=torch.float64)])
    errors = [
        float((quantize(values, INT3, spec).dequantize() - values).square().sum())
        for spec in (ScaleSpec(), ScaleSpec(clipping=Clipping.MSE))
    ]
    assert errors[0] == pytest.approx(float(bulk.square().sum()))
    assert errors[1] < 0.5 * errors[0]


def test_exact_blocks_keep_the_absmax_scale() -> None:
    values = torch.tensor([[float(level) for level in SF4.levels]])
    spec = ScaleSpec(granularity=Granularity.CHANNEL, clipping=Clipping.MSE)
    made = quantize(values, SF4, spec)
    assert float(made.scales) == 1
    assert made.codes.tolist() == [list(range(16))]


@pytest.mark.parametrize(
    ("known", "limit", "number"), [(INT4, 8 / 7, 7), (E2M1_SR, 8 / 6, 14), (POSITIVE, 2.0, 32)]
)
def test_wider_ratios_end_where_the_smaller_side_meets_the_extreme(
    known: Format, limit: float, number: int
) -> None:
    ratios = wider_ratios(known)
    assert ratios[-1] == limit
    assert len(ratios) == number
    assert list(ratios) == sorted(set(ratios))
    assert ratios[0] > 1


def test_symmetric_formats_have_no_wider_ratios() -> None:
    assert wider_ratios(E2M1) == ()


def test_int4_reaches_a_positive_extreme_without_a_signed_scale() -> None:
    values = torch.tensor([[7.0, 3.0, -2.0, 1.0]])
    spec = ScaleSpec(granularity=Granularity.CHANNEL, clipping=Clipping.MSE)
    made = quantize(values, INT4, spec)
    assert float(made.scales) == pytest.approx(1)
    assert made.dequantize().tolist() == [pytest.approx([7, 3, -2, 1])]
