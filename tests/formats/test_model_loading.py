"""Loading models: what is read, and a sentence for what cannot be."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from nibblemac.formats.errors import DataError, TensorError, ToolError, UsageError
from nibblemac.formats.models.device import find_device
from nibblemac.formats.models.loading import CAUSAL, ENCODER, load_model, weight_files
from nibblemac.formats.models.text import sentences, token_ids
from safetensors.torch import load_file, save_file


@pytest.fixture
def llama(tiny_models, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(tiny_models / "llama", tmp_path / "llama"))


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    record = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in record.items() if value is not None}))


@pytest.mark.parametrize(("name", "kind"), [("llama", CAUSAL), ("gpt2", CAUSAL), ("bert", ENCODER)])
def test_a_folder_gives_a_model_for_inference(tiny_models, name, kind):
    model = load_model(tiny_models / name, device="cpu")
    assert (model.name, model.kind, model.context, model.note) == (name, kind, 128, "")
    assert not model.module.training
    assert all(p.dtype == torch.float32 for p in model.module.parameters())
    assert not any(p.requires_grad for p in model.module.parameters())
    stored = load_file(tiny_models / name / "model.safetensors")
    parameters = model.module.state_dict()
    assert stored
    for key, tensor in stored.items():
        assert torch.equal(parameters[key], tensor)
    assert token_ids(model, "ab ab").tolist() == [*token_ids(model, "ab"), *token_ids(model, " ab")]


def test_shards_give_the_same_model(tiny_models, tmp_path):
    whole = load_model(tiny_models / "llama", device="cpu")
    whole.module.save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(weight_files(tmp_path)) > 2
    parts = load_model(tmp_path, device="cpu")
    for one, other in zip(whole.module.parameters(), parts.module.parameters(), strict=True):
        assert torch.equal(one, other)
    assert len(parts.files) > 2
    with pytest.raises(DataError, match="has no tokenizer"):
        parts.require_tokenizer()
    lost = weight_files(tmp_path)[1]
    lost.unlink()
    with pytest.raises(DataError, match=f"{lost.name} is missing, a shard"):
        load_model(tmp_path, device="cpu")


def test_half_precision_weights_are_read_as_float32(llama):
    path = llama / "model.safetensors"
    stored = {key: tensor.bfloat16() for key, tensor in load_file(path).items()}
    save_file(stored, path, metadata={"format": "pt"})
    change_config(llama, dtype="bfloat16")
    model = load_model(llama, device="cpu")
    weight = model.module.model.layers[0].mlp.up_proj.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight, stored["model.layers.0.mlp.up_proj.weight"].float())


def test_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match="There is no model at"):
        load_model(tmp_path / "none", device="cpu")
    with pytest.raises(DataError, match=r"has no weights: there is no model.safetensors"):
        load_model(tmp_path, device="cpu")
    file = tmp_path / "some.bin"
    file.write_bytes(b"x")
    with pytest.raises(DataError, match=r"neither a model folder nor a .gguf file"):
        load_model(file, device="cpu")


def test_pickles_are_named_and_never_opened(llama):
    (llama / "model.safetensors").unlink()
    (llama / "pytorch_model.bin").write_bytes(b"\x80\x04cposix\nsystem\n(S'touch /tmp/x'\ntR.")
    with pytest.raises(DataError, match=r"pytorch_model.bin is not read, since such files can run"):
        load_model(llama, device="cpu")


def test_a_truncated_file(llama):
    path = llama / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"model.safetensors is no readable safetensors file"):
        load_model(llama, device="cpu")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_tensor_that_is_not_finite_is_named(llama, value):
    path = llama / "model.safetensors"
    stored = load_file(path)
    stored["model.layers.1.mlp.up_proj.weight"][3, 5] = value
    save_file(stored, path, metadata={"format": "pt"})
    with pytest.raises(TensorError, match=r"'model.layers.1.mlp.up_proj.weight' of .* NaN or inf"):
        load_model(llama, device="cpu")


def test_weights_that_do_not_fit_the_configuration(llama):
    change_config(llama, num_hidden_layers=3)
    with pytest.raises(DataError, match=r"lack 9 tensors of the model, such as 'model.layers.2"):
        load_model(llama, device="cpu")
    change_config(llama, num_hidden_layers=2, intermediate_size=80)
    with pytest.raises(DataError, match="llama"):
        load_model(llama, device="cpu")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model_type": "llamarama", "architectures": None}, "llamarama"),
        ({"model_type": "vit", "architectures": ["ViTModel"]}, "only causal language"),
        (
            {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]},
            "only causal language",
        ),
        ({"quantization_config": {"quant_method": "gptq"}}, "is already quantized"),
    ],
)
def test_models_of_other_kinds(llama, changes, sentence):
    change_config(llama, **changes)
    with pytest.raises(DataError, match=sentence):
        load_model(llama, device="cpu")


def test_code_beside_a_model_is_not_run(llama):
    ran = llama / "ran"
    (llama / "code.py").write_text(f"open({str(ran)!r}, 'w')\n")
    auto_map = {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}
    change_config(llama, auto_map=auto_map)
    assert load_model(llama, device="cpu").kind == CAUSAL  # transformers knows llama itself
    change_config(llama, model_type="own")
    with pytest.raises(DataError, match="code of its own"):
        load_model(llama, device="cpu")
    assert not ran.exists()


@pytest.mark.parametrize("text", ["{", "[1]", "\x00"])
def test_damaged_configurations(llama, text):
    (llama / "config.json").write_text(text)
    with pytest.raises(DataError, match=r"config\.json"):
        load_model(llama, device="cpu")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '{"weight_map": []}',
        '{"weight_map": {"a": "../b.safetensors"}}',
        '{"weight_map": {}}',
    ],
)
def test_damaged_indices(llama, text):
    (llama / "model.safetensors.index.json").write_text(text)
    with pytest.raises(DataError, match=r"index\.json"):
        load_model(llama, device="cpu")


@pytest.mark.parametrize("data", [b"", b"GG", b"GGUF", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64])
def test_damaged_gguf_files(tmp_path, data):
    path = tmp_path / "broken.gguf"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"broken.gguf"):
        load_model(path, device="cpu")


def test_a_truncated_gguf_file(smollm2, tmp_path):
    path = tmp_path / "half.gguf"
    with smollm2.open("rb") as stream:
        path.write_bytes(stream.read(2**17))
    with pytest.raises(DataError, match=r"half.gguf cannot be loaded as a model"):
        load_model(path, device="cpu")


def test_without_transformers_the_extra_is_named(tiny_models, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ToolError, match=r"install nibblemac with its extra 'models'"):
        load_model(tiny_models / "llama", device="cpu")


def test_devices(monkeypatch):
    assert find_device("cpu").type == "cpu"
    with pytest.raises(UsageError, match="device 'tpu' is unknown; it is one of auto, cpu, cuda"):
        find_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto").type == "cpu"
    with pytest.raises(UsageError, match="CUDA was asked for, but torch"):
        find_device("cuda")


def test_a_real_encoder(minilm):
    model = load_model(minilm, device="cpu")
    assert (model.kind, model.context) == (ENCODER, 512)
    assert sum(p.numel() for p in model.module.parameters()) > 22e6
    ids = token_ids(model, "Hello world")
    assert model.tokenizer.decode(ids) == "[CLS] hello world [SEP]"


def test_sentences_are_told_apart():
    text = "One two three four. Too short! One two three four. A line\nthat goes on\n\nNext: a b c"
    assert sentences(text) == (
        "One two three four.",
        "A line that goes on",
        "Next: a b c",
    )
    assert sentences(text, 2) == sentences(text)[:2]
    assert sentences("") == ()


def test_long_tokens_do_not_shorten_the_text(tiny_models):
    model = load_model(tiny_models / "llama", device="cpu")
    text = "é" * 5000  # two tokens a letter
    assert len(token_ids(model, text, 9000)) == 9000
    assert len(token_ids(model, text)) == 10000

    class LongTokens:
        def __call__(self, part: str, **_: object) -> dict[str, list[int]]:
            return {"input_ids": [1] * (len(part) // 40)}

    from dataclasses import replace

    odd = replace(model, tokenizer=LongTokens())
    assert len(token_ids(odd, "x" * 40000, 700)) == 700
