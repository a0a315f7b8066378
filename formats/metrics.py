"""Every figure that the project reports, declared once: name, unit, direction, meaning.

Table headers, CSV columns, plot labels and the frontier read this table.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A reported figure. ``higher_is_better`` is None where neither direction is a merit."""

    name: str
    label: str
    unit: str
    higher_is_better: bool | None
    digits: int
    meaning: str


_METRICS = (
    Metric(
        name="area_um2",
        label="MAC area",
        unit="µm²",
        higher_is_better=False,
        digits=1,
        meaning="sum of the cell areas of the flattened MAC",
    ),
    Metric(
        name="area_ge",
        label="MAC area",
        unit="GE",
        higher_is_better=False,
        digits=1,
        meaning="area divided by the area of the library's smallest two-input NAND",
    ),
    Metric(
        name="sequential_um2",
        label="flip-flops",
        unit="µm²",
        higher_is_better=False,
        digits=1,
        meaning="the part of the area that is flip-flops",
    ),
    Metric(
        name="multiplier_um2",
        label="multiplier",
        unit="µm²",
        higher_is_better=False,
        digits=1,
        meaning="area of the multiplier where the hierarchy is kept",
    ),
    Metric(
        name="accumulator_um2",
        label="accumulator",
        unit="µm²",
        higher_is_better=False,
        digits=1,
        meaning="area of the accumulator where the hierarchy is kept",
    ),
    Metric(
        name="accumulator_bits",
        label="accumulator width",
        unit="bits",
        higher_is_better=False,
        digits=0,
        meaning="narrowest two's complement that holds every sum of terms products",
    ),
    Metric(
        name="ratio_to_int4",
        label="ratio to INT4",
        unit="",
        higher_is_better=False,
        digits=3,
        meaning="MAC area divided by INT4's on the same library",
    ),
    Metric(
        name="chip_overhead_pct",
        label="chip overhead",
        unit="%",
        higher_is_better=False,
        digits=1,
        meaning=(
            "MAC share × (MAC area ÷ INT4's − 1) + memory share × (bits ÷ 4 − 1), "
            "the footnote to the paper's Table 10"
        ),
    ),
    Metric(
        name="sqnr_db",
        label="SQNR",
        unit="dB",
        higher_is_better=True,
        digits=2,
        meaning="signal-to-quantization-noise ratio: 10·log10(Σx² ÷ Σ(x − q(x))²)",
    ),
    Metric(
        name="sqnr_loss_db",
        label="SQNR lost",
        unit="dB",
        higher_is_better=False,
        digits=2,
        meaning="SQNR of the real-valued lookup format minus that of its integer grid",
    ),
    Metric(
        name="limit_db",
        label="Lloyd-Max limit",
        unit="dB",
        higher_is_better=True,
        digits=2,
        meaning=(
            "SQNR of the best codebook of as many levels for the same data, blocks and kind of "
            "scale"
        ),
    ),
    Metric(
        name="below_limit_db",
        label="below the limit",
        unit="dB",
        higher_is_better=False,
        digits=2,
        meaning="the Lloyd-Max limit's SQNR minus the format's",
    ),
    Metric(
        name="mse",
        label="mean squared error",
        unit="",
        higher_is_better=False,
        digits=6,
        meaning="mean of (x − q(x))², in the data's units",
    ),
    Metric(
        name="max_error",
        label="largest error",
        unit="",
        higher_is_better=False,
        digits=4,
        meaning=(
            "largest |x − q(x)| ÷ the block's largest magnitude: the least upper bound for a "
            "distribution, otherwise the largest seen"
        ),
    ),
    Metric(
        name="entropy_bits",
        label="entropy of the codes",
        unit="bits",
        higher_is_better=None,
        digits=3,
        meaning="−Σ p·log2 p over the codes: what a code needs at least where codes are compressed",
    ),
    Metric(
        name="bits_per_element",
        label="bits an element",
        unit="bits",
        higher_is_better=False,
        digits=3,
        meaning=(
            "stored bits of a code with its share of the block's scale and selector, in the "
            "format's own block, or 128 elements with an FP16 scale"
        ),
    ),
    Metric(
        name="perplexity",
        label="perplexity",
        unit="",
        higher_is_better=False,
        digits=3,
        meaning="exp of the mean −log p(token) over a text, in a sliding window",
    ),
    Metric(
        name="kl_divergence",
        label="KL divergence",
        unit="nats per token",
        higher_is_better=False,
        digits=4,
        meaning="mean over tokens of Σ p·(log p − log q), p being the unquantized model's",
    ),
    Metric(
        name="embedding_cosine",
        label="embedding cosine",
        unit="",
        higher_is_better=True,
        digits=4,
        meaning="mean cosine of a sentence's embedding to the unquantized model's",
    ),
    Metric(
        name="delay_ps",
        label="critical path",
        unit="ps",
        higher_is_better=False,
        digits=0,
        meaning="shortest clock period at which the MAC works, setup time included, no clock tree",
    ),
    Metric(
        name="power_uw",
        label="power",
        unit="µW",
        higher_is_better=False,
        digits=1,
        meaning=(
            "dynamic power on quantized data, unit-delay glitches, clock pins and input nets "
            "included, and leakage, at the stated frequency and the library's voltage"
        ),
    ),
    Metric(
        name="energy_fj",
        label="energy per MAC",
        unit="fJ",
        higher_is_better=False,
        digits=1,
        meaning="power divided by frequency: one product and its addition, glitches included",
    ),
    Metric(
        name="energy_zero_delay_fj",
        label="energy without glitches",
        unit="fJ",
        higher_is_better=False,
        digits=1,
        meaning="dynamic energy of one product and its addition if no gate had a delay",
    ),
    Metric(
        name="clock_fj",
        label="clock energy",
        unit="fJ",
        higher_is_better=False,
        digits=1,
        meaning="the part of the energy per MAC at flip-flops' clock pins; no clock tree",
    ),
    Metric(
        name="leakage_nw",
        label="leakage",
        unit="nW",
        higher_is_better=False,
        digits=3,
        meaning="sum of the cells' mean leakage",
    ),
    Metric(
        name="power_ratio_to_int4",
        label="power ratio to INT4",
        unit="",
        higher_is_better=False,
        digits=3,
        meaning="power divided by INT4's on the same library, data and frequency",
    ),
    Metric(
        name="seconds",
        label="time",
        unit="s",
        higher_is_better=None,
        digits=2,
        meaning="wall-clock seconds of the synthesis when it was first run",
    ),
    Metric(
        name="search_seconds",
        label="search time",
        unit="s",
        higher_is_better=None,
        digits=2,
        meaning="wall-clock seconds of the search that found the design when it was first run",
    ),
)

METRICS = {metric.name: metric for metric in _METRICS}
