"""The files that `write` makes."""

import json
import re
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from simulator.__main__ import main
from tests.simulator import records
from tests.simulator.conftest import WrittenFleet, write_fleet_to


def test_the_same_seed_gives_the_same_bytes(clean_fleet: WrittenFleet, tmp_path: Path) -> None:
    again = write_fleet_to(tmp_path, "--machines", "6", "--days", "20", "--seed", "7")
    assert again.contents() == clean_fleet.contents()


def test_another_seed_gives_other_sales(clean_fleet: WrittenFleet, tmp_path: Path) -> None:
    other = write_fleet_to(tmp_path, "--machines", "6", "--days", "20", "--seed", "8")
    key = "fleet/2026-10-20/sales_VM0001_20261020.csv"
    assert other.contents()[key] != clean_fleet.contents()[key]


def test_a_machine_is_the_same_in_a_smaller_fleet(
    clean_fleet: WrittenFleet, tmp_path: Path
) -> None:
    smaller = write_fleet_to(tmp_path, "--machines", "3", "--days", "20").contents()
    machine_files = {key: content for key, content in smaller.items() if "_VM" in key}
    assert machine_files
    assert machine_files.items() <= clean_fleet.contents().items()


def test_a_second_write_changes_no_file_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--machines", "2", "--days", "5")
    written = write_fleet_to(tmp_path, *options)
    times = {path: path.stat().st_mtime_ns for path in written.out.rglob("*")}
    capsys.readouterr()
    write_fleet_to(tmp_path, *options)
    assert {path: path.stat().st_mtime_ns for path in written.out.rglob("*")} == times
    assert re.fullmatch(
        r"Nothing to write: all \d+ files are below .*\.\n", capsys.readouterr().out
    )


def test_a_file_that_was_deleted_is_written_again(tmp_path: Path) -> None:
    written = write_fleet_to(tmp_path, "--machines", "2", "--days", "5")
    before = written.contents()
    victim = next(written.out.rglob("sales_VM0002_*.csv"))
    victim.unlink()
    write_fleet_to(tmp_path)
    assert written.contents() == before


def test_a_contradiction_of_the_state_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = write_fleet_to(tmp_path, "--machines", "2", "--days", "5")
    before = written.contents()
    paths = ["--out", str(written.out), "--state", str(written.state_file)]
    assert main(["write", *paths, "--days", "6"]) == 2
    message = capsys.readouterr().err
    assert "days is 5, not 6" in message
    assert "make clean" in message
    assert message.count("\n") == 1
    assert written.contents() == before


def test_the_end_date_is_yesterday_in_tokyo_unless_it_was_given(tmp_path: Path) -> None:
    def today() -> date:
        return (datetime.now(UTC) + timedelta(hours=9)).date()

    state_file = tmp_path / "simulator.json"
    earliest = today()
    paths = ["--out", str(tmp_path), "--state", str(state_file)]
    main(["write", *paths, "--machines", "1", "--days", "2"])
    end_date = date.fromisoformat(json.loads(state_file.read_text())["end_date"])
    assert earliest - timedelta(days=1) <= end_date <= today() - timedelta(days=1)


def test_an_unknown_fault_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = ["--out", str(tmp_path), "--state", str(tmp_path / "state.json")]
    assert main(["write", *paths, "--faults", "meteorite"]) == 2
    assert "no fault named meteorite" in capsys.readouterr().err


def test_stock_adds_up_and_is_never_negative(clean_fleet: WrittenFleet) -> None:
    contents = clean_fleet.contents()
    assert len(records.stock_events(contents)) > 6 * 20
    assert records.stock_contradictions(contents) == []


def test_some_slots_sell_out_and_some_units_expire(clean_fleet: WrittenFleet) -> None:
    contents = clean_fleet.contents()
    level, emptied = Counter(), set()
    for slot, events in records.stock_events(contents).items():
        for event in events:
            level[slot] += event.change
            if level[slot] == 0:
                emptied.add(slot)
    assert emptied
    assert any(refill.removed for refill in records.refills(contents))


