"""The bodies of the trade ledger: what its examples say follows from the rows that they tell of."""

from __future__ import annotations

import msgspec
import pytest

from sim.contracts.trade_rows import row_digest
from sim.wire.examples import EXAMPLES, ledger
from sim.wire.messages import AUXILIARY_ACTIONS, CORE_ACTIONS
from sim.wire.trade_ledger import LedgerReceipt, LedgerRow, LedgerRows


@pytest.mark.parametrize("row", ledger.STATES, ids=["pending", "confirmed", "produced", "completed"])
def test_the_digest_of_an_example_is_that_of_its_row(row: LedgerRow) -> None:
    read = msgspec.json.decode(msgspec.json.encode(row), type=LedgerRow)
    assert row_digest(read) == row.rowDigest


def test_each_write_is_answered_with_the_digest_after_it_and_a_reader_sees_the_row_as_it_stands() -> None:
    receipts = [m.content for action in ("ledger/on_put", "ledger/on_record") for m in EXAMPLES[action]]
    digests = [receipt.rowDigest for receipt in receipts if isinstance(receipt, LedgerReceipt)]
    assert digests == [row.rowDigest for row in ledger.STATES]
    assert len({*digests}) == 4
    (found,) = EXAMPLES["ledger/on_get"]
    assert isinstance(found.content, LedgerRows)
    assert [row.rowDigest for row in found.content.records] == [ledger.STATES[2].rowDigest]


def test_no_auxiliary_action_redefines_one_of_the_core() -> None:
    assert not AUXILIARY_ACTIONS.keys() & CORE_ACTIONS.keys()
