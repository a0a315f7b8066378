"""Loading a transformers model from a folder or a GGUF file, and nothing but data.

No code of a model's is run, no pickle is read, nothing is fetched: weights are safetensors or GGUF.
"""

import contextlib
import json
import os
import warnings
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, NibblemacError, TensorError, ToolError
from ..exact import shown
from ..files import read_text
from ..safetensors_file import tensor_names
from .device import find_device
from .gguf_file import check_gguf, gguf_note, quick_gguf

if TYPE_CHECKING:
    import torch
    from torch import nn

CAUSAL, ENCODER = "causal language model", "encoder"
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_MAX_JSON = 64 * 2**20
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt", "tf_model.h5", "flax_model.msgpack")
#: Parts of encoders that the mean of the last hidden states does not need.
_UNUSED = ("pooler.", "embeddings.position_ids")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoadedModel:
    """A model in float32, for inference only, and its tokenizer.

    ``kind`` is one of the module's two; ``files`` hold the weights. ``note`` says what the weights
    already went through (a GGUF file's own quantization), and is empty otherwise.
    """

    name: str
    path: Path
    kind: str
    module: "nn.Module"
    tokenizer: Any
    device: "torch.device"
    files: tuple[Path, ...]
    note: str = ""

    def require_tokenizer(self) -> Any:
        """Return the tokenizer; raises :class:`DataError` where the model came without one."""
        if self.tokenizer is None:
            raise DataError(
                f"{self.path} has no tokenizer (tokenizer.json and tokenizer_config.json); text "
                "cannot be given to the model. Put the tokenizer's files into the folder."
            )
        return self.tokenizer

    @property
    def context(self) -> int | None:
        """The most tokens that the model takes at once; None where nothing says so."""
        config: Any = self.module.config
        keys = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
        found = [getattr(config, key, None) for key in keys]
        if self.kind == ENCODER:
            # RoBERTa and its like have more positions than they take tokens.
            found.append(getattr(self.tokenizer, "model_max_length", None))
        known = [one for one in found if isinstance(one, int) and one > 0]
        return min(known, default=None)


def load_model(path: str | os.PathLike[str], *, device: str = "auto") -> LoadedModel:
    """Load a model folder (configuration, safetensors, tokenizer) or a GGUF file.

    Raises :class:`ToolError` where transformers is not installed, :class:`DataError` for what is
    no readable model or of an unknown kind, :class:`TensorError` for a parameter with NaN or
    infinities, and :class:`UsageError` as :func:`.find_device` does.
    """
    place = Path(path)
    target = find_device(device)
    transformers = require_transformers()
    options: dict[str, str] = {}
    folder = place
    if place.is_dir():
        files = weight_files(place)
        _check_configuration(place, transformers.CONFIG_MAPPING)
    elif place.suffix.casefold() == ".gguf":
        check_gguf(place)
        files, folder = (place,), place.absolute().parent
        options = {"gguf_file": place.name}
    elif place.exists():
        raise DataError(
            f"{place} is neither a model folder nor a .gguf file; to load a model takes its "
            "configuration and tokenizer too."
        )
    else:
        raise DataError(f"There is no model at {place}; give a model folder or a .gguf file.")
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet(transformers))
        stack.enter_context(_sentences(place))
        if options:
            stack.enter_context(quick_gguf(place))
        note = gguf_note(place) if options else ""
        config = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **options
        )
        kind, maker = _maker(transformers, config, place)
        module, info = maker.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=None if options else True,
            dtype=_float32(),
            output_loading_info=True,
            **options,
        )
        tokenizer = _tokenizer(transformers, folder, options)
    if getattr(module, "main_input_name", "input_ids") != "input_ids":
        raise _unfit(place, config)
    _check_complete(info, kind, place)
    module.eval().requires_grad_(requires_grad=False)
    _check_finite(module, place)
    return LoadedModel(
        name=place.stem if options else place.resolve().name,
        path=place,
        kind=kind,
        module=module.to(target),
        tokenizer=tokenizer,
        device=target,
        files=files,
        note=note,
    )


def require_transformers() -> Any:
    """Import transformers, kept off the network; raises :class:`ToolError` where it is absent."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import transformers  # noqa: PLC0415 - optional and slow
    except ImportError as error:
        raise ToolError(
            "transformers is not installed, which loads models; install nibblemac with its extra "
            "'models', as in pip install 'nibblemac[models]'."
        ) from error
    return transformers


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return a model folder's safetensors files, each of which has a readable header.

    Raises :class:`DataError` where there are none, one of the index is missing, or one is damaged.
    """
    if (folder / _INDEX).is_file():
        files = _indexed(folder)
    elif (folder / _WEIGHTS).is_file():
        files = (folder / _WEIGHTS,)
    else:
        others = sorted(found.name for glob in _PICKLES for found in folder.glob(glob))
        hint = "Give a folder with a configuration, weights and a tokenizer."
        if others:
            hint = (
                f"{others[0]} is not read, since such files can run code; convert it to "
                "safetensors."
            )
        raise DataError(f"{folder} has no weights: there is no {_WEIGHTS} and no index. {hint}")
    for path in files:
        if not tensor_names(path):
            raise DataError(f"{path} holds no tensors.")
    return files