def test_the_first_visit_fills_every_slot_from_zero_before_the_first_sale(
    clean_fleet: WrittenFleet,
) -> None:
    contents = clean_fleet.contents()
    first_sale: dict[str, datetime] = {}
    for sale in sorted(records.sales(contents), key=lambda sale: sale.sold_at):
        first_sale.setdefault(sale.machine_id, sale.sold_at)
    for machine_id, sold_at in first_sale.items():
        visits = [r for r in records.refills(contents) if r.machine_id == machine_id]
        first = [r for r in visits if r.at == min(visit.at for visit in visits)]
        assert first[0].at < sold_at
        assert all(r.added == r.counted > 0 and r.removed == 0 for r in first)
        assert {r.slot for r in first} == {r.slot for r in visits}


def test_there_is_a_sales_file_for_each_machine_and_day_also_without_a_sale(
    clean_fleet: WrittenFleet,
) -> None:
    contents = clean_fleet.contents()
    names = {key.rsplit("/", 1)[1] for key in contents if "/sales_" in key}
    fleet = clean_fleet.fleet
    expected = {
        f"sales_{machine.machine_id}_{fleet.state.day(day):%Y%m%d}.csv"
        for machine in fleet.machines
        for day in range(machine.installed_day, 20)
    }
    assert names == expected
    assert any(machine.installed_day > 0 for machine in fleet.machines)
    assert any(content.count(b"\n") == 1 for key, content in contents.items() if "/sales_" in key)


def test_every_row_lies_in_the_file_of_its_business_date(clean_fleet: WrittenFleet) -> None:
    for key, content in clean_fleet.contents().items():
        if match := re.search(r"_(VM\d+)_(\d{8})\.csv$", key):
            for row in records.rows(content):
                when = row.get("sold_at") or row["replenished_at"]
                assert row["machine_id"] == match[1]
                assert when[:10].replace("-", "") == match[2]
                assert when.endswith("+09:00")


def test_refunds_and_voids_name_an_earlier_sale_and_carry_the_right_amounts(
    clean_fleet: WrittenFleet,
) -> None:
    sales = records.sales(clean_fleet.contents())
    by_id = {(sale.machine_id, sale.transaction_id): sale for sale in sales}
    assert len(by_id) == len(sales)
    kinds = Counter(sale.kind for sale in sales)
    assert set(kinds) == {"sale", "refund", "void"}
    for sale in sales:
        if sale.kind == "sale":
            assert sale.amount == sale.quantity * sale.unit_price > 0
            assert sale.original == ""
            continue
        original = by_id[sale.machine_id, sale.original]
        assert original.kind == "sale"
        assert original.sold_at < sale.sold_at
        if sale.kind == "refund":
            assert 1 <= sale.quantity <= original.quantity
            assert sale.amount == -sale.quantity * original.unit_price
        else:
            assert (sale.quantity, sale.amount) == (0, 0)


def test_a_void_comes_after_midnight_now_and_then(clean_fleet: WrittenFleet) -> None:
    sales = records.sales(clean_fleet.contents())
    by_id = {(sale.machine_id, sale.transaction_id): sale for sale in sales}
    voids = [sale for sale in sales if sale.kind == "void"]
    later = [v for v in voids if by_id[v.machine_id, v.original].sold_at.date() < v.sold_at.date()]
    assert 0 < len(later) < len(voids)


def test_a_machine_sells_some_forty_to_eighty_times_a_day(clean_fleet: WrittenFleet) -> None:
    sales = records.sales(clean_fleet.contents())
    machine_days = {(sale.machine_id, sale.sold_at.date()) for sale in sales}
    assert 40 <= len(sales) / len(machine_days) <= 80


def test_unit_prices_are_the_list_prices_in_force(clean_fleet: WrittenFleet) -> None:
    contents = clean_fleet.contents()
    masters = sorted(key for key in contents if key.endswith("/products.csv"))
    assert len(masters) > 1
    versions = [
        (date.fromisoformat(key.split("/")[1]), records.rows(contents[key], "utf-8-sig"))
        for key in masters
    ]
    for sale in records.sales(contents):
        if sale.kind == "sale":
            products = [rows for day, rows in versions if day <= sale.sold_at.date()][-1]
            prices = {row["product_id"]: int(row["list_price"]) for row in products}
            assert sale.unit_price == prices[sale.product_id]


