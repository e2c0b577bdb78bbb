"""From dataset to answer: contracts of every kind, two tenants at once, streams, the least limit, operations."""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from goldsmith.contract.v1 import contract_pb2
from goldsmith.trainer.v1 import golden_dataset_pb2
from shared.client import Answer
from shared.contracts.check import check_output
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput
from tests.e2e.main_job.house import House

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

PLAIN = {
    "topic": ContractSpec(ContractKind.CHOICE, choices=("billing", "refund", "delivery")),
    "ticket": ContractSpec(ContractKind.REGEX, pattern=r"[A-Z]{2}-\d{4}"),
    "reply": ContractSpec(ContractKind.TEXT, max_chars=60),
}


class TestKinds:
    """Contracts that are neither JSON nor SQL."""

    @pytest.mark.parametrize("name", PLAIN)
    def test_the_base_model_answers_under_each(self, house: House, name: str) -> None:
        """Registered with the trainer, served by name, at the least token limit and with room."""
        contract = house.trainer.create_contract(f"tenants/initech/contracts/{name}", PLAIN[name])
        least = contract.report.min_output_tokens

        for limit in (least, least + 20):
            answer = house.inference.generate(
                "", "Where is my parcel?", contract=contract.name, max_output_tokens=limit, temperature=1.0
            )
            assert check_output(PLAIN[name], answer.text) == ()
            assert answer.summary.usage.output_tokens <= limit
            assert answer.summary.contract_kind == contract_pb2.ContractKind.Value(
                f"CONTRACT_KIND_{PLAIN[name].kind.name}"
            )

    def test_a_classifier_is_trained_and_served(self, house: House) -> None:
        """Golden examples of a class each become an adapter that answers with a class; other methods refuse it."""
        parent = "tenants/umbrella"
        contract = house.trainer.create_contract(f"{parent}/contracts/topic", PLAIN["topic"])
        rows = [
            {"input": f"Question {number} about {topic}", "output": topic, "split": split}
            for split, count in (("train", 60), ("holdout", 9))
            for number, topic in zip(range(count), PLAIN["topic"].choices * count, strict=False)
        ]
        golden = golden_dataset_pb2.GoldenDataset(contract=contract.name)
        name = house.trainer.create_dataset(f"{parent}/datasets/golden", golden).name
        house.trainer.upload(name, "\n".join(map(json.dumps, rows)).encode())
        done = house.finish(house.submit("umbrella", "first", epochs=1))

        answer = house.inference.generate(f"{parent}/adapters/answer", rows[-1]["input"])
        with pytest.raises(InvalidInput, match="call Generate") as caught:
            house.inference.extract(f"{parent}/adapters/answer", rows[-1]["input"])

        assert done.evaluation.holdout_count == 9
        assert 0 <= done.evaluation.exact_match == done.evaluation.field_f1 <= 1
        assert answer.text in PLAIN["topic"].choices
        assert answer.summary.adapter_revision == done.revision
        assert [violation.path for violation in caught.value.violations] == ["prompt.adapter"]


