"""What is done of a large run is known to the next one in the same folder."""

from __future__ import annotations

from pathlib import Path

from benchmarks.large_run_result import Done, Step, Totals


def test_nothing_is_done_in_a_new_folder(tmp_path: Path) -> None:
    done = Done.read(tmp_path / "done.json")

    assert (done.steps, done.written) == ([], None)


def test_steps_and_totals_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "done.json"
    write, ingest = Step("write", 100.7, 100.5, 260), Step("ingest", 502.0, 794.4, 2664)
    totals = Totals(sales_rows=100, revenue=12_300)

    done = Done.read(path)
    done.note(write)
    done.note_written(totals)
    Done.read(path).note(ingest)

    assert Done.read(path) == Done(path, [write, ingest], totals)
