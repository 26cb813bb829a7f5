"""What a training failed of, in words that say what to do."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_UNDETERMINED = re.compile(r"(\S+) does not have a deterministic implementation")
_CPU_MEMORY = re.compile(r"DefaultCPUAllocator: (not enough|can't allocate) memory")


class TrainingFailed(Exception):
    """This training cannot go on; others can. The message says why and what to do."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether *error* says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and bool(_CPU_MEMORY.search(str(error)))


def undetermined_operation(message: str) -> str:
    """The operation that PyTorch says has no deterministic implementation; "" if it says no such thing."""
    found = _UNDETERMINED.search(message)
    return found[1] if found else ""


def refuse_undetermined(
    error: RuntimeError, network: nn.Module, again: Callable[[], object]
) -> None:
    """Return if *error* is no refusal of a nondeterministic operation; else name it and its layer.

    Args:
        again: does what failed once more; nothing may have changed since.

    Raises:
        TrainingFailed: the operation, the layer, what to do.
    """
    operation = undetermined_operation(str(error))
    if operation:
        raise TrainingFailed(
            f"{operation} in {_find_layer(network, again)} has no deterministic implementation on "
            "this device: set training.determinism to warn or off, or change that layer"
        ) from error


@contextmanager
def telling_undetermined(tell: Callable[[str], None]) -> Iterator[None]:
    """Within it, PyTorch's warnings of nondeterministic operations become one line each, told once."""
    told = set()
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=f".*{_UNDETERMINED.pattern}")
        show = warnings.showwarning

        def sort(message: Warning | str, *rest: Any, **named: Any) -> None:
            operation = undetermined_operation(str(message))
            if not operation:
                show(message, *rest, **named)
            elif operation not in told:
                told.add(operation)
                tell(
                    f"{operation} has no deterministic implementation on this device: "
                    "the same run again may give other weights"
                )

        warnings.showwarning = sort
        yield


def _find_layer(network: nn.Module, again: Callable[[], object]) -> str:
    """The innermost layer that fails, forwards or backwards, while *again* runs.

    Hooks keep track of the layer that runs forwards, and mark each node of the graph as that layer's; the
    node that runs backwards when the error comes then tells the layer. Only done after a failure: it is slow.
    """
    running = ["the network's output"]  # the last is the innermost
    owners: dict[Any, str] = {}
    names = {
        module: f"layer {name} ({type(module).__name__})" if name else "the network's own forward"
        for name, module in network.named_modules()
    }

    def claim(values: Any, owner: str) -> None:
        nodes = [value.grad_fn for value in _tensors(values)]
        while nodes:
            node = nodes.pop()
            if node is None or node in owners:
                continue
            owners[node] = owner

            def run(_: Any, owner: str = owner) -> None:
                running.append(owner)

            node.register_prehook(run)
            nodes += [further for further, _ in node.next_functions]

    def enter(module: nn.Module, inputs: Any) -> None:
        claim(inputs, running[-1])  # what led here belongs to the layer around this one
        running.append(names[module])

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        claim(output, running.pop())

    hooks = [m.register_forward_pre_hook(enter) for m in names]
    hooks += [m.register_forward_hook(leave) for m in names]
    try:
        again()
    except RuntimeError:
        return running[-1]
    finally:
        for hook in hooks:
            hook.remove()
    return "a layer that could not be found"


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _tensors(value)
