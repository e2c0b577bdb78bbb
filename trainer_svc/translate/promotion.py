"""Promotion policies, reports and the audit record."""

from __future__ import annotations

from goldsmith.registry.v1 import promotion_pb2 as pb
from goldsmith.registry.v1 import promotion_service_pb2
from shared.names import AdapterName, AliasName, PromotionPolicyName, RevisionName, check_id, invalid_field
from shared.rpc.canary_message import rollback_policy_message, rollback_policy_of
from trainer_svc.app.promotions import PromotionWish
from trainer_svc.domain.promotion import CheckOutcome, PromotionReport
from trainer_svc.domain.promotion_policy import (
    AdapterPolicy,
    BuiltInCheck,
    ForgettingLimits,
    PromotionMode,
    PromotionPolicy,
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
    """A policy, what was left open at its default.

    Raises `InvalidInput` (FIELD_INVALID) for an enum's number that this release does not know.
    """
    default, limits = PromotionPolicy(), message.forgetting_limits
    if message.mode not in _MODE_OF:
        raise invalid_field(f"{path}.mode", f"{message.mode} is unknown here")
    unknown = [number for number in message.disabled_checks if number not in _CHECK_OF]
    if unknown:
        raise invalid_field(f"{path}.disabled_checks", f"{unknown[0]} is unknown here")
    has_canary = message.HasField("canary")
    return PromotionPolicy(
        mode=_MODE_OF[message.mode],
        canary_percent=message.canary.percent if has_canary else default.canary_percent,
        rollback=rollback_policy_of(message.canary.rollback_policy, f"{path}.canary.rollback_policy"),
        thresholds=tuple(Threshold(each.metric, each.min_value, each.at_lower_end) for each in message.thresholds),
        live_margin=message.live_margin if message.HasField("live_margin") else None,
        forgetting=ForgettingLimits(
            limits.max_cross_entropy_increase if limits.HasField("max_cross_entropy_increase") else None,
            limits.max_kl_divergence if limits.HasField("max_kl_divergence") else None,
            limits.max_leaked_format_rate if limits.HasField("max_leaked_format_rate") else None,
        ),
        disabled=frozenset(_CHECK_OF[number] for number in message.disabled_checks),
        least_own_stop_rate=(
            message.min_own_stop_rate if message.HasField("min_own_stop_rate") else default.least_own_stop_rate
        ),
        max_memorised_gap=(
            message.max_memorised_gap if message.HasField("max_memorised_gap") else default.max_memorised_gap
        ),
        is_evaluation_required=message.evaluation_required,
    )


def policy_message(adapter: AdapterName, stored: AdapterPolicy) -> pb.PromotionPolicy:
    """A policy with nothing left open; limits that are off are absent."""
    policy = stored.policy
    return pb.PromotionPolicy(
        name=str(PromotionPolicyName(adapter.tenant, adapter.id)),
        mode=_MODES[policy.mode],
        canary=pb.CanaryTrial(percent=policy.canary_percent, rollback_policy=rollback_policy_message(policy.rollback)),
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
    )


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
