"""A list that only grows: what is in it can be shown, and so can that nothing was taken out or changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.trust.merkle import EMPTY, Tree, is_consistent, is_included, leaf_hash, node_hash

CASES: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "trust.json").read_bytes())["cases"]
LEAVES = [bytes.fromhex(leaf) for leaf in CASES["rfc6962-tree-roots"]["leaves"]]

leaves = st.lists(st.binary(max_size=4), min_size=1, max_size=40)


def tree_of(entries: list[bytes]) -> Tree:
    tree = Tree()
    for entry in entries:
        tree.append(entry)
    return tree


def by_definition(entries: list[bytes]) -> bytes:
    """The root as RFC 6962 defines it."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return leaf_hash(entries[0])
    half = 1
    while 2 * half < len(entries):
        half *= 2
    return node_hash(by_definition(entries[:half]), by_definition(entries[half:]))


# --- published vectors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "root"), list(enumerate(CASES["rfc6962-tree-roots"]["roots"])))
def test_rfc6962_tree_roots(size: int, root: str) -> None:
    assert tree_of(LEAVES[:size]).root().hex() == root
    assert tree_of(LEAVES).root(size).hex() == root


def test_rfc6962_audit_path() -> None:
    case, tree = CASES["rfc6962-audit-path"], tree_of(LEAVES)
    path = tree.path(case["index"], case["leaves"])
    assert [step.hex() for step in path] == case["path"]
    assert is_included(leaf_hash(LEAVES[3]), 3, 7, path, tree.root(7))


def test_rfc6962_consistency() -> None:
    case, tree = CASES["rfc6962-consistency"], tree_of(LEAVES)
    proof = tree.consistency(case["first"], case["second"])
    assert [step.hex() for step in proof] == case["proof"]
    assert is_consistent(3, tree.root(3), 7, tree.root(7), proof)


# --- properties -------------------------------------------------------------------------------------------------------


@given(leaves)
def test_every_root_on_the_way_is_the_one_of_the_definition(entries: list[bytes]) -> None:
    tree = Tree()
    for count, entry in enumerate(entries, start=1):
        tree.append(entry)
        assert (len(tree), tree.root()) == (count, by_definition(entries[:count]))
    assert [tree.root(size) for size in range(len(entries) + 1)] == [
        by_definition(entries[:size]) for size in range(len(entries) + 1)
    ]


@given(leaves, st.data())
def test_a_path_shows_its_own_entry_at_its_own_place_and_nothing_else(
    entries: list[bytes], data: st.DataObject
) -> None:
    tree = tree_of(entries)
    size = data.draw(st.integers(1, len(entries)))
    index = data.draw(st.integers(0, size - 1))
    path, root, leaf = tree.path(index, size), tree.root(size), leaf_hash(entries[index])
    assert is_included(leaf, index, size, path, root)
    other = data.draw(st.integers(-1, size + 1))
    if other != index:
        assert is_included(leaf, other, size, path, root) is (0 <= other < size and path == tree.path(other, size) and
                                                              leaf == leaf_hash(entries[other]))  # fmt: skip
    assert not is_included(leaf_hash(b"other" * 2), index, size, path, root)
    assert not is_included(leaf, index, size, (*path, EMPTY), root)
    assert not path or not is_included(leaf, index, size, path[:-1], root)
    assert not path or not is_included(leaf, index, size, (EMPTY, *path[1:]), root)


@given(leaves, st.data())
def test_every_beginning_is_consistent_with_every_later_state(entries: list[bytes], data: st.DataObject) -> None:
    tree = tree_of(entries)
    second = data.draw(st.integers(0, len(entries)))
    first = data.draw(st.integers(0, second))
    proof = tree.consistency(first, second)
    roots = tree.root(first), tree.root(second)
    assert is_consistent(first, roots[0], second, roots[1], proof)
    assert not is_consistent(first, roots[0], second, roots[1], (*proof, EMPTY))
    assert not is_consistent(first, b"\x00" * 32, second, roots[1], proof)
    assert first == 0 or not is_consistent(first, roots[0], second, b"\x00" * 32, proof)
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        assert not is_consistent(first, *roots[:1], second, roots[1], proof[:-1])
        assert not is_consistent(first, roots[0], second, roots[1], (*proof[:place], EMPTY, *proof[place + 1 :]))


@given(leaves, st.data())
def test_no_proof_makes_a_changed_list_consistent(entries: list[bytes], data: st.DataObject) -> None:
    """Change, drop or exchange one entry that was seen: no proof of the new list leads back to the old root."""
    seen = data.draw(st.integers(1, len(entries)))
    place = data.draw(st.integers(0, seen - 1))
    forged = [*entries[:place], entries[place] + b"!", *entries[place + 1 :]]
    before, after = tree_of(entries), tree_of(forged)
    for first in range(seen, len(entries) + 1):
        proof = after.consistency(first)
        assert not is_consistent(first, before.root(first), len(after), after.root(), proof)


def test_a_list_that_shrank_is_consistent_with_nothing() -> None:
    tree = tree_of(LEAVES)
    assert not is_consistent(7, tree.root(7), 3, tree.root(3), tree.consistency(3, 7))
    assert not is_consistent(-1, EMPTY, 3, tree.root(3), ())


def test_an_entry_costs_at_most_one_hash_a_level(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def counted(left: bytes, right: bytes) -> bytes:
        nonlocal count
        count += 1
        return node_hash(left, right)

    monkeypatch.setattr("sim.trust.merkle.node_hash", counted)
    tree = Tree()
    for size in range(1, 1025):
        before = count
        tree.append(b"entry")
        assert count - before <= size.bit_length() - 1
    assert count == 1023
    for size in (1, 513, 1000, 1023):
        before = count
        tree.root(size)
        assert count - before == size.bit_count() - 1


@pytest.mark.parametrize("ask", [lambda t: t.root(9), lambda t: t.root(-1), lambda t: t.path(8), lambda t: t.path(3, 3),
                                 lambda t: t.path(-1), lambda t: t.consistency(5, 4), lambda t: t.consistency(-1),
                                 lambda t: t.consistency(3, 9)])  # fmt: skip
def test_what_is_not_in_the_list_is_not_proved(ask: Any) -> None:
    with pytest.raises(IndexError):
        ask(tree_of(LEAVES))