def _indexed(folder: Path) -> tuple[Path, ...]:
    path = folder / _INDEX
    try:
        shards = json.loads(read_text(path, DataError, limit=_MAX_JSON))["weight_map"]
        names = sorted(set(shards.values()))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, NibblemacError):
            raise
        raise DataError(f"{path} is no index of shards: it needs a JSON weight_map.") from error
    if not names:
        raise DataError(f"{path} names no shards.")
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise DataError(f"{path} names the shard {shown(name)}, which is no plain file name.")
        if not (folder / name).is_file():
            raise DataError(f"{folder / name} is missing, a shard that {_INDEX} names.")
    return tuple(folder / name for name in names)


def _check_configuration(folder: Path, known: Container[str]) -> None:
    path = folder / "config.json"
    text = read_text(path, DataError)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}.") from error
    if not isinstance(record, dict):
        raise DataError(f"{path} holds no JSON object.")
    if "auto_map" in record and record.get("model_type") not in known:
        raise DataError(
            f"{folder} is a model with code of its own ({path.name} has an auto_map), which is "
            "never run; give a model of a kind that transformers knows."
        )
    if "quantization_config" in record:
        raise DataError(
            f"{folder} is already quantized (quantization_config in config.json); give the "
            "unquantized model."
        )


def _maker(transformers: Any, config: Any, place: Path) -> tuple[str, Any]:
    """Return the kind of model that a configuration means, and the class that loads it."""
    names = [str(name) for name in getattr(config, "architectures", None) or ()]
    kind = str(config.model_type)
    tables = transformers.models.auto.modeling_auto
    if not names:
        causal = kind in tables.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        masked = kind in tables.MODEL_FOR_MASKED_LM_MAPPING_NAMES
        names = ["ForCausalLM"] if causal and not masked else ["Model"]
    text_only = not any(hasattr(config, key) for key in ("vision_config", "audio_config"))
    if any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names):
        if kind in tables.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and text_only:
            return CAUSAL, transformers.AutoModelForCausalLM
    elif (
        kind in tables.MODEL_MAPPING_NAMES
        and text_only
        and hasattr(config, "vocab_size")
        and not getattr(config, "is_encoder_decoder", False)
        and not any(name.endswith("ForConditionalGeneration") for name in names)
    ):
        return ENCODER, transformers.AutoModel
    raise _unfit(place, config)


def _unfit(place: Path, config: Any) -> DataError:
    names = ", ".join(map(str, getattr(config, "architectures", None) or ()))
    return DataError(
        f"{place} is a model of the kind {str(config.model_type)!r:.60} ({names[:120]}); only "
        "causal language models and text encoders are supported."
    )


def _tokenizer(transformers: Any, folder: Path, options: dict[str, str]) -> Any:
    parts = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "*.model")
    if not options and not any(any(folder.glob(name)) for name in parts):
        return None
    return transformers.AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, **options
    )


def _check_complete(info: dict[str, Any], kind: str, place: Path) -> None:
    """Refuse a model of which a part would be left at random values."""
    missing = sorted(
        name
        for name in info.get("missing_keys", ())
        if not (kind == ENCODER and name.startswith(_UNUSED))
    )
    if missing:
        raise DataError(
            f"The weights of {place} lack {len(missing)} tensors of the model, such as "
            f"{missing[0]!r:.120}; the file does not fit the configuration."
        )
    wrong = info.get("mismatched_keys", ())
    if wrong:
        raise DataError(
            f"{place}: {len(wrong)} tensors have another shape than the configuration says, such "
            f"as {sorted(map(str, wrong))[0]:.120}."
        )


def _check_finite(module: "nn.Module", place: Path) -> None:
    for name, tensor in module.named_parameters():
        # The sum is finite if all values are, and overflows for none that a model has.
        if not bool(tensor.sum().isfinite()) and not bool(tensor.isfinite().all()):
            raise TensorError(
                f"The tensor {name!r:.120} of {place} holds NaN or infinite values; only finite "
                "weights can be evaluated."
            )


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep bars and advice of transformers off the terminal; what matters is checked here."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _sentences(place: Path) -> Iterator[None]:
    """Turn what a damaged or unknown model makes transformers raise into a sentence."""
    try:
        yield
    except (NibblemacError, MemoryError):
        raise
    except ImportError as error:
        lines = str(error).strip().splitlines() or ["a package is missing"]
        raise ToolError(
            f"{place} cannot be loaded: {lines[0].rstrip('.'):.200}. Install nibblemac with its "
            "extra 'models', as in pip install 'nibblemac[models]'."
        ) from error
    except Exception as error:
        # Transformers and what it calls raise nearly anything on files that are not right.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = (lines or [type(error).__name__])[0].rstrip(".")
        raise DataError(f"{place} cannot be loaded as a model: {said:.300}.") from error


def _float32() -> "torch.dtype":
    import torch  # noqa: PLC0415 - slow

    return torch.float32
