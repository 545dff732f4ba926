"""Whoever tampers with the contracts of a real run is found, and the first event that does not hold is named.

Each forger is as careful as said: the heads of all commits and the manifest are always made to fit what was written.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from results.run import JOURNAL, MANIFEST, WITNESS, Run
from results.verify import verify
from scenarios.reader import read
from scenarios.runner import execute
from sim.canonical import canonical, hashed
from sim.events import leaf_of
from sim.journal import EVENT_LINE
from sim.trust.attest import attest
from sim.trust.merkle import Tree
from sim.trust.signatory import PARTY
from sim.trust.signature import derive
from sim.trust.witness import KEEPER, Head
from sim.trust.witness import WITNESS as WITNESSES
from tests.conftest import STREET

SMALL = (
    "duration_h=1", "start=2016-05-17T19:00:00", "populations.house.count=3", "populations.pv.count=3",
    "populations.ev.count=4", "populations.battery.count=2", "populations.fleet.count=4",
)  # fmt: skip
SEED = 1
Record = dict[str, Any]
Lines = list[Record]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return execute(read(STREET, SMALL), tmp_path_factory.mktemp("runs") / "sound")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "copy"))


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return execute(read(STREET, [*SMALL, "wire.sign=true"]), tmp_path_factory.mktemp("runs") / "signing")


def journal_of(folder: Path) -> list[bytes]:
    return (folder / JOURNAL).read_bytes().splitlines()


def written(folder: Path, lines: list[bytes]) -> Run:
    """A run with this journal, its commits and its manifest made to fit."""
    raw = b""
    whole = hashlib.sha256()
    for line in lines:
        if line.endswith(b'"kind":"commit"}'):
            line = msgspec.json.encode({**json.loads(line), "head": whole.hexdigest()}, order="sorted")  # noqa: PLW2901
        whole.update(line + b"\n")
        raw += line + b"\n"
    (folder / JOURNAL).write_bytes(raw)
    with_manifest(folder, journalHead=whole.hexdigest(), journalBytes=len(raw))
    return Run(folder)


def with_manifest(folder: Path, **entries: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(manifest | entries))


def events_in(lines: list[bytes], event_type: str = "") -> list[int]:
    return [n for n, line in enumerate(lines) if line.startswith(EVENT_LINE) and event_type.encode() in line]


def found(run: Run) -> list[str]:
    """What the contract log's audit found; no other invariant of files may have noticed."""
    audits = verify(run).audits
    assert not audits["journal"].findings
    assert not audits["tables"].findings
    return [str(finding) for finding in audits["events"].findings]


def named(lines: list[bytes], number: int) -> str:
    """The place and name of the event in a line, as a finding has to begin."""
    event = json.loads(lines[number])["event"]
    return f"journal.jsonl:{number + 1}: {event['eventType']}, event {event['seq']} of {event['contractId']}: "


def dumped(record: Record) -> bytes:
    return canonical(record)


# --- a sound run ------------------------------------------------------------------------------------------------------


def test_every_contract_of_a_run_lives_from_its_creation_to_its_end(sound: Path) -> None:
    lives: dict[str, list[str]] = {}
    for record in Run(sound).journal():
        if record["kind"] == "event":
            lives.setdefault(record["event"]["contractId"], []).append(record["event"]["eventType"])
    assert len(lives) == 3 + 3 + 4 + 2 + 4 + 4  # sites; the aggregator, the retailer, the congestion rent, the losses
    for life in lives.values():
        settling = ("SETTLEMENT_COMPUTED", "SETTLEMENT_SIGNED", "SETTLED")
        assert [step for step in life if step not in (*settling, "ACTIVATED")] in (
            ["CONTRACT_CREATED", "CONFIRMED", "COMPLETED"],
            ["CONTRACT_CREATED", "CONFIRMED", "TERMINATED"],
        )
        assert ("ACTIVATED" in life) == (life[-1] == "COMPLETED")
        assert ("SETTLED" in life) == ("SETTLEMENT_COMPUTED" in life)
        # Statements have signatures; the congestion rent and the losses are settled without one.
        assert life.count("SETTLEMENT_SIGNED") in (0, 2)
    assert max(life.count("SETTLEMENT_COMPUTED") for life in lives.values()) == 4 + 1


