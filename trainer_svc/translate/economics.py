"""The ledger of requests and the balance of adapters."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from google.protobuf import timestamp_pb2

from goldsmith.trainer.v1 import economics_pb2 as pb
from goldsmith.trainer.v1 import economics_service_pb2 as service_pb
from shared.names import AdapterName, RevisionName, TenantName, check_id, invalid_field
from shared.rpc.canary_message import moment_of
from shared.rpc.usage_message import counts_message, counts_of
from shared.usage import hour_begin, hour_of
from trainer_svc.domain.money import decimal_text, read_price
from trainer_svc.domain.request_rate import HOURS_PER_DAY
from trainer_svc.domain.savings import BreakEven, JobCost, LabelCost, Savings, TokenPrices, check_percent
from trainer_svc.domain.savings_formula import formula, unknown_reasons
from trainer_svc.domain.usage_ledger import ReportedUsage, UsagePeriod, UsageSum
from trainer_svc.translate.job import STATES
from trainer_svc.translate.time import timestamp

_MAX_LISTED = 500
"""Jobs, and datasets, of one answer."""
_HOURS: dict[int, int] = {
    pb.USAGE_GROUPING_UNSPECIFIED: HOURS_PER_DAY,
    pb.USAGE_GROUPING_DAY: HOURS_PER_DAY,
    pb.USAGE_GROUPING_HOUR: 1,
}


def report(entries: Sequence[pb.UsageEntry]) -> list[ReportedUsage]:
    """What a replica counted. Raises `InvalidInput` for what is no id of an adapter or no begin of an hour."""
    return [_reported(entry, f"entries[{index}]") for index, entry in enumerate(entries)]


def _reported(entry: pb.UsageEntry, path: str) -> ReportedUsage:
    adapter = check_id(entry.adapter_id, f"{path}.adapter_id") if entry.adapter_id else ""
    moment = moment_of(entry.hour_time, f"{path}.hour_time")
    hour = hour_of(moment)
    if not entry.HasField("hour_time") or hour_begin(hour) != moment or entry.hour_time.nanos:
        raise invalid_field(f"{path}.hour_time", "must be the begin of an hour, UTC")
    return ReportedUsage(adapter, entry.revision_number, hour, entry.sequence, counts_of(entry.counts))


def usage_parent(text: str) -> tuple[TenantName, str]:
    """The tenant, and the id of its adapter or an empty text. Raises `InvalidInput`."""
    if text.count("/") > 1:
        adapter = AdapterName.parse(text, "parent")
        return adapter.parent, adapter.id
    return TenantName.parse(text), ""


def hours_of(grouping: int) -> int:
    """How many hours go together. Raises `InvalidInput` for a grouping that this version does not know."""
    if grouping not in _HOURS:
        raise invalid_field("grouping", f"unknown value {grouping}")
    return _HOURS[grouping]


def period(request: service_pb.ListUsageRequest | service_pb.GetSavingsRequest) -> UsagePeriod:
    """Hours that begin in the period asked for. Raises `InvalidInput` for one that ends before it begins."""
    first, end = (
        _next_hour(getattr(request, name), name) if request.HasField(name) else None
        for name in ("start_time", "end_time")
    )
    if first is not None and end is not None and end < first:
        raise invalid_field("end_time", "must not be before start_time")
    return UsagePeriod(first, end)


def _next_hour(stamp: timestamp_pb2.Timestamp, name: str) -> int:
    """The first hour that begins at a moment or after it; only whole hours since 1970 are counted."""
    moment = moment_of(stamp, name)
    hour = hour_of(moment)
    return max(0, hour if hour_begin(hour) == moment else hour + 1)


def revision_of(name: AdapterName, text: str) -> RevisionName | None:
    """A revision of the adapter, or None. Raises `InvalidInput` for one of another adapter."""
    if not text:
        return None
    revision = RevisionName.parse(text, "revision")
    if revision.adapter_name != name:
        raise invalid_field("revision", f"is not a revision of {name}")
    return revision


def what_if(message: pb.TokenPrices, operator: TokenPrices) -> TokenPrices:
    """The operator's prices, those that the message sets in their place. Raises `InvalidInput`."""
    asked = [
        read_price(text, f"prices.per_million_{name}_tokens")
        for name, text in (
            ("prompt", message.per_million_prompt_tokens),
            ("cached", message.per_million_cached_tokens),
            ("output", message.per_million_output_tokens),
        )
    ]
    prompt, cached, output = (
        own if price is None else price
        for price, own in zip(asked, (operator.prompt, operator.cached, operator.output), strict=True)
    )
    percent = operator.instruction_cache_percent
    if message.HasField("instruction_cache_percent"):
        percent = check_percent(message.instruction_cache_percent, "prices.instruction_cache_percent")
    return TokenPrices(prompt, cached, output, percent)


def record(parent: TenantName, found: UsageSum) -> pb.UsageRecord:
    """What was counted."""
    name = RevisionName(parent.tenant, found.adapter, found.revision) if found.adapter else ""
    return pb.UsageRecord(
        revision=str(name), start_time=timestamp(hour_begin(found.hour)), counts=counts_message(found.counts)
    )


def savings(
    name: AdapterName, revision: RevisionName | None, found: Savings, *, currency: str, is_what_if: bool
) -> pb.Savings:
    """The balance of an adapter."""
    prices, traffic = found.prices, found.traffic
    return pb.Savings(
        name=str(name),
        revision=str(revision or ""),
        start_time=timestamp(traffic.first_hour),
        end_time=timestamp(traffic.end),
        currency=currency,
        prices=pb.TokenPrices(
            per_million_prompt_tokens=_money(prices.prompt),
            per_million_cached_tokens=_money(prices.cached),
            per_million_output_tokens=_money(prices.output),
            instruction_cache_percent=prices.instruction_cache_percent,
        ),
        what_if=is_what_if,
        counts=counts_message(traffic.counts),
        serving_cost=_money(found.serving_cost),
        instruction_saving=_money(found.instruction_saving),
        output_saving=_money(found.output_saving),
        saving=_money(found.saving),
        training=map(_training, found.jobs[:_MAX_LISTED]),
        training_job_count=len(found.jobs),
        training_cost=_money(found.training_cost),
        labelling=map(_labelling, found.labels[:_MAX_LISTED]),
        labelling_cost=_money(found.labelling_cost),
        net=_money(found.net),
        break_even=_break_even(found.break_even),
        formula=formula(found, currency),
        unknown_reasons=unknown_reasons(found),
    )


def _training(job: JobCost) -> pb.TrainingCost:
    message = pb.TrainingCost(job=job.job, state=STATES[job.state], revision=job.revision, cost=_money(job.cost))
    message.run_time.FromMicroseconds(job.run_microseconds)
    return message


def _labelling(label: LabelCost) -> pb.LabellingCost:
    return pb.LabellingCost(
        dataset=label.dataset, teacher=label.teacher, answer_count=label.answer_count, cost=_money(label.cost)
    )


def _break_even(even: BreakEven) -> pb.BreakEven:
    return pb.BreakEven(
        request_count=even.request_count,
        unknown_reason=even.unknown_reason,
        requests_per_day=_money(even.requests_per_day),
        day_count=even.day_count,
        days_unknown_reason=even.days_unknown_reason,
        time=timestamp(even.time),
    )


def _money(amount: Fraction | None) -> str | None:
    return None if amount is None else decimal_text(amount)
