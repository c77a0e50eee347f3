"""One content, as a line of text and as Slack blocks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.alerts.formatter import (
    SLACK_HEADER_CHARACTERS,
    SLACK_SECTION_CHARACTERS,
    Alert,
    Outcome,
    as_blocks,
    as_text,
)
from include.settings import Environment

# https://docs.slack.dev/reference/block-kit/blocks/section-block
SLACK_FIELD_CHARACTERS = 2_000

texts = st.text(max_size=250)
alerts = st.builds(
    Alert,
    outcome=st.sampled_from(Outcome),
    environment=st.sampled_from(Environment),
    dag_id=texts,
    run_id=texts,
    subject=st.none() | texts,
    sentence=st.text(max_size=5_000),
    log_url=st.none() | st.just("http://127.0.0.1/log"),
    runbook=texts,
    affected=st.lists(texts, max_size=12).map(tuple),
    owners=st.lists(texts, max_size=3).map(tuple),
    details=st.lists(st.text(max_size=3_000), max_size=4).map(tuple),
)
SLACK_BLOCKS = 50


def test_text_and_blocks_say_the_same(failed_test: Alert) -> None:
    text, blocks = as_text(failed_test), json.dumps(as_blocks(failed_test))
    for fact in (
        failed_test.title,
        failed_test.sentence,
        failed_test.run_id,
        failed_test.log_url,
        failed_test.runbook,
    ):
        assert fact is not None
        assert fact in text
        assert fact in blocks


def test_the_title_names_task_outcome_and_environment(failed_test: Alert) -> None:
    assert failed_test.title == "transform.check_results failed in dev"


def test_an_alert_about_a_whole_run_is_titled_with_the_dag_alone(failed_test: Alert) -> None:
    assert replace(failed_test, subject=None).title == "transform failed in dev"


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.LATE, Outcome.NOTICED])
def test_what_needs_somebody_says_since_when_and_what_helps(
    failed_test: Alert, outcome: Outcome
) -> None:
    details = ("not_null_amount: SQL dbt-artifacts/r/compiled/t.sql, rows [{'amount': None}]",)
    since = datetime(2026, 11, 20, 3, 5, tzinfo=UTC)
    alert = replace(failed_test, outcome=outcome, details=details, happened_at=since)
    for told in (as_text(alert), json.dumps(as_blocks(alert))):
        assert "2026-11-20 03:05 UTC" in told
        assert details[0] in told
    assert f"transform.check_results {outcome} in dev" in as_text(alert)


def test_a_success_points_to_no_runbook_in_text(failed_test: Alert) -> None:
    text = as_text(replace(failed_test, outcome=Outcome.SUCCEEDED))
    assert failed_test.runbook not in text


def test_slack_markup_in_a_message_is_shown_and_not_obeyed(failed_test: Alert) -> None:
    hostile = replace(failed_test, sentence="<!channel> a < b & c")
    assert as_blocks(hostile)[1]["text"]["text"] == "&lt;!channel&gt; a &lt; b &amp; c"


@given(alerts)
def test_text_is_always_one_line(alert: Alert) -> None:
    named = {"dag_id": "d", "run_id": "r", "subject": None, "runbook": "b"}
    sentence = as_text(replace(alert, affected=(), **named))
    assert len(sentence.splitlines()) == 1


@given(alerts)
def test_blocks_stay_within_what_slack_accepts(alert: Alert) -> None:
    header, *sections, facts, _ = blocks = as_blocks(alert)
    assert len(blocks) <= SLACK_BLOCKS
    assert 0 < len(header["text"]["text"]) <= SLACK_HEADER_CHARACTERS
    assert all(0 < len(each["text"]["text"]) <= SLACK_SECTION_CHARACTERS for each in sections)
    assert all(len(field["text"]) <= SLACK_FIELD_CHARACTERS for field in facts["fields"])