def test_a_sound_run_s_events_hold_and_are_counted(sound: Path) -> None:
    run = Run(sound)
    audit = verify(run).audits["events"]
    size = run.manifest["contractLog"]["size"]
    assert audit.findings == ()
    assert audit.checked == f"{size:,} events of 20 contracts; 4 seals"
    assert size == len(events_in(journal_of(sound)))


def test_the_keys_of_the_log_are_in_the_journal_whether_or_not_messages_are_signed(sound: Path, signing: Path) -> None:
    for folder in (sound, signing):
        told = [json.loads(line) for line in journal_of(folder) if line.endswith(b"}") and b'"kind":"signer"' in line]
        signers = [record["era"] for record in told]
        assert signers[:4] == ["utility", "metering", "market", "aggregator"]
        assert sorted(signers[4:]) == sorted(members_that_signed(folder))
        assert [record["publicKey"] for record in told] == [derive(SEED, r["era"]).public_text for r in told]
        assert verify(Run(folder)).findings == 0


def members_that_signed(folder: Path) -> set[str]:
    events = [json.loads(line)["event"] for line in journal_of(folder) if b'"SETTLEMENT_SIGNED"' in line]
    return {event["actor"]["era"] for event in events} - {"market", "aggregator"}


def test_events_are_written_in_the_interval_in_which_they_happened(sound: Path) -> None:
    kinds = [json.loads(line)["kind"] for line in journal_of(sound)]
    for commit in (number for number, kind in enumerate(kinds) if kind == "commit"):
        assert kinds[commit - 1] == "seal"
        assert kinds[commit - 2] == "event"


def test_no_float_stands_in_an_event(sound: Path) -> None:
    def numbers(value: Any) -> Iterator[Any]:
        if isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                yield from numbers(item)
        elif not isinstance(value, str):
            yield value

    for line in journal_of(sound):
        if line.startswith(EVENT_LINE):
            assert {type(number) for number in numbers(json.loads(line))} <= {int}


# --- forgers who hold no key ------------------------------------------------------------------------------------------


def amount_changed(line: bytes) -> bytes:
    """One digit of the first amount another one."""
    record = json.loads(line)
    row = record["event"]["data"]["postings"][0]
    row[3] = row[3][:-1] + ("8" if row[3][-1] != "8" else "9")
    return dumped(record)


def test_one_digit_of_an_amount(folder: Path) -> None:
    lines = journal_of(folder)
    number = next(n for n in events_in(lines, "SETTLEMENT_COMPUTED") if b'"postings":[]' not in lines[n])
    lines[number] = amount_changed(lines[number])
    findings = found(written(folder, lines))
    assert findings[0] == named(lines, number) + "its hash does not follow from what it says: it was changed"
    assert "the journal posts " in findings[1]


def test_one_digit_of_an_amount_with_the_hash_recomputed(folder: Path) -> None:
    lines = journal_of(folder)
    number = next(n for n in events_in(lines, "SETTLEMENT_COMPUTED") if b'"postings":[]' not in lines[n])
    lines[number] = rehashed(json.loads(amount_changed(lines[number])))
    findings = found(written(folder, lines))
    assert findings[0].startswith(named(lines, number) + "is not signed by ")


def rehashed(record: Record) -> bytes:
    event = record["event"]
    body = {key: value for key, value in event.items() if key not in ("hash", "signature")}
    event["hash"] = hashed(canonical(body))
    return dumped(record)


