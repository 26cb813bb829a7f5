"""A network as ONNX: images and columns in, class probabilities out; compared with PyTorch before it is kept.

The file needs no milkreport: its metadata hold the card, and the JSON beside it says how columns are encoded.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from milkreport.errors import ConfigError, DataError, EnvironmentProblem
from milkreport.models.backbone import load_embedder
from milkreport.models.build import log_probabilities
from milkreport.streams import stream
from milkreport.suite.models import Classifier
from milkreport.training.saved import SavedModel

Floats = npt.NDArray[np.float32]

#: Largest difference of a probability between ONNX Runtime and PyTorch, both in float32.
TOLERANCE = 1e-5
OUTPUT = "probabilities"
CARD_KEY = "milkreport.card"
_RANDOM = 16
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class OnnxInput:
    """One input. ``kind``: image or columns. ``shape``: without the batch."""

    name: str
    view: str
    kind: str
    shape: tuple[int, ...]


class WholeNetwork(nn.Module):
    """From images, 0 to 1, and columns, as the inputs of one call, to class probabilities.

    A frozen backbone is part of it. Views without columns have no input for them.
    """

    def __init__(self, model: SavedModel) -> None:
        super().__init__()
        card = model.card
        assert model.network is not None
        self.network = model.network
        frozen = card.frozen_backbone if card.reads.images else None
        self.embedder = load_embedder(frozen) if frozen else None
        shape = card.reads.shape(len(card.classes))
        self.widths = shape.n_features
        self.inputs: list[OnnxInput] = []
        if shape.images:
            size = (3, shape.image_size, shape.image_size)
            self.inputs += [OnnxInput(f"image_{v}", v, "image", size) for v in shape.views]
        self.n_images = len(self.inputs)
        self.inputs += [
            OnnxInput(f"columns_{v}", v, "columns", (n,))
            for v, n in zip(shape.views, shape.n_features, strict=True)
            if n
        ]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Probabilities float32 (n, n_classes); *inputs* as ``self.inputs`` lists them."""
        images, columns = list(inputs[: self.n_images]), iter(inputs[self.n_images :])
        features = [
            next(columns) if width else inputs[0].new_zeros((inputs[0].shape[0], 0))
            for width in self.widths
        ]
        if self.embedder is not None:
            images = [self.embedder(view) for view in images]
        return log_probabilities(self.network, self.network(images, features)).exp()


@dataclass(frozen=True)
class Parity:
    """How far ONNX Runtime is from PyTorch: the largest difference of a probability, over so many cases."""

    random_cases: int
    real_cases: int
    largest_difference: float
    tolerance: float = TOLERANCE


@dataclass(frozen=True)
class OnnxModel:
    """``data``: the file. ``opset``: the version of ONNX's operators that it uses."""

    data: bytes
    inputs: tuple[OnnxInput, ...]
    opset: int
    parity: Parity


def to_onnx(model: SavedModel, real: Sequence[Floats] = ()) -> OnnxModel:
    """Translate *model* and hold the translation against PyTorch, in memory; nothing is written.

    Args:
        real: one float32 array an input, as :class:`WholeNetwork` lists them: cases to compare on beside
            the random ones.

    Raises:
        ConfigError: the model is no network. EnvironmentProblem: a package is missing.
        DataError: the network cannot be translated, or the translation answers otherwise.
    """
    refuse_no_network(model)
    whole = WholeNetwork(model).eval()
    data, opset = _translate(whole, model.card.model_dump_json())
    random = _random_inputs(whole.inputs)
    worst = _largest_difference(whole, data, random)
    worst = max(worst, _largest_difference(whole, data, [a[:1] for a in random]))  # another batch
    n_real = len(real[0]) if real else 0
    if n_real:
        worst = max(worst, _largest_difference(whole, data, real))
    parity = Parity(_RANDOM, n_real, worst)
    if not worst <= TOLERANCE:  # nan is no parity either
        what = f"ONNX Runtime's probabilities differ from PyTorch's by {worst:.2g}, more than {TOLERANCE:g}"
        raise DataError(what, "nothing is written; export as safetensors")
    return OnnxModel(data, tuple(whole.inputs), opset, parity)


