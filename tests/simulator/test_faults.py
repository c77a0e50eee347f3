"""Faults on request, and what `expect` says of them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from simulator.__main__ import main
from tests.simulator import records
from tests.simulator.conftest import WrittenFleet, write_fleet_to

LAST_DIRECTORY = "fleet/2026-11-01"


def expected(written: WrittenFleet, capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    """What `expect` prints."""
    capsys.readouterr()
    assert main(["expect", "--state", str(written.state_file), *options]) == 0
    return json.loads(capsys.readouterr().out)


def deliver(written: WrittenFleet, phase: str) -> set[str]:
    """Run `deliver`; the object keys whose content is new or other than before."""
    before = written.contents()
    arguments = ["--state", str(written.state_file), "--out", str(written.out)]
    assert main(["deliver", *arguments, phase]) == 0
    return {key for key, content in written.contents().items() if before.get(key) != content}


@pytest.fixture(scope="module")
def without_faults(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The contents of the same fleet with no fault."""
    folder = tmp_path_factory.mktemp("good")
    return write_fleet_to(folder, "--machines", "6", "--days", "14").contents()


def test_only_the_files_that_expect_names_differ_from_a_fleet_without_faults(
    faulty_fleet: WrittenFleet,
    without_faults: dict[str, bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    contents = faulty_fleet.contents()
    differing = {
        key
        for key in contents.keys() | without_faults.keys()
        if contents.get(key) != without_faults.get(key)
    }
    faults = expected(faulty_fleet, capsys)["faults"]
    named = {entry["file"] for name, entries in faults.items() for entry in entries}
    corrected_later = {entry["file"] for entry in faults["corrected_resend"]}
    assert differing == named - corrected_later


def test_broken_lines_are_exactly_the_lines_that_were_added(
    faulty_fleet: WrittenFleet,
    without_faults: dict[str, bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines_by_file: dict[str, set[int]] = {}
    for entry in expected(faulty_fleet, capsys)["faults"]["broken_rows"]:
        lines_by_file.setdefault(entry["file"], set()).add(entry["line"])
    assert len(lines_by_file) == 7
    for file, broken in lines_by_file.items():
        lines = faulty_fleet.contents()[file].split(b"\n")
        good = [line for number, line in enumerate(lines, start=1) if number not in broken]
        assert b"\n".join(good) == without_faults[file]


def test_every_kind_of_broken_row_is_in_a_sales_file(
    faulty_fleet: WrittenFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    contents, found = faulty_fleet.contents(), {}
    for entry in expected(faulty_fleet, capsys)["faults"]["broken_rows"]:
        if "/sales_" in entry["file"]:
            line = contents[entry["file"]].split(b"\n")[entry["line"] - 1]
            found.setdefault(entry["kind"], []).append((line, entry["reason"]))

    def only(kind: str) -> tuple[list[bytes], str | None]:
        [(line, reason)] = found.pop(kind)
        return line.split(b","), reason

    quantities = {
        "text_number": (b"two", "invalid_value"),
        "hexadecimal_number": (b"0x1F", "invalid_value"),
        "underscored_number": (b"1_000", "invalid_value"),
        "negative_number": (b"-3", "out_of_range"),
        "fractional_number": (b"1.5", "too_precise"),
    }
    for kind, (quantity, reason) in quantities.items():
        cells, given = only(kind)
        assert (cells[5], given) == (quantity, reason)
    quoted, reason = only("unclosed_quote")
    assert (b",".join(quoted).count(b'"'), reason) == (1, "malformed_row")
    assert only("blank_line") == ([b""], None)
    assert len(only("too_few_columns")[0]) == 9
    assert len(only("too_many_columns")[0]) == 13
    assert only("missing_value")[0][0] == b""
    assert len(only("no_offset")[0][4]) == 19
    assert only("impossible_offset")[0][4].endswith(b"+99:00")
    assert only("unknown_value")[0][9] == b"gift"
    invalid, reason = only("invalid_byte")
    assert reason == "invalid_encoding"
    with pytest.raises(UnicodeDecodeError):
        b",".join(invalid).decode()
    (first, reason), (second, _) = found.pop("conflicting_key")
    assert reason == "conflicting_key"
    assert first != second
    assert first.split(b",")[:2] == second.split(b",")[:2]
    assert set(found) == {"repeated_row"}
    assert {reason for _, reason in found["repeated_row"]} == {None}


def test_a_repeated_row_is_in_its_file_twice(
    faulty_fleet: WrittenFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    content, expectation = faulty_fleet.contents(), expected(faulty_fleet, capsys)
    entries = expectation["faults"]["broken_rows"]
    repeated = [entry for entry in entries if entry["kind"] == "repeated_row"]
    assert len(repeated) == expectation["duplicate_rows"] == 7
    for entry in repeated:
        lines = content[entry["file"]].split(b"\n")
        assert lines.count(lines[entry["line"] - 1]) == 2


def test_the_counts_are_those_of_the_entries(
    faulty_fleet: WrittenFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    expectation = expected(faulty_fleet, capsys)
    reasons = Counter(
        entry["reason"]
        for entries in expectation["faults"].values()
        for entry in entries
        if entry["outcome"] == "quarantined"
    )
    assert expectation["quarantined_by_reason"] == reasons
    assert min(reasons.values()) >= 1


def test_copies_garbled_headers_and_unknown_machines_stand_beside_the_good_file(
    faulty_fleet: WrittenFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    contents, faults = faulty_fleet.contents(), expected(faulty_fleet, capsys)["faults"]
    for entry in faults["duplicate_file"]:
        assert contents[entry["file"]] == contents[entry["also"]]
    [garbled] = faults["broken_file"]
    header, rest = contents[garbled["file"]].split(b"\n", 1)
    assert b"transaction_id" not in header
    assert rest == contents[garbled["also"]].split(b"\n", 1)[1]
    [unknown] = faults["unknown_machine"]
    rows = records.rows(contents[unknown["file"]])
    known = records.rows(contents["fleet/2026-10-18/vending_machines.csv"], "cp932")
    assert {row["machine_id"] for row in rows}.isdisjoint(row["machine_id"] for row in known)
    products = contents["fleet/2026-10-18/products.csv"]
    assert any(row["product_id"].encode() not in products for row in rows)


def test_a_small_choice_of_faults_spoils_the_same_files(
    faulty_fleet: WrittenFleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--machines", "6", "--days", "14", "--faults", "broken_file,duplicate_file")
    few = write_fleet_to(tmp_path / "few", *options)
    everything = expected(faulty_fleet, capsys)["faults"]
    assert expected(few, capsys)["faults"] == {
        name: everything[name] for name in ("duplicate_file", "broken_file")
    }


def test_a_fleet_too_small_for_the_faults_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ["--out", str(tmp_path), "--state", str(tmp_path / "state.json")]
    size = ["--machines", "1", "--days", "2"]
    assert main(["write", *paths, *size, "--faults", "all"]) == 2
    assert "too small" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [], "the next try may ask for another fleet"


def test_the_late_day_arrives_in_a_later_directory_and_makes_stock_add_up(
    faulty_fleet: WrittenFleet,
    without_faults: dict[str, bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    entries = expected(faulty_fleet, capsys)["faults"]["late_day"]
    assert len(entries) >= 2
    assert not faulty_fleet.contents().keys() & {entry["file"] for entry in entries}
    assert deliver(faulty_fleet, "late") == {entry["also"] for entry in entries}
    for entry in entries:
        assert entry["also"].startswith(LAST_DIRECTORY)
        assert faulty_fleet.contents()[entry["also"]] == without_faults[entry["file"]]
    assert deliver(faulty_fleet, "late") == set()


def test_late_files_need_a_fleet_that_withheld_them(
    clean_fleet: WrittenFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--state", str(clean_fleet.state_file), "--out", str(clean_fleet.out)]
    assert main(["deliver", *arguments, "late"]) == 2
    assert "--faults late_day" in capsys.readouterr().err


def test_a_correction_changes_amounts_and_swaps_a_sale_and_stock_still_adds_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--machines", "6", "--days", "14", "--faults", "corrected_resend")
    written = write_fleet_to(tmp_path, *options)
    before = written.contents()
    entries = expected(written, capsys)["faults"]["corrected_resend"]
    files = deliver(written, "corrected")
    assert files == {entry["file"] for entry in entries}
    for file in files:
        old = {sale.transaction_id: sale for sale in records.sales({file: before[file]})}
        new = {s.transaction_id: s for s in records.sales({file: written.contents()[file]})}
        mine = {entry["kind"]: entry["also"] for entry in entries if entry["file"] == file}
        assert old.keys() - new.keys() == {mine["vanished"]}
        assert new.keys() - old.keys() == {mine["added"]}
        both = old.keys() & new.keys()
        assert sum(old[identity].amount > new[identity].amount for identity in both) == 3
    assert records.stock_contradictions(written.contents()) == []
    assert deliver(written, "corrected") == set()
    write_fleet_to(tmp_path)
    assert deliver(written, "corrected") == set()


def test_a_duplicate_is_the_exact_content_under_another_directory(
    faulty_fleet: WrittenFleet,
) -> None:
    before = faulty_fleet.contents()
    [key] = deliver(faulty_fleet, "duplicate")
    directory, name = key.rsplit("/", 1)
    assert directory == LAST_DIRECTORY
    original = next(k for k in before if k.endswith(f"/{name}"))
    assert before[original] == faulty_fleet.contents()[key]


def test_the_masters_change_a_price_and_move_a_machine(faulty_fleet: WrittenFleet) -> None:
    keys = deliver(faulty_fleet, "master-change")
    contents = faulty_fleet.contents()
    assert keys == {f"{LAST_DIRECTORY}/{name}.csv" for name in ("products", "vending_machines")}

    def latest_before(name: str) -> bytes:
        return contents[max(k for k in contents if k.endswith(f"/{name}.csv") and k not in keys)]

    def changes(name: str, encoding: str) -> list[tuple[dict[str, str], dict[str, str]]]:
        old = records.rows(latest_before(name), encoding)
        new = records.rows(contents[f"{LAST_DIRECTORY}/{name}.csv"], encoding)
        return [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]

    [(old, new)] = changes("products", "utf-8-sig")
    assert int(new["list_price"]) == int(old["list_price"]) + 20
    assert new["effective_on"] == "2026-11-01"
    [(old, new)] = changes("vending_machines", "cp932")
    assert new["site_name"] != old["site_name"]
    assert new["effective_on"] == "2026-10-31"