@pytest.mark.parametrize("which", [0, 7, -1])
def test_an_event_that_was_dropped(folder: Path, which: int) -> None:
    lines = journal_of(folder)
    number = events_in(lines)[which]
    contract = json.loads(lines[number])["event"]["contractId"]
    dropped = lines.pop(number)
    findings = found(written(folder, lines))
    if which == -1:
        # Nothing of its contract stands after it: it is missed where the seal counts.
        assert findings[0].startswith(f"journal.jsonl:{number + 1}: seal of interval 3: ")
    else:
        place = json.loads(dropped)["event"]["eventId"]
        assert findings[0].startswith(named(lines, number))
        assert f"is number {int(place) + 1} of the log and stands where {place} is due" in findings[0]
    assert contract in dropped.decode()
    assert any(finding.startswith("journal.jsonl") and "events were sealed, and" in finding for finding in findings)


@pytest.mark.parametrize("apart", [1, 5, 40])
def test_two_events_that_were_exchanged(folder: Path, apart: int) -> None:
    lines = journal_of(folder)
    numbers = events_in(lines)
    first, second = numbers[60], numbers[60 + apart]
    lines[first], lines[second] = lines[second], lines[first]
    findings = found(written(folder, lines))
    assert findings[0].startswith(named(lines, first))
    assert f"is number {60 + apart} of the log and stands where 60 is due" in findings[0]


def test_an_event_that_stands_twice(folder: Path) -> None:
    lines = journal_of(folder)
    number = events_in(lines)[30]
    lines.insert(number + 1, lines[number])
    assert found(written(folder, lines))[0].startswith(named(lines, number + 1))


@pytest.mark.parametrize("forger", ["house-01", "market"])
def test_a_signature_of_somebody_else(folder: Path, forger: str) -> None:
    lines = journal_of(folder)
    number = events_in(lines, "COMPLETED")[0]
    record = json.loads(lines[number])
    event = record["event"]
    role = "PROSUMER" if forger == "market" else event["actor"]["role"]
    event["signature"] = attest(derive(SEED, forger), role, event["hash"])
    lines[number] = dumped(record)
    assert found(written(folder, lines)) == [
        named(lines, number) + f"is not signed by {event['actor']['era']} as {event['actor']['role']}"
    ]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda e: e.update(eventType="CONFIRMED"), "CONFIRMED cannot follow where the contract is ACTIVE"),
        (lambda e: e.update(seq=e["seq"] + 1), "does not continue event"),
        (lambda e: e.update(prevHash="sha256:" + "f" * 64), "does not continue event"),
        (lambda e: e.update(eventId="0"), "is number 0 of the log"),
        (
            lambda e: e.update(timestamp="2016-05-17T18:00:00+02:00"),
            "is of 2016-05-17T18:00:00+02:00, before the event",
        ),
        (lambda e: e.update(timestamp="yesterday"), "'yesterday' is no time"),
        (lambda e: e.update(contractId="another"), "is no beginning"),
        (lambda e: e["actor"].update(role="GRID_OPERATOR"), "speaks as GRID_OPERATOR, which is utility"),
        (lambda e: e["data"].update(cycle="0"), "cannot follow where cycle 0 is COMPUTED"),
        (lambda e: e["data"].pop("cycle"), "does not say which roles or which cycle it is about"),
        (lambda e: e["data"].update(postings=[["energy"]]), "does not tell its postings as rows"),
        (lambda e: e["data"].pop("postings"), "does not tell its postings as rows"),
    ],
)
def test_everything_that_an_event_says_is_checked(folder: Path, change: Callable[[Record], None], what: str) -> None:
    """Even where the forger has the actor's key: hash and signature fit what was changed."""
    lines = journal_of(folder)
    number = next(n for n in events_in(lines, "SETTLEMENT_COMPUTED") if b'"cycle":"2"' in lines[n] and b"PROSUMER" not in lines[n]
                  and b'"era":"market"' in lines[n] and b"MARKET_CLEARING_AGENT" in lines[n] and prosumer(lines, n))  # fmt: skip
    record = json.loads(lines[number])
    change(record["event"])
    lines[number] = resigned(record)
    findings = found(written(folder, lines))
    assert findings[0].startswith(named(lines, number))
    assert what in findings[0]


