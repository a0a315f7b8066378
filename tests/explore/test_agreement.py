import json
import random
from pathlib import Path

import pytest
from nibblemac.explore.agreement import (
    Figures,
    agreement_table,
    agreements,
    figures_of,
    letter,
    rank_table,
    selected_figures,
)
from nibblemac.explore.evidence import PHI2
from nibblemac.formats.accuracy import parse_accuracy
from nibblemac.formats.errors import DataError
from nibblemac.formats.published import published_quality
from nibblemac.scripts.main import main
from scipy.stats import spearmanr

HEADER = "model,setting,format,metric,unit,higher_is_better,value\n"
CSV = HEADER + "".join(
    f"M,w4,{name},{metric},{unit},{higher},{value}\n"
    for metric, unit, higher, values in (
        ("perplexity", "ppl", "false", {"FP32": 9, "INT4": 11, "E2M1": 10, "SF4": 9.5, "NF4": 9.7}),
        ("SQNR", "dB", "true", {"INT4": 17, "E2M1": 18, "SF4": 19, "NF4": 19.2, "INT5": 25}),
    )
    for name, value in values.items()
)


def test_figures_are_taken_apart_by_model_metric_and_setting() -> None:
    perplexity, sqnr = figures_of(parse_accuracy(CSV).rows, "a.csv")
    assert perplexity.label == "M, perplexity, w4"
    assert perplexity.values == {"INT4": 11, "E2M1": 10, "SF4": 9.5, "NF4": 9.7}
    assert sqnr.higher_is_better
    (agreement,) = agreements([perplexity, sqnr])
    assert agreement.formats == 4
    # Ranks 1, 2, 3, 4 against 2, 1, 3, 4: ρ = 1 − 6·2 ÷ (4·15).
    assert agreement.spearman == pytest.approx(0.8)


@pytest.mark.parametrize("seed", range(5))
def test_the_coefficient_is_scipys(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - a test
    names = [f"F{i}" for i in range(12)]
    first, second = ({name: rng.randrange(8) / 4 for name in names} for _ in range(2))
    figures = [
        Figures(label=label, source="", unit="", higher_is_better=higher, values=values)
        for label, higher, values in (("a", True, first), ("b", False, second))
    ]
    expected = -spearmanr(list(first.values()), list(second.values())).statistic
    assert agreements(figures)[0].spearman == pytest.approx(expected)


def test_tables_begin_with_the_best() -> None:
    figures = figures_of(parse_accuracy(CSV).rows, "a.csv")
    table = rank_table(figures)
    assert [row[0] for row in table.rows] == ["SF4", "NF4", "E2M1", "INT4"]
    assert [row[1] for row in table.rows] == ["1", "2", "3", "4"]
    assert [row[3] for row in table.rows] == ["2", "1", "3", "4"]
    assert [row[2] for row in agreement_table(figures).rows] == ["0.80", "1.00"]
    assert [letter(0), letter(25), letter(26)] == ["A", "Z", "A1"]


def test_the_papers_figures_keep_their_direction() -> None:
    names = {"INT4", "E2M1", "SF4"}
    phi = selected_figures(published_quality().rows, PHI2, "paper", "Phi-2", names)
    assert phi.higher_is_better
    assert phi.values.keys() == names
    assert phi.losses["SF4"] < phi.losses["INT4"]


def test_too_little_to_compare() -> None:
    figures = figures_of(parse_accuracy(CSV).rows, "a.csv", {"INT4", "E2M1"})
    assert agreements(figures)[0].spearman is None
    with pytest.raises(DataError, match="share 2 formats"):
        rank_table(figures)
    rows = list(parse_accuracy(CSV).rows)
    other = parse_accuracy(
        CSV.replace("SF4,perplexity,ppl,false,9.5", "SF4,perplexity,ppl,false,8")
    )
    with pytest.raises(DataError, match="more than one value"):
        figures_of([*rows, *other.rows], "a.csv")


def test_the_command(tmp_path: Path, capsys) -> None:
    path = tmp_path / "a.csv"
    path.write_text(CSV)
    assert main(["ranks", str(path), "--paper", "--bits", "4", "--json", "-"]) == 0
    captured = capsys.readouterr()
    record = json.loads(captured.out)
    assert [one["label"] for one in record["figures"]][:2] == ["M, perplexity, w4", "M, SQNR, w4"]
    assert "INT5" not in record["figures"][1]["values"]
    assert record["agreements"][0]["spearman"] == pytest.approx(0.8)
    assert len(record["figures"]) == 4
    assert "A: M, perplexity, w4 (a.csv)" in captured.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--metric", "perplexity"], "One figure matches"),
        (["--model", "other"], "matches --metric"),
        (["--bits", "7"], "matches --metric"),
    ],
)
def test_the_command_says_what_is_missing(options, said, tmp_path: Path, capsys) -> None:
    path = tmp_path / "a.csv"
    path.write_text(CSV)
    assert main(["ranks", str(path), *options]) != 0
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
