"""Chooses the channels of an alert, and when they are told (routing.yaml)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field

from include.alerts.formatter import Alert, Outcome, Severity
from include.settings import BUSINESS_TIME_ZONE, Settings

ROUTING_FILE = Path(__file__).with_name("routing.yaml")
SNS = "sns"


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChannelRules(_Rules):
    severities: frozenset[Severity]


class QuietHours(_Rules):
    """A span of the day in business time; it may pass midnight."""

    start: time = Field(alias="from")
    end: time = Field(alias="to")
    severities: frozenset[Severity]

    def end_of(self, moment: datetime) -> datetime | None:
        """When the quiet hours that a moment lies in end, None outside of them."""
        local = moment.astimezone(ZoneInfo(BUSINESS_TIME_ZONE))
        now = local.time()
        passes_midnight = self.start > self.end
        is_quiet = (
            now >= self.start or now < self.end if passes_midnight else self.start <= now < self.end
        )
        if not is_quiet:
            return None
        end = datetime.combine(local.date(), self.end, local.tzinfo)
        return (end if now < self.end else end + timedelta(days=1)).astimezone(UTC)


class Routing(_Rules):
    """The rules as a whole. ``owners`` gives the Slack connection of an owner."""

    slack: ChannelRules
    sns: ChannelRules
    quiet_hours: QuietHours
    owners: Mapping[str, str]

    def channels(self, alert: Alert, settings: Settings) -> tuple[str, ...]:
        """``sns``, and ids of Slack connections, which need not exist."""
        found: list[str] = []
        if alert.severity in self.slack.severities:
            own = [self.owners[owner] for owner in alert.owners if owner in self.owners]
            found += [settings.slack_connection_id, *own]
        if settings.sns_topic_arn and alert.severity in self.sns.severities:
            found.append(SNS)
        return tuple(dict.fromkeys(found))

    def not_before(self, alert: Alert, now: datetime) -> datetime:
        """When the alert may be told, in UTC: now, or at the end of the quiet hours."""
        # Whoever was told of a failure at night may hear that it is over.
        is_recovery = alert.outcome is Outcome.RECOVERED
        waits = alert.severity in self.quiet_hours.severities and not is_recovery
        return (self.quiet_hours.end_of(now) if waits else None) or now


@cache
def load_routing(path: Path = ROUTING_FILE) -> Routing:
    """The rules. Raises pydantic's ValidationError."""
    return Routing.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