def refuse_no_network(model: SavedModel) -> None:
    """Raise a ConfigError for a classifier, an EnvironmentProblem where a package is missing."""
    if isinstance(model.card.model, Classifier):
        what = f"{model.card.model.name} is a classifier of scikit-learn, and ONNX is for networks here"
        raise ConfigError(what, "use --format safetensors, which copies model.skops and its card")
    if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        what = f"ONNX needs {' and '.join(missing)}"
        raise EnvironmentProblem(what, 'pip install "milkreport[onnx]"')


def _translate(whole: WholeNetwork, card: str) -> tuple[bytes, int]:
    examples = tuple(torch.from_numpy(a[:2]) for a in _random_inputs(whole.inputs))
    batch = torch.export.Dim("n", min=1)
    try:
        with _quiet():
            program = torch.onnx.export(
                whole,
                examples,
                dynamo=True,
                verbose=False,
                external_data=False,
                input_names=[wanted.name for wanted in whole.inputs],
                output_names=[OUTPUT],
                dynamic_shapes=(tuple({0: batch} for _ in examples),),
            )
            assert program is not None
            proto = program.model_proto
    except Exception as error:  # of torch's many kinds
        reason = " ".join(str(error).split())[:200]
        what = f"cannot be translated to ONNX: {type(error).__name__}: {reason}"
        raise DataError(what, "export as safetensors") from error
    # The exporter notes for every node where its source line lies on this machine.
    for part in (proto.graph, *proto.functions):
        for node in part.node:
            del node.metadata_props[:]
            node.doc_string = ""
        del part.metadata_props[:]
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del value.metadata_props[:]
    for tensor in proto.graph.initializer:
        del tensor.metadata_props[:]
    del proto.metadata_props[:]
    proto.producer_name, proto.doc_string = "milkreport", ""
    entry = proto.metadata_props.add()
    entry.key, entry.value = CARD_KEY, card
    opset = max(o.version for o in proto.opset_import if o.domain in ("", "ai.onnx"))
    return proto.SerializeToString(deterministic=True), int(opset)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch and onnxscript print, warn and log."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _random_inputs(inputs: Sequence[OnnxInput]) -> list[Floats]:
    """Random cases, from average ones to full contrast.

    On noise alone many networks are so sure of one class that other weights would answer the same.
    """
    rng = stream(0, "parity")
    arrays = []
    for wanted in inputs:
        shape = (_RANDOM, *wanted.shape)
        contrast = np.linspace(0, 1, _RANDOM).reshape(-1, *[1] * len(wanted.shape))
        if wanted.kind == "image":
            values = 0.5 + contrast * (rng.random(shape) - 0.5)
        else:
            values = contrast * rng.standard_normal(shape)
        arrays.append(values.astype(np.float32))
    return arrays


@torch.inference_mode()
def _largest_difference(whole: WholeNetwork, data: bytes, inputs: Sequence[Floats]) -> float:
    """Largest difference of a probability between both; infinite where ONNX Runtime does not answer."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    named = {wanted.name: array for wanted, array in zip(whole.inputs, inputs, strict=True)}
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        (theirs,) = session.run([OUTPUT], named)
    except Exception as error:  # onnxruntime's own kinds
        what = f"ONNX Runtime does not take the translation: {' '.join(str(error).split())[:200]}"
        raise DataError(what, "export as safetensors") from error
    ours = whole(*(torch.from_numpy(array) for array in inputs)).numpy()
    if theirs.shape != ours.shape:
        return float("inf")
    return float(np.abs(theirs.astype(np.float64) - ours).max())
