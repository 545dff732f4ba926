"""What the directory answers at which time, and what it refuses."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import TrustError
from sim.trust.directory import Answer, Directory
from sim.trust.registries import Interconnection, Member, Membership, publish, publish_tariff
from sim.trust.stamps import rfc3339, unix_s

NOON = unix_s("2026-06-01T12:00:00Z")
RATE = "/dedi/lookup/net/wheeling_rates/utility"


def rates(*writes: tuple[int, float]) -> Directory:
    """A directory in which a rate was published at some seconds after noon."""
    directory = Directory()
    for at_s, rate in writes:
        directory.publish("net", "wheeling_rates", "utility", {"rate": rate}, NOON + at_s)
    return directory


def data(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer
    return answer.body["data"]  # type: ignore[no-any-return]


def ask(directory: Directory, path: str, now_s: int = 0, **query: str) -> dict[str, Any]:
    return data(directory.answer(path, query, NOON + now_s))


def names(answer: dict[str, Any], kind: str = "record") -> list[str]:
    return [row[f"{kind}_name"] for row in answer[f"{kind}s" if kind == "record" else "registries"]]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), min_size=1, max_size=8).map(
        lambda writes: sorted(writes, key=lambda write: write[0])
    ),
    st.integers(-1, 10),
)
def test_at_any_time_as_on_gives_the_version_last_written_at_or_before_it(
    writes: list[tuple[int, float]], moment_s: int
) -> None:
    directory = rates(*writes)
    before = [rate for at_s, rate in writes if at_s <= moment_s]
    asked = directory.answer(RATE, {"as_on": rfc3339(NOON + moment_s)}, NOON + 99)
    assert asked.body == directory.answer(RATE, {}, NOON + moment_s).body
    if before:
        assert data(asked)["details"] == {"rate": before[-1]}
        assert data(asked)["version_count"] == len(before)
    else:
        assert asked.status == 404


@given(st.lists(st.sampled_from(["live", "suspended", "revoked", "draft", "expired"]), max_size=6))
def test_every_version_is_found_by_its_id_as_it_was_written(states: list[Any]) -> None:
    directory = rates((0, 1.5))
    for at_s, state in enumerate(states, start=1):
        directory.change_state("net", "wheeling_rates", "utility", state, NOON + at_s)
    ids = ask(directory, "/dedi/versions/net/wheeling_rates/utility", 99)["versions"]
    found = [ask(directory, RATE, 99, version_id=version) for version in ids]
    assert [version["state"] for version in found] == ["live", *states]
    assert [version["version_count"] for version in found] == list(range(1, len(ids) + 1))
    assert {version["genesis"] for version in found} == {ids[0]}
    assert len(set(ids)) == len(ids) == directory.changes


@given(
    st.text(),
    st.dictionaries(
        st.sampled_from(["as_on", "version_id", "page", "page_size", "sort", "state", "status", "from", "to", "name"]),
        st.text(),
    ),
)
def test_no_question_raises(path: str, query: dict[str, str]) -> None:
    directory = rates((0, 1))
    for asked in (
        path,
        f"/dedi/{path}",
        f"/dedi/lookup/net/{path}",
        RATE,
        "/dedi/query/net",
        "/dedi/query/net/wheeling_rates",
    ):
        status, body = directory.answer(asked, query, NOON)
        assert (status, set(body)) in [
            (200, {"message", "data"}),
            (400, {"message", "error", "code"}),
            (404, {"message", "error", "code"}),
        ]


def test_a_record_says_who_it_is_and_what_its_details_hash_to() -> None:
    directory = rates((0, 1.0), (60, 2.0))
    record = ask(directory, RATE, 60)
    assert record["digest"] == hashlib.sha256(rfc8785.dumps({"rate": 2.0})).hexdigest()
    assert (record["created_at"], record["updated_at"]) == ("2026-06-01T12:00:00Z", "2026-06-01T12:01:00Z")
    assert (record["namespace"], record["registry_name"], record["record_name"]) == ("net", "wheeling_rates", "utility")
    assert "network_memberships" not in record


def test_a_tariff_published_ahead_is_answered_with_from_its_second_on() -> None:
    directory = Directory()
    publish_tariff(directory, "net", "flat", {"price": 0.2}, NOON)
    publish_tariff(directory, "net", "flat", {"price": 0.3}, NOON + 3600)
    seen = [ask(directory, "/dedi/lookup/net/tariffs/flat", second)["details"]["price"] for second in (0, 3599, 3600)]
    assert seen == [0.2, 0.2, 0.3]
    assert ask(directory, "/dedi/lookup/net/tariffs/flat", 0, as_on=rfc3339(NOON + 3600))["details"]["price"] == 0.3


def test_a_live_record_expires_when_its_validity_ends_and_a_suspended_one_stays_suspended() -> None:
    directory = Directory()
    directory.publish("net", "r", "x", {}, NOON, valid_till_s=NOON + 10)
    states = [ask(directory, "/dedi/lookup/net/r/x", second)["state"] for second in (9, 10)]
    directory.change_state("net", "r", "x", "suspended", NOON + 20)
    assert [*states, ask(directory, "/dedi/lookup/net/r/x", 20)["state"]] == ["live", "expired", "suspended"]
    assert ask(directory, "/dedi/lookup/net/r/x", 20)["valid_till"] == "2026-06-01T12:00:10Z"


def test_a_container_is_as_old_as_the_oldest_thing_in_it() -> None:
    directory = Directory()
    directory.publish("net", "r", "late", {}, NOON + 100)
    directory.publish("net", "r", "early", {}, NOON)
    assert names(ask(directory, "/dedi/query/net/r", 0)) == ["early"]
    assert ask(directory, "/dedi/lookup/net", 0)["created_at"] == rfc3339(NOON)


def test_what_was_handed_in_or_out_can_be_changed_without_changing_the_directory() -> None:
    directory, details = Directory(), {"prices": [1]}
    directory.publish("net", "r", "x", details, NOON)
    details["prices"].append(2)
    ask(directory, "/dedi/lookup/net/r/x")["details"]["prices"].append(3)
    assert ask(directory, "/dedi/lookup/net/r/x")["details"] == {"prices": [1]}


def test_a_registry_described_again_has_another_version_and_its_records_stay() -> None:
    directory = rates((0, 1))
    directory.open("net", "wheeling_rates", NOON + 5, schema={"type": "object"}, meta={"note": "by the regulator"})
    before, after = (ask(directory, "/dedi/lookup/net/wheeling_rates", second) for second in (4, 5))
    assert (before["schema"], after["schema"], after["meta"]) == ({}, {"type": "object"}, {"note": "by the regulator"})
    assert ask(directory, "/dedi/versions/net/wheeling_rates", 5)["total_versions"] == 2
    assert ask(directory, RATE, 5)["details"] == {"rate": 1}


@given(st.integers(1, 9), st.integers(0, 20))
def test_pages_put_together_are_the_whole_list(page_size: int, count: int) -> None:
    directory = rates((0, 1))
    for number in range(count):
        directory.publish("net", "r", f"record {number:02}", {}, NOON)
    directory.open("net", "r", NOON)
    first = ask(directory, "/dedi/query/net/r", page_size=str(page_size))
    assert (first["total_records"], first["total_pages"]) == (count, -(-count // page_size))
    pages = [
        ask(directory, "/dedi/query/net/r", page=str(page), page_size=str(page_size))
        for page in range(1, first["total_pages"] + 2)
    ]
    assert [name for page in pages for name in names(page)] == [f"record {number:02}" for number in range(count)]
    assert all(len(names(page)) <= page_size for page in pages)


def test_a_query_filters_by_name_state_and_date_and_sorts() -> None:
    directory = Directory()
    for at_s, name in enumerate(("Meter-b", "meter-a", "era")):
        directory.publish("net", "r", name, {}, NOON + at_s)
    directory.change_state("net", "r", "meter-a", "revoked", NOON + 10)

    def found(**query: str) -> list[str]:
        return names(ask(directory, "/dedi/query/net/r", 20, **query))

    assert found(name="METER") == ["Meter-b", "meter-a"]
    assert found(state="live") == ["Meter-b", "era"]
    assert found(sort="date") == ["Meter-b", "era", "meter-a"]
    assert found(sort="status") == ["Meter-b", "era", "meter-a"]
    assert found(**{"from": rfc3339(NOON + 2), "to": rfc3339(NOON + 9)}) == ["era"]
    assert found(as_on=rfc3339(NOON)) == ["Meter-b"]


def test_a_namespace_lists_its_registries_with_how_many_records_each_has() -> None:
    directory = rates((0, 1))
    directory.publish("net", "membership", "a", {}, NOON)
    directory.publish("net", "membership", "b", {}, NOON + 5)
    listed = ask(directory, "/dedi/query/net", 0, status="active")["registries"]
    assert [(row["registry_name"], row["record_count"]) for row in listed] == [("membership", 1), ("wheeling_rates", 1)]
    assert ask(directory, "/dedi/query/net", 9, status="inactive")["registries"] == []


@pytest.mark.parametrize(
    ("path", "query", "status", "complaint"),
    [
        (RATE, {"as_on": "yesterday"}, 400, "as_on: 'yesterday' is not an RFC 3339"),
        (RATE, {"as_on": "2026-06-01"}, 400, "as_on: '2026-06-01' is not"),
        (RATE, {"as_on": "2026-06-01T12:00:00"}, 400, "as_on"),
        (RATE, {"as_on": "2026-13-01T12:00:00Z"}, 400, "as_on"),
        (RATE, {"as_on": ""}, 400, "as_on"),
        (RATE, {"as_on": "2026-06-01T12:00:00Z", "version_id": "1"}, 400, "one version each"),
        (RATE, {"version_id": "1"}, 404, "no version '1'"),
        ("/dedi/query/net", {"page": "0"}, 400, "page: '0' is not a whole number"),
        ("/dedi/query/net", {"page": "９"}, 400, "page"),
        ("/dedi/query/net", {"page_size": "9" * 5000}, 400, "page_size"),
        ("/dedi/query/net", {"sort": "size"}, 400, "sort: 'size' is none of date, status, name, id"),
        ("/dedi/query/net", {"status": "live"}, 400, "status"),
        ("/dedi/query/net/wheeling_rates", {"state": "revoked"}, 400, "state: 'revoked' is none of live"),
        ("/dedi/query/net/wheeling_rates", {"from": "x"}, 400, "from"),
        ("/dedi/query/net/wheeling_rates/utility", {}, 404, "no such path"),
        ("/dedi/lookup", {}, 404, "no such path"),
        ("/dedi/lookup/", {}, 404, "namespace '' does not exist"),
        ("/lookup/net", {}, 404, "the API begins at /dedi/"),
        ("/dedi/lookup/other/r/x", {}, 404, "namespace 'other' does not exist"),
        ("/dedi/lookup/net/r/x", {}, 404, "registry 'r' does not exist"),
        ("/dedi/lookup/net/wheeling_rates/x", {}, 404, "record 'x' does not exist"),
        ("/dedi/lookup/net/wheeling_rates/%ff", {}, 404, "does not exist"),
    ],
)  # fmt: skip
def test_a_bad_question_is_told_what_is_wrong(path: str, query: dict[str, str], status: int, complaint: str) -> None:
    answer = rates((0, 1)).answer(path, query, NOON)
    assert answer.status == status
    assert complaint in answer.body["error"]


def test_a_name_with_slashes_is_asked_for_percent_encoded() -> None:
    directory = Directory()
    directory.publish("did:web:a/b", "r", "urn:x?#", {"yes": True}, NOON)
    assert ask(directory, "/dedi/lookup/did%3Aweb%3Aa%2Fb/r/urn%3Ax%3F%23")["details"] == {"yes": True}


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (lambda d: d.publish("net", "wheeling_rates", "utility", {}, NOON - 1), "older than the last"),
        (lambda d: d.publish("net", "r", "", {}, NOON), "names that are not empty"),
        (lambda d: d.publish("net", "..", "x", {}, NOON), "names that are not empty"),
        (lambda d: d.open("net", "wheeling_rates", NOON - 1), "older than the last"),
        (lambda d: d.publish("net", "r", "x", {"n": float("nan")}, NOON), "RFC 8785"),
        (lambda d: d.publish("net", "r", "x", {"n": 2**60}, NOON), "RFC 8785"),
        (lambda d: d.publish("net", "r", "x", {"n": "\ud800"}, NOON), "RFC 8785"),
        (lambda d: d.publish("net", "r", "x", {}, 10**15), "years 1 to 9999"),
        (lambda d: d.publish("net", "r", "x", {}, NOON, valid_till_s=-(10**20)), "years 1 to 9999"),
        (lambda d: d.publish("net", "r", "x", {}, NOON, state="lively"), "did you mean live?"),
        (lambda d: d.open("net", "r", NOON, schema={"n": float("inf")}), "RFC 8785"),
        (lambda d: d.change_state("net", "r", "x", "revoked", NOON), "publish it first"),
        (
            lambda d: publish(
                d,
                "net",
                "m",
                Interconnection(era="e", meterId="m", exportLimitKW=-5, importLimitKW=5, netMetering=True),
                NOON,
            ),
            "interconnection/m: Expected `float` >= 0",
        ),
        (
            lambda d: publish(d, "net", "m", Membership(membership_id="1", detail=Member(name="")), NOON),
            "detail.name",
        ),
    ],
)
def test_a_refused_write_says_why_and_leaves_nothing_behind(write: Any, complaint: str) -> None:
    directory = rates((0, 1))
    with pytest.raises(TrustError, match=complaint.replace("?", r"\?")):
        write(directory)
    assert directory.changes == 1
    assert names(ask(directory, "/dedi/query/net", 99), "registry") == ["wheeling_rates"]
    assert ask(directory, RATE, 99)["version_count"] == 1


@given(st.integers(unix_s("0001-01-01T00:00:00Z"), unix_s("9999-12-31T23:59:59Z")))
def test_a_second_reads_back_from_its_text(second: int) -> None:
    assert unix_s(rfc3339(second)) == second


def test_offsets_and_fractions_of_a_timestamp_are_understood() -> None:
    assert unix_s("2026-06-01T17:30:00.999+05:30") == unix_s("2026-06-01t12:00:00z") == NOON
