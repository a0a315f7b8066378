"""A model's layers with weights: which there are, of what kind, and which way their sums run.

A layer's *kind* comes from its class: ``linear`` (transformers' Conv1D is one, with its weight
transposed), ``convolution``, ``embedding``. Its *role* comes from the names on the way to it:
``attention``, ``feed-forward``, ``head`` (what makes the model's output) or ``other``.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import DataError, UsageError
from ..exact import shown

if TYPE_CHECKING:
    from torch import Tensor, nn

LINEAR, CONVOLUTION, EMBEDDING = "linear", "convolution", "embedding"
KINDS = (LINEAR, CONVOLUTION, EMBEDDING)
ATTENTION, FEED_FORWARD, HEAD, OTHER = "attention", "feed-forward", "head", "other"
ROLES = (ATTENTION, FEED_FORWARD, HEAD, OTHER)

_ROLES = (
    (HEAD, re.compile(r"(^|\.)(lm_head|score|classifier|cls|qa_outputs|embed_out|pooler)(\.|$)")),
    (
        ATTENTION,
        re.compile(
            r"attn|attention|(^|\.)([qkvo]_proj|[qkvo]_lin|query|key|value|query_key_value|qkv|"
            r"wq|wk|wv|wo|out_proj)(\.|$)"
        ),
    ),
    (
        FEED_FORWARD,
        re.compile(
            r"mlp|ffn|feed_?forward|intermediate|expert|"
            r"(^|\.)(fc[123]?|fc_in|fc_out|lin[12]|w[123]|dense_h_to_4h|dense_4h_to_h|"
            r"(gate|up|down)_proj|output\.dense|wi|wi_[01])(\.|$)"
        ),
    ),
)
# By a tensor's last module: word_embeddings is one, embed_out and patch_embed.proj are none.
_EMBEDDING = re.compile(
    r"(^|[._])(embed|embd|embeddings?)(_(?!out|proj|hidden)\w+)?$"
    r"|(^|\.)(wte|wpe|shared|relative_attention_bias)$"
)
_DIRECTION = re.compile(r"\.(parametrizations\.weight\.original1|weight_v)$")
_EXPERTS = re.compile(r"(^|\.)experts\.(gate_up|gate|up|down)_proj$")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Layer:
    """A module with a weight, under its name in the model."""

    name: str
    kind: str
    role: str
    module: "nn.Module"
    transposed: bool = False

    @property
    def weight(self) -> "Tensor":
        """The module's own weight, in its own shape."""
        weight: Tensor = self.module.weight  # type: ignore[assignment]
        return weight

    def matrix(self) -> "Tensor":
        """Return the weight as (outputs, inputs), detached: sums run along the last axis.

        A convolution's inputs are flattened. It is a view wherever one can be.
        """
        weight = self.weight.detach()
        return weight.t() if self.transposed else weight.flatten(1)

    def put(self, matrix: "Tensor") -> None:
        """Overwrite the weight, in place, with one of :meth:`matrix`'s shape."""
        weight = self.weight.detach()
        weight.copy_(matrix.t() if self.transposed else matrix.reshape(weight.shape))


def model_layers(model: "nn.Module") -> tuple[Layer, ...]:
    """Return the linear, convolution and embedding layers of a model, in the model's order."""
    from torch import nn  # noqa: PLC0415 - slow

    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    find_head = getattr(model, "get_output_embeddings", None)
    head = find_head() if callable(find_head) else None
    found = []
    for name, module in model.named_modules():
        transposed = False
        if isinstance(module, nn.Linear):
            kind = LINEAR
        elif isinstance(module, convolutions):
            kind = CONVOLUTION
        elif isinstance(module, nn.Embedding):
            kind = EMBEDDING
        elif type(module).__name__ == "Conv1D" and type(module).__module__.startswith(
            "transformers."
        ):
            kind, transposed = LINEAR, True
        else:
            continue
        role = HEAD if module is head else OTHER if kind == EMBEDDING else role_of(name)
        found.append(Layer(name=name, kind=kind, role=role, module=module, transposed=transposed))
    return tuple(found)


def role_of(name: str) -> str:
    """Return the role that a layer's or tensor's name tells."""
    for role, pattern in _ROLES:
        if pattern.search(name):
            return role
    return OTHER


def kind_of_tensor(name: str, shape: Sequence[int]) -> str | None:
    """Return the kind of layer that a file's tensor is the weight of, by name and shape alone.

    None for a bias, a normalisation, and all else with fewer than two axes. Of a normalised weight
    it is the direction that counts; a tensor of several experts' weights is linear.
    """
    if _EXPERTS.search(name) and len(shape) == 3:
        return LINEAR
    name = _DIRECTION.sub(".weight", name)
    if not name.endswith("weight") or len(shape) < 2:
        return None
    if len(shape) > 2:
        return CONVOLUTION
    return EMBEDDING if _EMBEDDING.search(name.removesuffix(".weight")) else LINEAR


def check_kinds(wanted: Iterable[str]) -> frozenset[str]:
    """Return what is asked for, kinds and roles; raises :class:`UsageError` for another word."""
    known = (*KINDS, *ROLES)
    asked = frozenset(wanted)
    for word in sorted(asked):
        if word not in known:
            raise UsageError(f"The layer kind {shown(word)} is unknown; it is {_or(known)}.")
    return asked


def select_layers(layers: Iterable[Layer], wanted: Iterable[str]) -> tuple[Layer, ...]:
    """Return the layers of which the kind or the role is asked for.

    Raises :class:`UsageError` for a word that is neither, :class:`DataError` where none is left.
    """
    asked = check_kinds(wanted)
    found = tuple(one for one in layers if one.kind in asked or one.role in asked)
    if not found:
        raise DataError(f"The model has no layer of the kinds {', '.join(sorted(asked))}.")
    return found


def _or(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + " or " + words[-1]
