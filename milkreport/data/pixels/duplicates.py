"""Images that stand under several cases: such cases must not be parted by a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.data.cases import Cases
from milkreport.data.pixels.perceptual_hash import NEAR_DISTANCE
from milkreport.data.pixels.store import PixelStore

#: What counts as a duplicate, for a report.
RULE = (
    "identical: the same pixels as decoded at their own size; near: 256-bit perceptual hashes "
    f"that differ in at most {NEAR_DISTANCE} bits"
)

_COLUMNS = ["kind", "case_a", "view_a", "case_b", "view_b", "distance"]
_HASHES = ("image_hash", "phash")
_CHUNK_PAIRS = 1_000_000  # compared at a time


@dataclass(frozen=True)
class _Image:
    case_id: str
    view: str
    group: str
    image_hash: str
    phash: str


def find_duplicates(cases: Cases, store: PixelStore) -> pd.DataFrame:
    """Links between images of different cases: pixel-identical ones, and ones that look alike.

    Identical: the same pixels before resizing (``image_hash``), whatever the size of *store*; in a store of
    the fast decoder a JPEG and a PNG of the same pixels may count as near instead. Near:
    perceptual hashes at most ``NEAR_DISTANCE`` apart, under different group ids. Images with a problem
    take no part, nor do flat ones as near. Only links are listed that join what no earlier one joined:
    n equal images give n - 1 rows.

    Args:
        store: holds the pixels of *cases*, in their order.

    Returns:
        Columns ``kind`` ("identical" or "near"), ``case_a``, ``view_a``, ``case_b``, ``view_b`` and
        ``distance`` (bits of 256; 0 for identical ones).
    """
    images = _list_images(cases, store)
    links: list[tuple[str, int, int, int]] = []
    _, by_case = np.unique([image.case_id for image in images], return_inverse=True)
    for a, b in _identical_pairs(images):
        if _join(by_case, a, b):
            links.append(("identical", a, b, 0))
    # Groups that identical images join are one group from here on.
    _, by_group = np.unique([image.group for image in images], return_inverse=True)
    for _, a, b, _ in links:
        _join(by_group, a, b)
    links += [("near", *link) for link in _near_links(images, by_group)]
    rows = [
        (kind, images[a].case_id, images[a].view, images[b].case_id, images[b].view, distance)
        for kind, a, b, distance in links
    ]
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"distance": "int64"})


def join_groups(cases: Cases, duplicates: pd.DataFrame, near: bool) -> tuple[list[str], int]:
    """Group ids under which cases that share an image stay together.

    Args:
        duplicates: of :func:`find_duplicates`; a case that is not among *cases* still links others.
        near: whether images that look alike count too.

    Returns:
        A group id for each case (groups that are linked become one, named by their first), and the
        number of groups that came into being this way.
    """
    groups = [str(group) for group in cases.table["group_id"]]
    group_of = dict(zip(cases.table["case_id"], groups, strict=True))
    parent: dict[tuple[bool, str], tuple[bool, str]] = {}

    def root(case: str) -> tuple[bool, str]:
        # (False, group) sorts before (True, case that is not among these): groups name groups.
        node = (False, group_of[case]) if case in group_of else (True, case)
        while node != (above := parent.setdefault(node, node)):
            parent[node] = node = parent[above]
        return node

    wanted = duplicates if near else duplicates[duplicates["kind"] == "identical"]
    for case_a, case_b in zip(wanted["case_a"], wanted["case_b"], strict=True):
        one, other = sorted((root(case_a), root(case_b)))
        parent[other] = one
    joined = [root(case)[1] for case in cases.table["case_id"]]
    members = defaultdict(set)
    for group, name in zip(groups, joined, strict=True):
        members[name].add(group)
    return joined, sum(len(inside) > 1 for inside in members.values())


def _list_images(cases: Cases, store: PixelStore) -> list[_Image]:
    table, records = cases.table, store.images
    if list(records["case_id"][:: len(cases.views)]) != list(table["case_id"]):
        raise ValueError("the store holds other cases")
    groups = dict(zip(table["case_id"], table["group_id"], strict=True))
    sound = records[(records["problem"] == "") & (records["file"] != "")]
    columns = (sound[name] for name in ("case_id", "view", *_HASHES))
    return [
        _Image(case_id, view, str(groups[case_id]), *hashes)
        for case_id, view, *hashes in zip(*columns, strict=True)
    ]


def _join(labels: npt.NDArray[np.int64], a: int, b: int) -> bool:
    """Give the components of *a* and *b* one label; False if they have one already."""
    if labels[a] == labels[b]:
        return False
    labels[labels == labels[b]] = labels[a]
    return True


def _identical_pairs(images: Sequence[_Image]) -> Iterator[tuple[int, int]]:
    """The first of each set of identical images with each other one."""
    for first, *others in _gather((image.image_hash, i) for i, image in enumerate(images)):
        yield from ((first, other) for other in others)


def _gather(pairs: Iterable[tuple[str, int]]) -> list[list[int]]:
    """Positions by text, those texts that stand several times."""
    found: dict[str, list[int]] = defaultdict(list)
    for text, position in pairs:
        found[text].append(position)
    return [positions for positions in found.values() if len(positions) > 1]


def _near_links(
    images: Sequence[_Image], labels: npt.NDArray[np.int64]
) -> Iterator[tuple[int, int, int]]:
    """Pairs of images and their distance that join components of *labels*; joins them."""
    # Equal hashes are linked to their first, so that the search is over distinct ones.
    first: dict[str, int] = {}
    for i, image in enumerate(images):
        if image.phash and _join(labels, one := first.setdefault(image.phash, i), i):
            yield one, i, 0
    distinct = np.array(list(first.values()), np.int64)
    rows = np.array([list(bytes.fromhex(phash)) for phash in first], np.uint8)
    for a, b, distance in _near_pairs(rows):
        if _join(labels, distinct[a], distinct[b]):
            yield int(distinct[a]), int(distinct[b]), distance


def _near_pairs(rows: npt.NDArray[np.uint8]) -> Iterator[tuple[int, int, int]]:
    """Pairs (a, b) of hashes, a before b, at most ``NEAR_DISTANCE`` apart; by b, the nearest a first.

    Of ``NEAR_DISTANCE`` + 1 pieces of two such hashes at least one is equal (Norouzi, Punjani and Fleet,
    "Fast search in Hamming space with multi-index hashing", 2012): only hashes that share a piece are
    compared, which leaves one pair in hundreds, and misses none.

    Args:
        rows: uint8 of shape (n, bytes of a hash).
    """
    if not len(rows):
        return
    words = rows.view(np.uint64)
    found: list[npt.NDArray[np.int64]] = [np.empty((0, 3), np.int64)]
    for piece in np.array_split(np.unpackbits(rows, axis=1), NEAR_DISTANCE + 1, axis=1):
        keys = piece @ (1 << np.arange(piece.shape[1], dtype=np.int64))
        order = np.argsort(keys, kind="stable")
        ends = np.searchsorted(keys[order], keys[order], side="right")
        # Each hash with all that follow it among those of the same piece.
        followers = ends - np.arange(len(order)) - 1
        total = np.cumsum(followers)
        cuts = np.searchsorted(total, np.arange(_CHUNK_PAIRS, total[-1], _CHUNK_PAIRS))
        for mine in np.split(np.arange(len(order)), np.unique(cuts)):
            n = followers[mine]
            a = np.repeat(mine, n)
            b = a + 1 + np.arange(len(a)) - np.repeat(np.cumsum(n) - n, n)
            a, b = order[a], order[b]
            distance = np.bitwise_count(words[a] ^ words[b]).sum(axis=1, dtype=np.int64)
            near = distance <= NEAR_DISTANCE
            found.append(np.stack([a[near], b[near], distance[near]], axis=1))
    pairs = np.unique(np.concatenate(found), axis=0)
    for a, b, distance in pairs[np.lexsort((pairs[:, 0], pairs[:, 2], pairs[:, 1]))].tolist():
        yield a, b, distance