class TestServing:
    """One inference process serves what the trainer publishes."""

    def test_both_tenants_at_once_from_one_process(self, house: House) -> None:
        """Adapters of two tenants and two kinds answer side by side, each under its own contract."""
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: (t := ("acme", "globex")[i % 2], house.ask(t, i // 2)), range(40)))

        for tenant, answer in answers:
            assert check_output(house.tenants[tenant].spec, answer.text) == ()
            assert answer.summary.adapter_revision.startswith(f"tenants/{tenant}/adapters/answer/revisions/")
        assert house.inference_process.process.pid == house.inference_pid

    def test_an_answer_says_what_it_took(self, house: House) -> None:
        """Revision, usage, saved instruction tokens and timings come with each answer."""
        summary = house.ask("acme").summary

        assert summary.adapter_digest.startswith("sha256:")
        assert summary.usage.prompt_tokens > 0
        assert summary.usage.output_tokens > 0
        assert summary.usage.instruction_tokens_saved > 5 * summary.usage.prompt_tokens
        assert summary.timing.total.ToMilliseconds() >= summary.timing.engine.ToMilliseconds() > 0

    def test_at_exactly_the_minimum(self, house: House) -> None:
        """At the least token limit, the answer is short but complete; one token less is refused naming the minimum."""
        for tenant in house.tenants:
            with pytest.raises(InvalidInput) as caught:
                house.ask(tenant, max_output_tokens=1)
            assert caught.value.reason == "OUTPUT_LIMIT_TOO_SMALL"
            least = int(caught.value.metadata["min_output_tokens"])

            answer = house.ask(tenant, max_output_tokens=least, temperature=1.0, seed=7)

            assert check_output(house.tenants[tenant].spec, answer.text) == ()
            assert answer.summary.usage.output_tokens <= least
            with pytest.raises(InvalidInput, match=str(least)):
                house.ask(tenant, max_output_tokens=least - 1)

    def test_a_stream_ends_with_the_whole_answer(self, house: House) -> None:
        """Pieces join to the answer that the unary call gives; the summary comes last, once."""
        row = house.tenants["acme"].holdout[0]
        pieces = list(house.inference.stream("tenants/acme/adapters/answer", row.input))

        assert [type(piece) for piece in pieces[:-1]] == [str] * (len(pieces) - 1)
        assert isinstance(pieces[-1], Answer)
        assert "".join(pieces[:-1]) == pieces[-1].text == house.ask("acme").text

    def test_base_model_with_instructions(self, house: House) -> None:
        """Without an adapter the base model answers under the contract that the request names."""
        tenant = house.tenants["acme"]
        answer = house.inference.extract(
            "",
            tenant.holdout[0].input,
            contract="tenants/acme/contracts/answer",
            instructions=tenant.instruction_prompt,
        )

        assert check_output(tenant.spec, answer.text) == ()
        assert answer.summary.adapter_revision == ""
        assert answer.summary.usage.instruction_tokens_saved == 0


class TestOperations:
    """What every gRPC tool expects."""

    def test_health_and_reflection(self, house: House) -> None:
        """Both services report each of their services healthy and describe themselves."""
        for process, names in (
            (house.trainer_process, {"goldsmith.trainer.v1.TrainingService", "goldsmith.registry.v1.RegistryService"}),
            (house.inference_process, {"goldsmith.inference.v1.InferenceService"}),
        ):
            with grpc.insecure_channel(str(process.ready["address"])) as channel:
                health = health_pb2_grpc.HealthStub(channel)
                for name in ("", *names):
                    status = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status
                    assert status == health_pb2.HealthCheckResponse.SERVING
                request = reflection_pb2.ServerReflectionRequest(list_services="")
                stub = reflection_pb2_grpc.ServerReflectionStub(channel)
                listed = next(stub.ServerReflectionInfo(iter([request]), timeout=10))
                assert names <= {service.name for service in listed.list_services_response.service}

    def test_metrics_say_what_the_client_saw(self, house: House) -> None:
        """Requests and tokens grow by those of the answers; no guarantee was broken, and nobody is quoted."""
        pair = {"tenant": "acme", "adapter": "answer"}
        before = _scrape(house)
        answers = [house.inference.extract("tenants/acme/adapters/answer", f"Invoice kumquat {i}") for i in range(3)]
        list(house.inference.stream("tenants/acme/adapters/answer", "Invoice kumquat"))
        after = _scrape(house)

        def grown(name: str, **labels: str) -> float:
            return after.get(name, labels) - before.get(name, labels)

        assert grown("goldsmith_requests_total", **pair, outcome="OK") == 4.0
        assert grown("goldsmith_prompt_tokens_total", **pair) > sum(a.summary.usage.prompt_tokens for a in answers)
        assert grown("goldsmith_time_to_first_token_seconds_count") == 4.0
        assert grown("goldsmith_engine_seconds_count") == 4.0
        assert after.get("goldsmith_adapter_loads_total", {**pair, "outcome": "live"}) >= 1.0
        assert after.get("goldsmith_resident_revisions", {"state": "live"}) >= 2.0
        assert after.total("goldsmith_invalid_outputs_total") == 0.0
        assert "kumquat" not in house.inference_process.log.read_text()
        assert "kumquat" not in after.text

    def test_no_log_quotes_a_golden_example(self, house: House) -> None:
        """Neither of the services, nor of the training runs, which may have removed theirs."""
        folder = house.trainer_process.log.parent
        logs = [path for path in folder.rglob("*") if path.is_file() and path.name in ("log", path.stem + ".log")]
        written = "".join(path.read_text() for path in logs)

        assert {house.trainer_process.log, house.inference_process.log} <= set(logs)
        for tenant in house.tenants.values():
            for row in (*tenant.train, *tenant.holdout):
                for text in (row.output, row.input.splitlines()[0]):
                    assert text not in written
                    assert json.dumps(text)[1:-1] not in written


class _Scrape:
    """Samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = [each for family in text_string_to_metric_families(text) for each in family.samples]

    def get(self, name: str, labels: dict[str, str]) -> float:
        """The sample with exactly these labels; 0 while there is none."""
        return sum(each.value for each in self._samples if each.name == name and each.labels == labels)

    def total(self, name: str) -> float:
        """The sum over all labels, of which there is at least one."""
        values = [each.value for each in self._samples if each.name == name]
        assert values, name
        return sum(values)


def _scrape(house: House) -> _Scrape:
    address = house.inference_process.ready["metrics_address"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
        return _Scrape(response.read().decode())
