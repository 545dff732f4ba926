"""A tree of hashes over a list that only grows.

Its root stands for the whole list; a path shows that something stands in it, and a proof of consistency that what one saw
earlier is the beginning of it.  Hashes are SHA-256, 32 bytes.
Source: RFC 6962, "Certificate Transparency", section 2.1; verification as in RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

EMPTY = hashlib.sha256().digest()
"""The root of nothing."""

Proof = tuple[bytes, ...]


def leaf_hash(data: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The tree over everything appended so far.  Keeps the hash of every complete subtree, two for each entry."""

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, data: bytes) -> None:
        """Add one entry at the end; at most log₂ n hashes, two on average."""
        self._levels[0].append(leaf_hash(data))
        for level, hashes in enumerate(self._levels):
            if len(hashes) % 2:
                return
            if level + 1 == len(self._levels):
                self._levels.append([])
            self._levels[level + 1].append(node_hash(*hashes[-2:]))

    def root(self, size: int | None = None) -> bytes:
        """The root of the first ``size`` entries, or of all; log₂ n hashes.  Raises ``IndexError`` beyond the last one."""
        size = self._known(len(self) if size is None else size)
        return self._hash(0, size) if size else EMPTY

    def path(self, index: int, size: int | None = None) -> Proof:
        """The audit path of an entry: with it, the root of the first ``size`` entries follows from the entry's hash.

        Raises ``IndexError`` for an entry that is not among them.
        """
        size = self._known(len(self) if size is None else size)
        if not 0 <= index < size:
            raise IndexError(f"entry {index} is not among the first {size}")
        return tuple(self._path(index, 0, size))

    def consistency(self, first: int, second: int | None = None) -> Proof:
        """The proof that the first ``first`` entries begin the first ``second`` (or all); empty where nothing is to prove."""
        second = self._known(len(self) if second is None else second)
        if not 0 <= first <= second:
            raise IndexError(f"the first {first} entries are not among the first {second}")
        return tuple(self._subproof(first, 0, second, whole=True)) if first not in (0, second) else ()

    def _known(self, size: int) -> int:
        if not 0 <= size <= len(self):
            raise IndexError(f"there are {len(self)} entries, and not {size}")
        return size

    def _hash(self, start: int, end: int) -> bytes:
        """The hash of a subtree; ``start`` is where one of its size may begin, so that complete ones are known."""
        size = end - start
        if size & (size - 1) == 0:
            return self._levels[size.bit_length() - 1][start // size]
        middle = start + _split(size)
        return node_hash(self._hash(start, middle), self._hash(middle, end))

    def _path(self, index: int, start: int, end: int) -> Iterator[bytes]:
        if end - start == 1:
            return
        middle = start + _split(end - start)
        if index < middle:
            yield from self._path(index, start, middle)
            yield self._hash(middle, end)
        else:
            yield from self._path(index, middle, end)
            yield self._hash(start, middle)

    def _subproof(self, first: int, start: int, end: int, *, whole: bool) -> Iterator[bytes]:
        """whole: whether the earlier tree is this very subtree so far, whose hash the reader has."""
        if first == end:
            if not whole:
                yield self._hash(start, end)
            return
        middle = start + _split(end - start)
        if first <= middle:
            yield from self._subproof(first, start, middle, whole=whole)
            yield self._hash(middle, end)
        else:
            yield from self._subproof(first, middle, end, whole=False)
            yield self._hash(start, middle)


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether an entry with this hash (``leaf_hash``) stands at ``index`` in the tree of this size and root."""
    if not 0 <= index < size:
        return False
    found = leaf
    sides = _sides(index, size - 1, len(path))
    if sides is None:
        return False
    for sibling, is_left in zip(path, sides, strict=True):
        found = node_hash(sibling, found) if is_left else node_hash(found, sibling)
    return found == root


def is_consistent(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of size ``first`` is the beginning of the one of size ``second``.  Everything begins with nothing."""
    if not 0 <= first <= second:
        return False
    if first in (0, second):
        return not proof and first_root == (EMPTY if first == 0 else second_root)
    number, last, hashes = first - 1, second - 1, list(proof)
    if first & number == 0:
        hashes.insert(0, first_root)  # a complete tree is a subtree of every later one, and its hash is left out
    while number % 2:
        number, last = number >> 1, last >> 1
    sides = _sides(number, last, len(hashes) - 1)
    if sides is None:
        return False
    before = after = hashes[0]
    for sibling, is_left in zip(hashes[1:], sides, strict=True):
        before = node_hash(sibling, before) if is_left else before
        after = node_hash(sibling, after) if is_left else node_hash(after, sibling)
    return before == first_root and after == second_root


def _sides(number: int, last: int, steps: int) -> list[bool] | None:
    """On the way from node ``number`` of a level that ends with ``last`` up to the root: whether each sibling stands left.

    None where the way has another number of steps.
    """
    sides: list[bool] = []
    while last and len(sides) <= steps:
        is_left = number % 2 == 1 or number == last
        sides.append(is_left)
        while is_left and number % 2 == 0 and number:  # a subtree without a sibling on this level rises as it is
            number, last = number >> 1, last >> 1
        number, last = number >> 1, last >> 1
    return sides if len(sides) == steps else None


def _split(size: int) -> int:
    """The largest power of two below ``size`` (> 1)."""
    return 1 << (size - 1).bit_length() - 1
