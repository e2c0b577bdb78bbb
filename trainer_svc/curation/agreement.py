"""Which output a teacher means: what most of its answers to one question say, in canonical form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.judgement import RowRefused, judge
from trainer_svc.curation.reader.row import Row, RowFault

_FENCE = "```"
_OPENINGS = (_FENCE, f"{_FENCE}json", f"{_FENCE}sql")
_FENCED_KINDS = (ContractKind.JSON, ContractKind.SQL)


@dataclass(frozen=True)
class Reply:
    """What came of asking once; `fault` says why there is no text, where there is none."""

    text: str | None
    fault: str = ""


def agree(number: int, text: str, replies: Sequence[Reply], spec: ContractSpec, min_agreement: float) -> Row | RowFault:
    """A row with the output that enough of all answers have, or why there is none.

    Answers that break the contract count against the others. Nothing is stripped off an answer but one Markdown fence
    around all of it, of JSON and SQL. Two outputs with as many answers each are no agreement.
    """
    came = [reply.text for reply in replies if reply.text is not None]
    if not came:
        faults = "; ".join(dict.fromkeys(reply.fault for reply in replies))
        return _dropped(number, "TEACHER_GAVE_NO_ANSWER", f"none of {len(replies)} answers came: {faults}")
    outputs: Counter[str] = Counter()
    breach = ""
    for answer, count in Counter(came).items():  # of equal texts one is read, which may take a while
        try:
            outputs[_canonical(number, text, answer, spec)] += count
        except RowRefused as err:
            breach = breach or err.findings[0].message
    if not outputs:
        return _dropped(number, "TEACHER_BROKE_CONTRACT", f"none of {len(came)} answers keeps the contract: {breach}")
    (output, count), *others = outputs.most_common(2)
    if count < min_agreement * len(replies) or (others and others[0][1] == count):
        message = (
            f"at most {count} of {len(replies)} answers are equal, of {len(outputs)} outputs that keep the contract; "
            f"a share of {min_agreement:g} must be"
        )
        return _dropped(number, "TEACHER_DISAGREES", message)
    return Row(number, {"input": text, "output": output}, is_synthetic=True)


def _canonical(number: int, text: str, answer: str, spec: ContractSpec) -> str:
    output = _unfenced(answer) if spec.kind in _FENCED_KINDS else answer
    return judge(Row(number, {"input": text, "output": output}), spec)[1].output


def _unfenced(answer: str) -> str:
    opening, _, rest = answer.strip().partition("\n")
    is_fenced = opening.rstrip().lower() in _OPENINGS and rest.endswith(_FENCE)
    return rest.removesuffix(_FENCE) if is_fenced else answer


def _dropped(number: int, reason: str, message: str) -> RowFault:
    return RowFault(number, reason, "output", message, is_blocking=False)