def prosumer(lines: list[bytes], number: int) -> bool:
    contract = json.loads(lines[number])["event"]["contractId"].encode()
    return any(contract in lines[n] and b'"role":"PROSUMER"' in lines[n] for n in events_in(lines, "CONTRACT_CREATED"))


def resigned(record: Record) -> bytes:
    rehashed(record)
    event = record["event"]
    event["signature"] = attest(derive(SEED, event["actor"]["era"]), event["actor"]["role"], event["hash"])
    return dumped(record)


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (b'"seq":', b'"seq": ', "is not in canonical form"),
        (b'"eventType":"CONFIRMED"', b'"eventType":"CONFIRMED","eventType":"CONFIRMED"', "is not in canonical form"),
        (
            b'"approvedMaxExportKW":"',
            b'"a":1.0,"approvedMaxExportKW":"',
            "1.0 is a fraction; decimals are signed as text",
        ),
        (b'"approvedMaxExportKW":"', b'"a":NaN,"approvedMaxExportKW":"', "is not a record"),
        (b'"approvedMaxExportKW":"', b'"a":1,"a":1,"approvedMaxExportKW":"', "'a' is twice in one object"),
        (b'"CONFIRMED"', b'"BETRAYED"', "Invalid enum value 'BETRAYED'"),
    ],
)
def test_an_event_with_two_readings(folder: Path, before: bytes, after: bytes, what: str) -> None:
    lines = journal_of(folder)
    number = next(n for n in events_in(lines, "CONFIRMED") if b"approvedMaxExportKW" in lines[n])
    lines[number] = lines[number].replace(before, after, 1)
    audit = verify(written(folder, lines)).audits["events"].findings
    assert str(audit[0]).startswith(f"journal.jsonl:{number + 1}: ")
    assert what in str(audit[0])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_byte_of_any_event_or_seal_can_change_unseen(sound: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "copy"
    if not folder.exists():
        shutil.copytree(sound, folder)
    lines = journal_of(sound)
    number = data.draw(st.sampled_from([n for n, line in enumerate(lines) if line[:8] in (b'{"event"', b'{"kind":') and
                                        (b'"kind":"event"' in line or line.startswith(b'{"kind":"seal"'))]))  # fmt: skip
    start = len(b'{"event":') if lines[number].startswith(b'{"event"') else len(b'{"kind":"seal","seal":')
    end = len(lines[number]) - (len(b',"kind":"event"}') if lines[number].startswith(b'{"event"') else 1)
    raw = bytearray(lines[number])
    place, flip = data.draw(st.integers(start, end - 1)), data.draw(st.integers(1, 255))
    raw[place] ^= flip
    if raw[place] in b"\r\n":
        return
    lines[number] = bytes(raw)
    findings = verify(written(folder, lines)).audits["events"].findings
    assert str(findings[0]).startswith(f"journal.jsonl:{number + 1}: ")


# --- forgers who hold every key but the witness's file ----------------------------------------------------------------


def cut(lines: list[bytes], intervals: int) -> list[bytes]:
    commits = [number for number, line in enumerate(lines) if line.endswith(b'"kind":"commit"}')]
    return lines[: commits[intervals - 1] + 1]


def test_a_tail_that_was_cut_off_shows_against_the_witness(folder: Path) -> None:
    """Journal, commits and manifest tell of a shorter run, and nothing in them is wrong."""
    whole, lines = journal_of(folder), cut(journal_of(folder), 2)
    heads = [json.loads(line)["seal"]["head"] for line in whole if line.startswith(b'{"kind":"seal"')]
    run = written(folder, lines)
    with_manifest(folder, count=2, contractLog=heads[1])
    run = Run(folder)
    assert [str(f) for f in verify(run).audits["events"].findings] == [
        f"witness.jsonl: the witness saw {heads[2]['size']} events by the end of interval 2, "
        f"and the journal has {heads[1]['size']}"
    ]


def everything_anew(lines: list[bytes], change: Callable[[Record], None], signer: int = SEED) -> list[bytes]:
    """All events from the changed one on hashed, chained and signed anew, all seals too."""
    tree, last, interval = Tree(), dict[str, str](), 0
    key = functools.partial(derive, signer)
    made = []
    for line in lines:
        if line.startswith(EVENT_LINE):
            record = json.loads(line)
            event = record["event"]
            change(event)
            if event["eventType"] == "SETTLEMENT_SIGNED":
                event["data"]["signature"] = attest(key(event["actor"]["era"]), PARTY, event["data"]["digest"])
            event["prevHash"] = last.get(event["contractId"], event["prevHash"])
            rehashed(record)
            event["signature"] = attest(key(event["actor"]["era"]), event["actor"]["role"], event["hash"])
            last[event["contractId"]] = event["hash"]
            tree.append(leaf_of(event["hash"]))
            line = dumped(record)  # noqa: PLW2901
        elif line.startswith(b'{"kind":"seal"'):
            head = Head(interval, tree.root().hex(), len(tree))
            signed = {
                "keeper": {"era": "utility", "signature": attest(key("utility"), KEEPER, head.digest)},
                "witness": {"era": "metering", "signature": attest(key("metering"), WITNESSES, head.digest)},
            }
            line = dumped({"kind": "seal", "seal": {"head": msgspec.to_builtins(head), **signed}})  # noqa: PLW2901
            interval += 1
        elif b'"kind":"signer"' in line:
            told = json.loads(line)
            line = dumped({**told, "publicKey": key(told["era"]).public_text})  # noqa: PLW2901
        made.append(line)
    return made


def last_head(lines: list[bytes]) -> Record:
    head: Record = json.loads([line for line in lines if line.startswith(b'{"kind":"seal"')][-1])["seal"]["head"]
    return head


def test_nothing_changed_written_anew_is_the_same_to_the_byte(sound: Path) -> None:
    lines = journal_of(sound)
    assert everything_anew(lines, lambda _: None) == lines


def test_a_history_that_was_written_anew_with_all_keys_shows_against_the_witness(folder: Path) -> None:
    def richer(event: Record) -> None:
        for name in ("inputs",):
            for entry in event["data"].get(name, []):
                entry["value"] = "0.5"

    lines = everything_anew(journal_of(folder), richer)
    written(folder, lines)
    with_manifest(folder, contractLog=last_head(lines))
    size = json.loads(next(line for line in lines if line.startswith(b'{"kind":"seal"')))["seal"]["head"]["size"]
    assert found(Run(folder)) == [
        f"witness.jsonl: by the end of interval 0 the witness saw other events than the journal's first {size}"
    ]


def test_a_history_that_was_written_anew_with_other_keys_shows_against_the_witness(folder: Path) -> None:
    lines = everything_anew(journal_of(folder), lambda _: None, signer=2)
    written(folder, lines)
    with_manifest(folder, contractLog=last_head(lines))
    findings = found(Run(folder))
    assert findings[:2] == [
        "witness.jsonl: knows utility by another key than the journal",
        "witness.jsonl: knows metering by another key than the journal",
    ]
    assert "the witness signed the" in findings[2]


def test_a_key_that_is_not_the_registered_one_is_found(signing: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(signing, tmp_path / "copy"))
    lines = journal_of(folder)
    number = next(n for n, line in enumerate(lines) if b'"era":"market","keyId"' in line)
    lines[number] = dumped({**json.loads(lines[number]), "publicKey": derive(2, "market").public_text})
    findings = found(written(folder, lines))
    assert findings[0] == f"journal.jsonl:{number + 1}: k1 of market is not the key that was registered under this name"


# --- seals, manifest, witness -----------------------------------------------------------------------------------------


def seal_edited(folder: Path, which: int, change: Callable[[Record], None]) -> tuple[int, Run]:
    lines = journal_of(folder)
    number = [n for n, line in enumerate(lines) if line.startswith(b'{"kind":"seal"')][which]
    record = json.loads(lines[number])
    change(record["seal"])
    lines[number] = dumped(record)
    return number + 1, written(folder, lines)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda s: s["head"].update(root="0" * 64), "the events before it are not those that were sealed"),
        (lambda s: s["head"].update(size=1), "1 events were sealed, and "),
        (lambda s: s["head"].update(interval=7), "stands where the one of interval 1 is due"),
        (lambda s: s["witness"].update(era="market"), "is not signed by market as LOG_WITNESS"),
        (lambda s: s["keeper"].update(signature=s["witness"]["signature"]), "is not signed by utility as LOG_KEEPER"),
        (lambda s: s["witness"].update(s["keeper"]), "utility cannot be its own witness"),
        (lambda s: s.pop("witness"), "is no seal: "),
    ],
)
def test_a_seal_that_does_not_hold_is_named(folder: Path, change: Callable[[Record], None], what: str) -> None:
    number, run = seal_edited(folder, 1, change)
    findings = found(run)
    assert findings[0].startswith(f"journal.jsonl:{number}: ")
    assert what in findings[0]
    assert findings[-1].startswith("witness.jsonl: ")


