"""Perplexity, divergence and embeddings against independent loops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.block_format import find_block_format
from nibblemac.formats.errors import DataError, OutputError, TensorError, UsageError
from nibblemac.formats.models.embedding import EncoderScorer, sentence_tokens
from nibblemac.formats.models.layers import model_layers
from nibblemac.formats.models.loading import CAUSAL, LoadedModel, load_model
from nibblemac.formats.models.mapped import KeptWeights, mapped_tensor
from nibblemac.formats.models.method import Method
from nibblemac.formats.models.perplexity import LanguageScorer
from nibblemac.formats.models.prediction import Predictor
from nibblemac.formats.models.quantized_layer import Bench
from nibblemac.formats.models.text import Window, sentences, sliding_windows, token_ids
from torch import nn


def nothing() -> None:
    pass


@given(
    tokens=st.integers(2, 400),
    window=st.integers(2, 100),
    stride=st.integers(1, 100),
)
def test_windows_predict_each_token_once_with_enough_context(tokens, window, stride):
    if stride > window or tokens < window:
        with pytest.raises((UsageError, DataError)):
            sliding_windows(tokens, window, stride)
        return
    windows = sliding_windows(tokens, window, stride)
    scored = [token for one in windows for token in range(one.scored, one.end)]
    # Windows that do not overlap leave out their own first tokens.
    left_out = {0} if stride < window else set(range(0, tokens, stride))
    assert scored == [token for token in range(tokens) if token not in left_out]
    for one in windows:
        assert one.end - one.start <= window
        assert one.scored > one.start
    for one in windows[1:]:
        assert one.scored - one.start >= max(1, window - stride)


def test_windows_of_an_example():
    assert sliding_windows(10, 6, 3) == (
        Window(start=0, end=6, scored=1),
        Window(start=3, end=9, scored=6),
        Window(start=6, end=10, scored=9),
    )


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((5, 6, 3), DataError, "The text has 5 tokens, fewer than one window of 6"),
        ((50, 6, 0), UsageError, "The stride is 0"),
        ((50, 6, 7), UsageError, "The stride is 7"),
        ((50, 1, 1), UsageError, "The window is 1 tokens"),
    ],
)
def test_windows_that_cannot_be(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        sliding_windows(*arguments)


def by_hugging_face(module, ids, window, stride) -> float:
    """The loop of transformers' guide to perplexity, with the model's own loss."""
    losses, counts, previous = [], [], 0
    for begin in range(0, len(ids), stride):
        end = min(begin + window, len(ids))
        fresh = end - previous
        part = ids[begin:end][None]
        target = part.clone()
        target[:, :-fresh] = -100
        with torch.no_grad():
            loss = module(input_ids=part, labels=target).loss
        count = int((target[:, 1:] != -100).sum())
        losses.append(float(loss) * count)
        counts.append(count)
        previous = end
        if end == len(ids):
            break
    return math.exp(sum(losses) / sum(counts))


@pytest.fixture(params=["llama", "gpt2"])
def causal(request, tiny_models) -> LoadedModel:
    return load_model(tiny_models / request.param, device="cpu")


@pytest.fixture
def ids(tiny_models):
    model = load_model(tiny_models / "llama", device="cpu")
    return token_ids(model, (tiny_models / "text.txt").read_text())[:300]


def scorer_of(model, ids, cut, folder, layers=()) -> LanguageScorer:
    return LanguageScorer(model, ids, sliding_windows(len(ids), *cut), layers, folder)


@pytest.mark.parametrize(("window", "stride"), [(64, 32), (100, 100), (128, 50), (48, 1)])
def test_perplexity_is_hugging_face_s(causal, ids, tmp_path, window, stride):
    if stride == 1:
        ids = ids[:80]
    scorer = scorer_of(causal, ids, (window, stride), tmp_path)
    found = scorer.reference(nothing)
    expected = by_hugging_face(causal.module, ids, window, stride)
    assert found["perplexity"] == pytest.approx(expected, rel=1e-5)
    assert found["kl_divergence"] == 0


def test_a_model_does_not_diverge_from_itself(causal, ids, tmp_path):
    scorer = scorer_of(causal, ids, (64, 32), tmp_path)
    before = scorer.reference(nothing)
    ticks = []
    assert scorer.score(lambda: ticks.append(1)) == before
    assert len(ticks) == scorer.steps == len(sliding_windows(300, 64, 32))


def direct_divergence(module, change, ids, windows) -> float:
    """Σ p·log(p/q) from both models' own logits, in float64."""
    total, count = 0.0, 0

    def logs() -> list[torch.Tensor]:
        with torch.no_grad():
            return [
                module(input_ids=ids[w.start : w.end][None]).logits[0].double().log_softmax(-1)
                for w in windows
            ]

    before = logs()
    change()
    for window, p, q in zip(windows, before, logs(), strict=True):
        rows = slice(window.scored - window.start - 1, window.end - window.start - 1)
        each = (p[rows].exp() * (p[rows] - q[rows])).sum(-1)
        total, count = total + float(each.sum()), count + len(each)
    return total / count


