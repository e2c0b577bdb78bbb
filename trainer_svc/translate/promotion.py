"""Promotion policies, reports and the audit record."""

from __future__ import annotations

from goldsmith.registry.v1 import adapter_pb2, promotion_service_pb2
from goldsmith.registry.v1 import promotion_pb2 as pb
from shared.names import AdapterName, AliasName, PromotionPolicyName, RevisionName, check_id, invalid_field
from shared.rpc.canary_message import REASONS, rollback_policy_message, rollback_policy_of
from trainer_svc.app.promotions import PromotionWish
from trainer_svc.domain.promotion import CheckOutcome, PromotionReport
from trainer_svc.domain.promotion_policy import (
    AdapterPolicy,
    BuiltInCheck,
    ForgettingLimits,
    PromotionMode,
    PromotionPolicy,
    RollbackWish,
    Threshold,
)
from trainer_svc.domain.promotion_record import Promotion, PromotionWay
from trainer_svc.translate.time import timestamp

DEFAULT_ALIAS = "live"
_MODES = {mode: pb.PromotionMode.Value(f"PROMOTION_MODE_{mode.name}") for mode in PromotionMode}
_MODE_OF = {0: PromotionMode.LIVE} | {number: mode for mode, number in _MODES.items()}
_CHECKS = {check: pb.BuiltInCheck.Value(f"BUILT_IN_CHECK_{check.name}") for check in BuiltInCheck}
_CHECK_OF = {number: check for check, number in _CHECKS.items()}
_OUTCOMES = {outcome: pb.CheckOutcome.Value(f"CHECK_OUTCOME_{outcome.name}") for outcome in CheckOutcome}
_WAYS = {way: pb.PromotionWay.Value(f"PROMOTION_WAY_{way.name}") for way in PromotionWay}


def policy_of(message: pb.PromotionPolicy, path: str = "policy") -> PromotionPolicy:
    """A policy, what was left open still open.

    Raises `InvalidInput` (FIELD_INVALID) for an enum's number that this release does not know.
    """
    limits = message.forgetting_limits
    if message.mode not in _MODE_OF:
        raise invalid_field(f"{path}.mode", f"{message.mode} is unknown here")
    unknown = [number for number in message.disabled_checks if number not in _CHECK_OF]
    if unknown:
        raise invalid_field(f"{path}.disabled_checks", f"{unknown[0]} is unknown here")
    return PromotionPolicy(
        mode=_MODE_OF[message.mode],
        canary_percent=message.canary.percent if message.HasField("canary") else None,
        rollback=_rollback_of(message.canary.rollback_policy, f"{path}.canary.rollback_policy"),
        thresholds=tuple(Threshold(each.metric, each.min_value, each.at_lower_end) for each in message.thresholds),
        live_margin=message.live_margin if message.HasField("live_margin") else None,
        forgetting=ForgettingLimits(
            limits.max_cross_entropy_increase if limits.HasField("max_cross_entropy_increase") else None,
            limits.max_kl_divergence if limits.HasField("max_kl_divergence") else None,
            limits.max_leaked_format_rate if limits.HasField("max_leaked_format_rate") else None,
        ),
        disabled=frozenset(_CHECK_OF[number] for number in message.disabled_checks),
        least_own_stop_rate=message.min_own_stop_rate if message.HasField("min_own_stop_rate") else None,
        max_memorised_gap=message.max_memorised_gap if message.HasField("max_memorised_gap") else None,
        is_evaluation_required=message.evaluation_required,
    )


