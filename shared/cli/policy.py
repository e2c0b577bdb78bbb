"""`goldsmith policy`: what a revision must show before an alias may mean it."""

from __future__ import annotations

import enum
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf import json_format

from goldsmith.registry.v1 import promotion_pb2 as pb
from shared.cli.address import TRAINER, TrainerAddress
from shared.cli.screen import errors_shown
from shared.client import PromotionClient
from shared.errors import InvalidInput
from shared.names import AdapterName, PromotionPolicyName, invalid_field

app = typer.Typer(no_args_is_help=True, help="Promotion policies: what a revision must show before it serves.")

_MODE, _CHECK = "PROMOTION_MODE_", "BUILT_IN_CHECK_"
_Adapter = Annotated[str, typer.Argument(metavar="ADAPTER", help="tenants/{tenant}/adapters/{adapter}")]


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", "-")


Mode = enum.StrEnum(  # type: ignore[misc]  # its members are those of the contract
    "Mode", {name: _word(name, _MODE) for name, number in pb.PromotionMode.items() if number}
)
Check = enum.StrEnum(  # type: ignore[misc]  # as above
    "Check", {name: _word(name, _CHECK) for name, number in pb.BuiltInCheck.items() if number}
)


@app.callback()
def policy() -> None:
    """Promotion policies: what a revision must show before it serves."""


@app.command()
def get(context: typer.Context, adapter: _Adapter, *, address: TrainerAddress = TRAINER) -> None:
    """Show the policy of an adapter as JSON: what its owner set, and as effective_ fields what applies.

    One without update_time is the default.
    """
    with errors_shown(), PromotionClient(address, context.obj) as client:
        _show(client.policy(_name(adapter)))


@app.command("set")
def set_policy(
    context: typer.Context,
    adapter: _Adapter,
    *,
    file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="TOML with the contract's fields: the whole policy."),
    ] = None,
    mode: Annotated[Mode | None, typer.Option(help="What becomes of a job's revision that passes.")] = None,
    canary: Annotated[int | None, typer.Option(metavar="PERCENT", help="Share of a canary.")] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=VALUE", help="A least value, VALUE+ for the interval's lower end; replaces all."),
    ] = None,
    live_margin: Annotated[float | None, typer.Option(help="At most so much worse than the live one.")] = None,
    address: TrainerAddress = TRAINER,
) -> None:
    """Change what flags name, or replace the policy by that of a file, which can say everything."""
    with errors_shown():
        name = _name(adapter)
        flags = (mode, canary, threshold, live_margin)
        if file is not None and any(flag is not None for flag in flags):
            raise invalid_field("--file", "is the whole policy: give no other flag beside it")
        with PromotionClient(address, context.obj) as client:
            present = client.policy(name)
            wanted = _read(file) if file is not None else present
            wanted.name, wanted.etag = name, present.etag
            if mode is not None:
                wanted.mode = pb.PromotionMode.Value(mode.name)
            if canary is not None:
                wanted.canary.percent = canary
            if threshold is not None:
                wanted.ClearField("thresholds")
                wanted.thresholds.extend(map(_threshold, threshold))
            if live_margin is not None:
                wanted.live_margin = live_margin
            _show(client.update_policy(wanted))


def _name(adapter: str) -> str:
    own = AdapterName.parse(adapter, "ADAPTER")
    return str(PromotionPolicyName(own.tenant, own.id))


def _threshold(text: str) -> pb.MetricThreshold:
    metric, _, value = text.partition("=")
    try:
        least = float(value.removesuffix("+"))
    except ValueError as err:
        raise invalid_field("--threshold", f"must look like exact_match=0.8, got {text[:80]!r}") from err
    return pb.MetricThreshold(metric=metric, min_value=least, at_lower_end=value.endswith("+"))


def _read(file: Path) -> pb.PromotionPolicy:
    """A policy in TOML; enums in short (`mode = "canary"`, `disabled_checks = ["own-stop"]`).

    Raises `InvalidInput` (FIELD_INVALID) for anything else.
    """
    try:
        fields: dict[str, Any] = tomllib.loads(file.read_text())  # Any: of a stranger's file
        if "mode" in fields:
            fields["mode"] = Mode(fields["mode"]).name
        if "disabled_checks" in fields:
            fields["disabled_checks"] = [Check(each).name for each in fields["disabled_checks"]]
        return json_format.ParseDict(fields, pb.PromotionPolicy())
    except (OSError, TypeError, ValueError, json_format.ParseError) as err:
        raise InvalidInput("FIELD_INVALID", f"--file: {err}", hint="`goldsmith policy get` shows the fields") from err


def _show(policy: pb.PromotionPolicy) -> None:
    # Escapes everything but ASCII, so that no text of a tenant reaches a terminal as it is.
    typer.echo(json_format.MessageToJson(policy, preserving_proto_field_name=True))