def test_an_interval_without_a_seal_is_found(folder: Path) -> None:
    lines = journal_of(folder)
    del lines[[n for n, line in enumerate(lines) if line.startswith(b'{"kind":"seal"')][-1]]
    findings = found(written(folder, lines))
    assert findings[0] == "journal.jsonl: has 3 seals for 4 intervals"
    assert findings[1].startswith("journal.jsonl: has ")
    assert findings[1].endswith(" events after its last seal")
    assert "run.json/contractLog: is not the last head of the journal's contract log" in findings


def test_a_run_without_its_contract_log_is_found(folder: Path) -> None:
    lines = [line for line in journal_of(folder) if b'"kind":"event"' not in line and b'"kind":"seal"' not in line]
    run = written(folder, lines)
    (folder / WITNESS).unlink()
    with_manifest(folder, contractLog=None)
    assert found(run)[0] == "journal.jsonl: has 0 seals for 4 intervals"
    assert found(run)[-1] == "witness.jsonl: is missing: nobody can say whether the journal was written anew"


def test_a_manifest_with_another_head_is_found(folder: Path) -> None:
    head = json.loads((folder / MANIFEST).read_bytes())["contractLog"]
    with_manifest(folder, contractLog={**head, "size": head["size"] - 1})
    assert found(Run(folder)) == ["run.json/contractLog: is not the last head of the journal's contract log"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda lines: lines[:-1], "has no seal of interval 3, and the journal has one"),
        (lambda lines: [*lines[:-1], lines[-1].replace(b'"ed25519:', b'"ed25519:A', 1)],
         "the seal of interval 3 is not one that the witness signed"),
        (lambda lines: [*lines, b"{"], "cannot be read: "),
        (lambda lines: [b"", *lines], "cannot be read: "),
        (lambda lines: lines[1:], "knows utility by another key than the journal"),
        (lambda lines: [lines[0].replace(b'"publicKey":"', b'"publicKey":"!'), *lines[1:]], "knows utility by another key"),
    ],
)  # fmt: skip
def test_a_witness_file_that_is_damaged_is_found(
    folder: Path, change: Callable[[list[bytes]], list[bytes]], what: str
) -> None:
    path = folder / WITNESS
    path.write_bytes(b"\n".join(change(path.read_bytes().splitlines())))
    assert any(what in finding for finding in found(Run(folder)))


def test_postings_that_no_event_tells_of_are_found(folder: Path) -> None:
    lines = journal_of(folder)
    number = next(n for n, line in enumerate(lines) if b'"kind":"postings"' in line and b'"amount"' in line)
    record = json.loads(lines[number])
    taken = record["postings"].pop()
    lines[number] = dumped(record)
    audits = verify(written(folder, lines)).audits
    (finding,) = audits["events"].findings
    assert f"the journal posts nothing where the events tell of {taken['amount']} {taken['currency']}" in str(finding)
