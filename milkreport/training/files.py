"""What a saved model's files are called, and how a pickle in their place is told; without torch."""

from __future__ import annotations

#: The folder of the fine-tuned model in a fine-tuning's folder.
FINE_TUNED = "model"
CARD_FILE, NETWORK_FILE, CLASSIFIER_FILE = "model.json", "model.safetensors", "model.skops"
#: Bytes by which a safetensors file and a pickle are told apart.
HEAD = 9
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


def is_pickle(head: bytes) -> bool:
    """Whether *head*, the first :data:`HEAD` bytes of a file, begins a pickle or PyTorch's zip around one.

    A safetensors file begins with the length of its header, which may be 80 02: five bytes of zeros and a
    brace follow there, as no pickle has them.
    """
    return head.startswith(_PICKLES) and head[3:] != b"\x00\x00\x00\x00\x00{"