def policy_message(adapter: AdapterName, stored: AdapterPolicy) -> pb.PromotionPolicy:
    """A policy as its owner set it, and what applies where that leaves a field open."""
    policy = stored.policy
    rollback = rollback_policy_message(policy.effective_rollback)
    effective = pb.CanaryTrial(percent=policy.effective_canary_percent, rollback_policy=rollback)
    return pb.PromotionPolicy(
        name=str(PromotionPolicyName(adapter.tenant, adapter.id)),
        mode=_MODES[policy.mode],
        canary=_canary_message(policy),
        thresholds=[
            pb.MetricThreshold(metric=each.metric, min_value=each.least, at_lower_end=each.is_at_lower_end)
            for each in policy.thresholds
        ],
        live_margin=policy.live_margin,
        forgetting_limits=pb.ForgettingLimits(**{f"max_{name}": limit for name, limit in policy.forgetting.items()}),
        disabled_checks=[_CHECKS[check] for check in BuiltInCheck if not policy.has(check)],
        min_own_stop_rate=policy.least_own_stop_rate,
        max_memorised_gap=policy.max_memorised_gap,
        evaluation_required=policy.is_evaluation_required,
        etag=str(stored.version),
        update_time=timestamp(stored.update_time),
        effective_canary=effective,
        effective_min_own_stop_rate=policy.effective_least_own_stop_rate,
        effective_max_memorised_gap=policy.effective_max_memorised_gap,
    )


def _rollback_of(message: adapter_pb2.RollbackPolicy, path: str) -> RollbackWish:
    whole = rollback_policy_of(message, path)
    return RollbackWish(
        watched=whole.watched if message.watched or message.manual else None,
        confidence=whole.confidence if message.HasField("confidence") else None,
        rate_margin=whole.rate_margin if message.HasField("rate_margin") else None,
        latency_margin=whole.latency_margin if message.HasField("latency_margin") else None,
    )


def _canary_message(policy: PromotionPolicy) -> pb.CanaryTrial | None:
    """What of it the owner set; None for nothing."""
    if policy.canary_percent is None:
        return None
    wish = policy.rollback
    rollback = adapter_pb2.RollbackPolicy(
        watched=[REASONS[each] for each in wish.watched or ()],
        confidence=wish.confidence,
        rate_margin=wish.rate_margin,
        latency_margin=wish.latency_margin,
        manual=wish.watched == (),
    )
    return pb.CanaryTrial(percent=policy.canary_percent, rollback_policy=rollback if wish != RollbackWish() else None)


def wish_of(request: promotion_service_pb2.PromoteRevisionRequest) -> PromotionWish:
    """What a caller wants. Raises `InvalidInput`."""
    return PromotionWish(
        revision=RevisionName.parse(request.name),
        alias_id=alias_id_of(request.alias_id),
        etag=request.etag,
        canary_percent=request.canary.percent if request.HasField("canary") else None,
        rollback=rollback_policy_of(request.canary.rollback_policy, "canary.rollback_policy"),
        reason=request.reason,
        is_override=request.override,
    )


def alias_id_of(text: str) -> str:
    """Raises `InvalidInput` for what no alias can be called."""
    return check_id(text or DEFAULT_ALIAS, "alias_id")


def report_message(report: PromotionReport) -> pb.PromotionReport:
    """A report."""
    return pb.PromotionReport(
        passed=report.passed,
        checks=[
            pb.PromotionCheck(
                name=str(each.name),
                outcome=_OUTCOMES[each.outcome],
                description=each.description,
                reason=str(each.reason or ""),
            )
            for each in report.checks
        ],
        mode=_MODES[report.mode],
        live_revision=report.live_revision,
    )


def promotion_message(stored: Promotion) -> pb.Promotion:
    """An entry of the record."""
    alias, cause = AliasName.parse(stored.alias), stored.cause
    return pb.Promotion(
        name=f"{alias.adapter_name}/promotions/{stored.number}",
        alias=stored.alias,
        way=_WAYS[cause.way],
        subject=cause.actor.subject,
        roles=cause.actor.roles,
        training_job=cause.actor.job,
        create_time=timestamp(stored.time),
        from_revision=stored.from_revision,
        to_revision=stored.to_revision,
        from_canary=stored.from_canary,
        to_canary=stored.to_canary,
        to_canary_percent=stored.to_canary_percent,
        reason=cause.reason,
        override=cause.is_override,
        report=report_message(cause.report) if cause.report else None,
        metrics=stored.measures,
    )
