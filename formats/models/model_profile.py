"""A model's profile as a record: the distributions of its layers' weights, or of their inputs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DataError
from ..exact import shown
from ..files import read_text
from ..outline import Outline
from ..tensor_profile import TensorProfile

WEIGHTS, ACTIVATIONS = "weights", "activations"
_MAX_JSON = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerProfile:
    """The distribution of one layer's weight or inputs: its figures, and what pictures need."""

    tensor: TensorProfile
    outline: Outline

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        return {**self.tensor.to_json(), "outline": self.outline.to_json()}

    @classmethod
    def from_json(cls, record: object, where: str = "the layer's profile") -> "LayerProfile":
        """Rebuild a layer's profile; raises :class:`DataError` for what is none."""
        tensor = TensorProfile.from_json(record, where)
        outline = record.get("outline") if isinstance(record, dict) else None
        return cls(tensor=tensor, outline=Outline.from_json(outline, f"{where}, outline"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelProfile:
    """The profiles of a model's layers, in the model's order.

    ``kind`` is ``weights`` or ``activations``, the inputs of the layers. Distributions are fitted
    to at most ``cap`` values of each, drawn with ``seed``. ``text`` names what the model read for
    its activations, ``tokens`` how much of it. ``quantized`` says in words how the weights were
    rounded before, as a GGUF file's are, and is empty otherwise. ``notes`` are sentences to read
    the figures by, and ``failures`` say which tensors have none and why. ``tools`` are versions by
    name.
    """

    model: str
    kind: str
    layers: tuple[LayerProfile, ...]
    cap: int
    seed: int
    text: str = ""
    tokens: int = 0
    quantized: str = ""
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)

    @property
    def tensors(self) -> tuple[TensorProfile, ...]:
        """The layers' figures alone."""
        return tuple(layer.tensor for layer in self.layers)

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        return {
            "model": self.model,
            "kind": self.kind,
            "cap": self.cap,
            "seed": self.seed,
            "text": self.text,
            "tokens": self.tokens,
            "quantized": self.quantized,
            "notes": list(self.notes),
            "failures": list(self.failures),
            "tools": dict(self.tools),
            "layers": [layer.to_json() for layer in self.layers],
        }

    @classmethod
    def from_json(cls, record: object, where: str = "the profile") -> "ModelProfile":
        """Rebuild a profile; ``where`` names it in the :class:`DataError` for what is none."""
        if not isinstance(record, dict):
            raise DataError(f"{where} is {shown(record)}; it must be a JSON object.")
        layers, tools = record.get("layers"), record.get("tools", {})
        if record.get("kind") not in {WEIGHTS, ACTIVATIONS}:
            raise DataError(
                f"{where}: kind is {shown(record.get('kind'))}; it must be {WEIGHTS!r} or "
                f"{ACTIVATIONS!r}."
            )
        if not isinstance(layers, list) or not layers:
            raise DataError(f"{where}: layers must be a list with at least one layer.")
        if not isinstance(tools, dict) or not all(isinstance(v, str) for v in tools.values()):
            raise DataError(f"{where}: tools must be an object of texts.")
        return cls(
            model=_text(record, "model", where),
            kind=record["kind"],
            layers=tuple(
                LayerProfile.from_json(layer, f"{where}, layer {number}")
                for number, layer in enumerate(layers, 1)
            ),
            cap=_count(record, "cap", where),
            seed=_count(record, "seed", where),
            text=_text(record, "text", where),
            tokens=_count(record, "tokens", where),
            quantized=_text(record, "quantized", where),
            notes=_texts(record, "notes", where),
            failures=_texts(record, "failures", where),
            tools=tools,
        )


def load_profile(path: Path) -> ModelProfile:
    """Read the JSON file of a profile; raises :class:`DataError` for a file that holds none."""
    try:
        record = json.loads(read_text(path, DataError, limit=_MAX_JSON))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is no JSON: {error}.") from error
    return ModelProfile.from_json(record, str(path))


def _text(record: Mapping[str, object], key: str, where: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise DataError(f"{where}: {key} is {shown(value)}; it must be a text.")
    return value


def _count(record: Mapping[str, object], key: str, where: str) -> int:
    value = record.get(key)
    if type(value) is not int or value < 0:
        raise DataError(f"{where}: {key} is {shown(value)}; it must be an integer of at least 0.")
    return value


def _texts(record: Mapping[str, object], key: str, where: str) -> tuple[str, ...]:
    value = record.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DataError(f"{where}: {key} must be a list of texts.")
    return tuple(value)
