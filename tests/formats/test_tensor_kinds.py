"""Layer kinds by the names and shapes in a file, against the layers of the models themselves."""

from pathlib import Path

import pytest
from nibblemac.formats.models.checkpoint import open_checkpoint
from nibblemac.formats.models.layers import kind_of_tensor, model_layers

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
transformers = pytest.importorskip("transformers", reason="the models extra is not installed")

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 50,
}
FEW = {"num_key_value_heads": 1}
SIDES = {f"{side}_layers": 1 for side in ("encoder", "decoder")} | {
    f"{side}_{key}": value
    for side in ("encoder", "decoder")
    for key, value in (("attention_heads", 2), ("ffn_dim", 24))
}
# Where a library keeps other names in memory than in files, such as mixtures of experts, the
# second test says what is right.
MODELS = {
    "BertForMaskedLM": SMALL,
    "GPT2LMHeadModel": {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 50},
    "LlamaForCausalLM": SMALL | FEW,
    "Gemma2ForCausalLM": SMALL | FEW | {"head_dim": 8},
    "OPTForCausalLM": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "ffn_dim": 24,
        "vocab_size": 50,
        "word_embed_proj_dim": 8,
    },
    "BloomForCausalLM": {"hidden_size": 16, "n_layer": 1, "n_head": 2, "vocab_size": 50},
    "T5ForConditionalGeneration": {
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 24,
        "num_layers": 1,
        "num_heads": 2,
        "vocab_size": 50,
    },
    "BartModel": {"d_model": 16, "vocab_size": 50} | SIDES,
    "AlbertForMaskedLM": SMALL | {"embedding_size": 8},
    "ElectraModel": SMALL | {"embedding_size": 8},
    "ResNetForImageClassification": {
        "embedding_size": 8,
        "hidden_sizes": [8, 16],
        "depths": [1, 1],
    },
    "ConvNextModel": {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]},
    "MambaForCausalLM": {"hidden_size": 16, "num_hidden_layers": 1, "vocab_size": 50},
}


@pytest.mark.parametrize("name", MODELS)
def test_names_tell_what_the_model_says(tmp_path: Path, name: str) -> None:
    kind = getattr(transformers, name)
    model = kind(kind.config_class(**MODELS[name]))
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(tmp_path)
    layers = {f"{layer.name}.weight": layer.kind for layer in model_layers(model)}
    assert set(layers.values()) >= {"linear"}
    tensors = open_checkpoint(tmp_path).tensors
    found = {one.name: kind_of_tensor(one.name, one.shape) for one in tensors}
    assert {key: value for key, value in found.items() if value} == {
        key: layers[key] for key in found if key in layers
    }


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("model.layers.0.block_sparse_moe.experts.7.w1.weight", (24, 16), "linear"),
        ("model.layers.0.mlp.experts.gate_up_proj", (8, 16, 48), "linear"),
        ("model.layers.0.mlp.experts.gate_up_proj_bias", (8, 48), None),
        ("embed_out.weight", (50, 16), "linear"),
        ("embeddings_project.weight", (16, 8), "linear"),
        ("vit.embeddings.patch_embeddings.projection.weight", (16, 3, 4, 4), "convolution"),
        ("patch_embed.proj.weight", (16, 48), "linear"),
        ("pos_conv_embed.conv.parametrizations.weight.original0", (1, 1, 4), None),
        ("pos_conv_embed.conv.parametrizations.weight.original1", (16, 8, 4), "convolution"),
        ("conv.weight_g", (1, 1, 4), None),
        ("conv.weight_v", (16, 8, 4), "convolution"),
        ("attn.in_proj_weight", (48, 16), "linear"),
        ("h.0.attn.bias", (1, 1, 32, 32), None),
        ("relative_position_bias_table", (169, 4), None),
        ("block.0.SelfAttention.relative_attention_bias.weight", (32, 2), "embedding"),
        ("transformer.wte.weight", (50, 16), "embedding"),
        ("tok_embeddings.weight", (50, 16), "embedding"),
        ("shared.weight", (50, 16), "embedding"),
        ("shared_expert.weight", (50, 16), "linear"),
        ("norm.weight", (16,), None),
        ("weight", (16, 16), "linear"),
        ("cls_token", (1, 1, 16), None),
    ],
)
def test_names_from_files(name: str, shape: tuple[int, ...], kind: str | None) -> None:
    assert kind_of_tensor(name, shape) == kind