def test_hot_products_sell_better_when_it_is_cold(tmp_path: Path) -> None:
    def share_of_hot(folder: Path, end_date: str) -> float:
        contents = write_fleet_to(
            folder, "--machines", "4", "--days", "5", end_date=end_date
        ).contents()
        products = records.rows(contents[next(k for k in contents if "products" in k)], "utf-8-sig")
        hot = {row["product_id"] for row in products if "ホット" in row["product_name"]}
        sales = records.sales(contents)
        return sum(sale.product_id in hot for sale in sales) / len(sales)

    summer = share_of_hot(tmp_path / "summer", "2026-08-10")
    winter = share_of_hot(tmp_path / "winter", "2026-02-01")
    assert winter > 2 * summer


def test_the_machine_master_is_cp932_with_characters_that_shift_jis_lacks(
    clean_fleet: WrittenFleet,
) -> None:
    contents = clean_fleet.contents()
    content = contents["fleet/2026-10-12/vending_machines.csv"]
    text = content.decode("cp932")
    assert text.encode("cp932") == content
    assert all(character in text for character in "①髙～")
    with pytest.raises(UnicodeDecodeError):
        content.decode("shift_jis")
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")


def test_masters_come_again_whole_on_the_day_of_a_change(clean_fleet: WrittenFleet) -> None:
    contents = clean_fleet.contents()
    versions = sorted(key for key in contents if key.endswith("/vending_machines.csv"))
    machines = [
        {row["machine_id"]: row for row in records.rows(contents[key], "cp932")} for key in versions
    ]
    assert len(machines[-1]) == 6
    moved = [
        machine_id
        for machine_id, row in machines[-1].items()
        if machine_id in machines[0] and machines[0][machine_id]["site_name"] != row["site_name"]
    ]
    assert moved
    for key, version in zip(versions, machines, strict=True):
        day = key.split("/")[1]
        assert max(row["effective_on"] for row in version.values()) == day


def test_people_are_invented_and_their_numbers_cannot_exist(clean_fleet: WrittenFleet) -> None:
    staff = records.rows(clean_fleet.contents()["fleet/2026-10-12/staff.csv"])
    assert staff
    assert all(re.fullmatch(r"090-0000-\d{4}", row["phone"]) for row in staff)
    assert all(row["email"].endswith("@example.com") for row in staff)
    visitors = {refill.staff_id for refill in records.refills(clean_fleet.contents())}
    assert visitors <= {row["staff_id"] for row in staff}


def test_jan_codes_have_the_shop_prefix_and_a_valid_check_digit(
    clean_fleet: WrittenFleet,
) -> None:
    products = clean_fleet.contents()["fleet/2026-10-12/products.csv"]
    for row in records.rows(products, "utf-8-sig"):
        digits = [int(digit) for digit in row["jan_code"]]
        assert row["jan_code"].startswith("20")
        assert (sum(digits[0::2]) + 3 * sum(digits[1::2])) % 10 == 0


def test_machines_that_share_files_have_the_rows_of_machines_with_files_of_their_own(
    clean_fleet: WrittenFleet, tmp_path: Path
) -> None:
    options = ("--machines", "6", "--days", "20", "--machines-per-file", "4")
    shared = write_fleet_to(tmp_path, *options)
    assert _rows(shared, "_VM0001-VM0004_", "_VM0005-VM0006_") == _rows(clean_fleet, "_VM")
    before = shared.contents()
    write_fleet_to(tmp_path)
    assert shared.contents() == before


def _rows(fleet: WrittenFleet, *parts: str) -> dict[tuple[str, str], list[bytes]]:
    """The rows of the files with one of these parts in their name, by kind and day."""
    rows = defaultdict(list)
    for key, content in fleet.contents().items():
        if any(part in key for part in parts):
            kind, _, day = Path(key).stem.rsplit("_", 2)
            rows[kind, day] += content.splitlines()[1:]
    return {place: sorted(lines) for place, lines in rows.items() if lines}


@pytest.mark.parametrize("count", ["0", "2"])
def test_faults_need_files_of_one_machine(
    count: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ["--out", str(tmp_path), "--state", str(tmp_path / "state.json")]
    assert main(["write", *paths, "--faults", "all", "--machines-per-file", count]) == 2
    assert "one machine a file" in capsys.readouterr().err


def test_later_deliveries_need_files_of_one_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = write_fleet_to(tmp_path, "--machines", "2", "--days", "5", "--machines-per-file", "2")
    paths = ["--out", str(shared.out), "--state", str(shared.state_file)]
    assert main(["deliver", *paths, "corrected"]) == 2
    assert "files of one machine" in capsys.readouterr().err
