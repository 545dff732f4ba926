"""A run that signs: every signature is checked again from the journal's own bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from results.exchange import messages, signatures
from results.run import JOURNAL, Run
from results.verify import verify
from tests.conftest import TWO_HOURS

SIGNED = (*TWO_HOURS, "duration_h=1", "wire.sign=true", "populations.house.count=4", "populations.pv.count=3",
          "populations.ev.count=2", "populations.battery.count=2", "populations.fleet.count=2")  # fmt: skip


@pytest.fixture
def signed(run_street: Callable[..., Run]) -> Run:
    return run_street(*SIGNED)


def with_line(run: Run, tmp_path: Path, action: str, change: Callable[[dict], None]) -> Run:  # type: ignore[type-arg]
    """A copy of the run in which the first message of an action is changed."""
    folder = tmp_path / "copy"
    shutil.copytree(run.path, folder)
    lines = (folder / JOURNAL).read_text(encoding="utf-8").splitlines()
    number = next(n for n, line in enumerate(lines) if '"kind":"message"' in line and f'"action":"{action}"' in line)
    record = json.loads(lines[number])
    change(record)
    lines[number] = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    (folder / JOURNAL).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Run(folder)


def test_a_run_that_signs_is_sound_and_says_how_many_signatures_by_how_many_keys(signed: Run) -> None:
    report = verify(signed)
    assert report.findings == 0
    count = sum(counts["ack"] for counts in signed.manifest["messages"].values())
    everybody = len(signed.participants) - 1  # the treasury has no mailbox
    assert report.audits["signatures"].checked == f"{count:,} signatures by {everybody} keys"


def test_a_run_that_signs_clears_as_the_same_run_that_does_not(signed: Run, run_street: Callable[..., Run]) -> None:
    unsigned = run_street(*SIGNED, "wire.sign=false")
    assert signed.prices.equals(unsigned.prices)
    assert signed.postings.equals(unsigned.postings)
    assert signed.manifest["journalHead"] != unsigned.manifest["journalHead"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: r["body"]["context"].update(ttl="PT31S"), "expected a signature of this body"),
        (lambda r: r.update(t=r["t"] + 1000), "expired"),
        (lambda r: r.pop("signature"), "expected a signature, got none"),
        (lambda r: r.update(signature=r["signature"].replace("|k1|", "|k2|")), "which nobody had registered"),
        (lambda r: r.update(signature=r["signature"].replace('keyId="', 'keyId="not-')), "and signed by not-"),
    ],
    ids=["another body", "another time", "no signature", "another key", "another signer"],
)
def test_a_signature_that_does_not_fit_is_found(signed: Run, tmp_path: Path, change, says: str) -> None:  # type: ignore[no-untyped-def]
    changed = with_line(signed, tmp_path, "confirm", change)
    (finding,) = signatures(changed).findings
    assert says in str(finding)


def test_an_answer_that_names_other_bytes_is_found(signed: Run, tmp_path: Path) -> None:
    changed = with_line(signed, tmp_path, "confirm", lambda r: r["body"]["context"].update(ttl="PT31S"))
    (finding,) = messages(changed).findings
    assert "does not name the bytes of the confirm that it answers" in str(finding)