@pytest.mark.parametrize("layers", [(), ("head",), ("embedding", "linear")])
def test_divergence_is_from_the_unquantized_predictions(causal, ids, tmp_path, layers):
    method = Method(block=16, layers=layers)
    chosen = method.choose(model_layers(causal.module))
    windows = sliding_windows(len(ids), 64, 32)
    scorer = scorer_of(causal, ids, (64, 32), tmp_path, chosen)
    kept = KeptWeights(tmp_path, {one.name: one.matrix() for one in chosen})
    bench = Bench(layers=chosen, kept=kept, method=method)
    scorer.reference(nothing)
    with bench.quantized(find_block_format("INT3"), nothing):
        found = scorer.score(nothing)
        expected_perplexity = by_hugging_face(causal.module, ids, 64, 32)
    context = bench.quantized(find_block_format("INT3"), nothing)
    expected = direct_divergence(causal.module, context.__enter__, ids, windows)
    context.__exit__(None, None, None)
    assert expected > 1e-3
    assert found["kl_divergence"] == pytest.approx(expected, rel=1e-3)
    assert found["perplexity"] == pytest.approx(expected_perplexity, rel=1e-5)


def test_more_bits_diverge_less(causal, ids, tmp_path):
    chosen = Method().choose(model_layers(causal.module))
    scorer = scorer_of(causal, ids, (64, 64), tmp_path, chosen)
    scorer.reference(nothing)
    kept = KeptWeights(tmp_path, {one.name: one.matrix() for one in chosen})
    for setting in ("weight-only", "W4A4"):
        bench = Bench(layers=chosen, kept=kept, method=Method(setting=setting, block=16))
        found = []
        for name in ("INT3", "INT4", "INT5", "INT8"):
            with bench.quantized(find_block_format(name), nothing):
                found.append(scorer.score(nothing)["kl_divergence"])
        assert found == sorted(found, reverse=True)
        assert 50 * found[-1] < found[0]


def capped(transformers, ids) -> LoadedModel:
    torch.manual_seed(3)
    config = transformers.Gemma2Config(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        final_logit_softcapping=2.0,
        initializer_range=0.3,
    )
    module = transformers.Gemma2ForCausalLM(config).eval().requires_grad_(requires_grad=False)
    return LoadedModel(
        name="capped",
        path=ids,
        kind=CAUSAL,
        module=module,
        tokenizer=None,
        device=torch.device("cpu"),
        files=(),
    )


