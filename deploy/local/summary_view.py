"""The summary as tables for a person."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.local.layout import Layout
from deploy.local.summary import LoadCounts, RunSummary


def show(summary: RunSummary, layout: Layout, console: Console) -> None:
    """Print the summary, with the way to what failed first."""
    console.print()
    _show_runs(summary, console)
    if summary.found_nothing_new:
        console.print("Nothing new to load: no row of the raw tables has changed.")
    _show_loads(summary.this_run, summary.total, console)
    _show_dbt(summary, console)
    _show_marts(summary, console)
    _show_business(summary, console)
    console.print(_verdict(summary, layout), soft_wrap=True)


def _show_runs(summary: RunSummary, console: Console) -> None:
    table = _table("DAG", "state", "tasks passed", "skipped", "failed")
    for run in summary.runs:
        table.add_row(
            run.dag_id, run.state, _number(run.succeeded), _number(run.skipped), _number(run.failed)
        )
    console.print(table)


def _show_loads(this_run: LoadCounts, total: LoadCounts, console: Console) -> None:
    table = _table("", "this run", "all current")
    for name, new, current in _load_rows(this_run, total):
        table.add_row(name, _number(new), _number(current))
    console.print(table)


def _load_rows(this_run: LoadCounts, total: LoadCounts) -> Iterable[tuple[str, int, int]]:
    yield "files", this_run.files, total.files
    yield "API pages", this_run.api_pages, total.api_pages
    yield "rows read", this_run.rows_read, total.rows_read
    yield "rows conformed", this_run.rows_conformed, total.rows_conformed
    yield "duplicates skipped", this_run.rows_duplicate, total.rows_duplicate
    yield "rows quarantined", this_run.rows_quarantined, total.rows_quarantined
    new = {rejected.reason: rejected.rows for rejected in this_run.quarantined}
    current = {rejected.reason: rejected.rows for rejected in total.quarantined}
    for reason in [*current, *(new.keys() - current.keys())]:
        yield f"  {reason}", new.get(reason, 0), current.get(reason, 0)


def _show_dbt(summary: RunSummary, console: Console) -> None:
    table = _table("dbt", "passed", "failed")
    dbt = summary.dbt
    table.add_row("models", _number(dbt.models_passed), _number(dbt.models_failed))
    table.add_row("tests", _number(dbt.tests_passed), _number(dbt.tests_failed))
    console.print(table)
    if dbt.skipped:
        console.print(f"{dbt.skipped} dbt nodes behind a failure were passed over.")


def _show_marts(summary: RunSummary, console: Console) -> None:
    table = _table("largest marts", "rows")
    for mart in summary.largest_marts:
        table.add_row(mart.name, _number(mart.rows))
    console.print(table)


def _show_business(summary: RunSummary, console: Console) -> None:
    revenue = _table("revenue of the last day", "date", "currency", "amount")
    for day in summary.last_day_revenue:
        revenue.add_row(day.source, str(day.business_date), day.currency, f"{day.revenue:,}")
    console.print(revenue)
    machines = _table(
        "machines about to run out", "urgent slots", "days of cover", "units to bring"
    )
    for machine in summary.low_machines:
        cover = machine.least_days_of_cover
        machines.add_row(
            machine.machine_id,
            _number(machine.urgent_slots),
            "-" if cover is None else str(cover),
            _number(machine.recommended_units),
        )
    console.print(machines)


def _verdict(summary: RunSummary, layout: Layout) -> Text:
    seconds = f"{summary.seconds:.0f} s"
    written = f"The same is in {layout.run_summary}."
    if summary.succeeded:
        return Text(f"Every task succeeded, in {seconds}. {written}", style="green")
    failed = [run.dag_id for run in summary.runs if run.state != "success" or run.failed]
    return Text(
        f"Not every task succeeded ({', '.join(failed)}), after {seconds}: the alerts above say "
        f"what to do, and the logs are in {layout.airflow_home / 'logs'}. {written}",
        style="red",
    )


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _number(value: int) -> str:
    return f"{value:,}"