def test_models_that_cap_their_logits_are_kept_as_probabilities(ids, tmp_path):
    model = capped(pytest.importorskip("transformers"), tmp_path)
    assert not Predictor(model).is_split
    chosen = Method(layers=("linear",)).choose(model_layers(model.module))
    scorer = scorer_of(model, ids, (64, 32), tmp_path, chosen)
    found = scorer.reference(nothing)
    expected = by_hugging_face(model.module, ids, 64, 32)
    assert found["perplexity"] == pytest.approx(expected, rel=1e-5)
    assert scorer.score(nothing)["kl_divergence"] == pytest.approx(0, abs=1e-5)  # half precision
    windows = sliding_windows(len(ids), 64, 32)

    def change() -> None:
        with torch.no_grad():
            for one in chosen:
                one.put(one.matrix() * 1.3)

    expected = direct_divergence(model.module, change, ids, windows)
    assert scorer.score(nothing)["kl_divergence"] == pytest.approx(expected, rel=5e-3)


def test_a_model_in_two_parts_is_told_from_one_that_is_not(causal):
    assert Predictor(causal).is_split
    module = causal.module
    module.lm_head = nn.Sequential(module.lm_head, nn.Tanh())
    module.get_output_embeddings = lambda: module.lm_head[0]
    assert not Predictor(causal).is_split


def test_predictions_that_are_not_finite(causal, ids, tmp_path):
    scorer = scorer_of(causal, ids, (64, 64), tmp_path)
    scorer.reference(nothing)
    with torch.no_grad():
        next(iter(causal.module.parameters()))[:] = float("nan")
    with pytest.raises(TensorError, match="not finite under this format"):
        scorer.score(nothing)


def test_working_data_that_find_no_room(tmp_path, monkeypatch):
    import errno
    import os

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputError, match=r"cannot hold 4 MiB of working data: No space left"):
        mapped_tensor(tmp_path / "x", (1024, 1024), torch.float32)


def test_embeddings_are_means_over_tokens(tiny_models):
    model = load_model(tiny_models / "bert", device="cpu")
    text = sentences((tiny_models / "text.txt").read_text())
    tokens = sentence_tokens(model, [text[0], text[1][:25], "a b c d"], window=64)
    assert [len(one) for one in tokens] == [len(text[0][:64]), 25, 7]
    scorer = EncoderScorer(model, tokens)
    assert scorer.reference(nothing) == {"embedding_cosine": 1.0}

    def mean(one: list[int]) -> torch.Tensor:
        return model.module(input_ids=torch.tensor([one]))[0][0].double().mean(0)

    with torch.no_grad():
        kept = [mean(one) for one in tokens]
        weight = model.module.encoder.layer[0].output.dense.weight
        weight *= 0.5
        cosines = []
        for one, before in zip(tokens, kept, strict=True):
            now = mean(one)
            cosines.append(float(now @ before / (now.norm() * before.norm())))
    found = scorer.score(nothing)["embedding_cosine"]
    assert found == pytest.approx(sum(cosines) / 3, abs=1e-6)
    assert found < 0.999


def test_sentences_within_the_tokens(tiny_models):
    model = load_model(tiny_models / "bert", device="cpu")
    parts = ["a b c d", "e f g h", "i j k l"]
    assert len(sentence_tokens(model, parts, window=64, most=14)) == 2
    assert sentence_tokens(model, parts, window=3) == [
        one[:3] for one in sentence_tokens(model, parts, window=64)
    ]
    with pytest.raises(DataError, match="no sentence of at least four words"):
        sentence_tokens(model, parts, window=64, most=6)


def test_minilm_knows_which_sentences_are_alike(minilm):
    model = load_model(minilm, device="cpu")
    parts = (
        "A man is playing a guitar on the stage.",
        "Somebody plays the guitar in front of people.",
        "The stock market fell by two percent today.",
    )
    one, two, three = (
        EncoderScorer(model, [tokens])._embeddings(nothing)[0]
        for tokens in sentence_tokens(model, parts, window=64)
    )
    cosine = nn.functional.cosine_similarity
    assert float(cosine(one, two, dim=0)) > 0.5
    assert float(cosine(one, three, dim=0)) < 0.2
