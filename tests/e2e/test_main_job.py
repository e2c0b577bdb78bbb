"""The main job on the real parts: two processes, real sockets, real training, a real engine, SQLite on disk."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from deploy.quickstart.invoices import invoices
from deploy.quickstart.sales import sales
from deploy.quickstart.service_process import ServiceProcess
from deploy.quickstart.tenant import DemoTenant
from goldsmith.contract.v1 import contract_pb2
from goldsmith.inference.v1 import inference_service_pb2
from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2
from shared.base_model import BaseModel
from shared.client import Answer, InferenceClient, TrainerClient
from shared.contracts.check import check_output
from shared.contracts.report import KeywordFate
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import DeadlineExceeded, InvalidInput, NotFound

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

SUCCEEDED = training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED
LIVE = inference_service_pb2.RESIDENT_ADAPTER_STATE_LIVE
WAIT_SECONDS = 240.0
ROWS, HOLDOUT = 120, 20


@dataclass
class House:
    """Both services, running."""

    trainer_process: ServiceProcess
    inference_process: ServiceProcess
    trainer: TrainerClient
    inference: InferenceClient
    inference_pid: int
    tenants: dict[str, DemoTenant] = field(default_factory=dict)

    def dataset(self, tenant: DemoTenant) -> str:
        """Contract and sealed dataset of a tenant; the dataset's name."""
        parent = f"tenants/{tenant.id}"
        definition = {"json_schema" if tenant.kind is ContractKind.JSON else "ddl": tenant.schema}
        contract = self.trainer.create_contract(f"{parent}/contracts/answer", **definition)
        golden = golden_dataset_pb2.GoldenDataset(
            contract=contract.name, instruction_prompt=tenant.instruction_prompt, database_sql=tenant.database_sql
        )
        name = self.trainer.create_dataset(f"{parent}/datasets/golden", golden).name
        sealed = self.trainer.upload(name, tenant.upload())
        assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE, sealed
        return name

    def submit(self, tenant: str, job: str, epochs: int, seed: int = 0) -> str:
        """Queues a job on the tenant's dataset."""
        parent = f"tenants/{tenant}"
        spec = training_job_pb2.TrainingSpec(epoch_count=epochs, seed=seed)
        request = training_job_pb2.TrainingJob(
            dataset=f"{parent}/datasets/golden", adapter=f"{parent}/adapters/answer", spec=spec
        )
        return self.trainer.train(f"{parent}/jobs/{job}", request).name

    def finish(self, job: str) -> training_job_pb2.TrainingJob:
        """Waits for the end of a job and for its revision to be live."""
        for _ in self.trainer.watch(job):
            pass
        done = self.trainer.job(job)
        assert done.state == SUCCEEDED, done.failure
        parent = "/".join(job.split("/")[:2])
        until(lambda: done.revision in self.live(parent), f"{done.revision} to be live")
        return done

    def live(self, parent: str) -> set[str]:
        """Revisions of a tenant that serve."""
        return {a.revision for a in self.inference.resident_adapters(parent) if a.state == LIVE}

    def ask(self, tenant: str, index: int = 0, **options: object) -> Answer:
        """One request on a holdout row."""
        own = self.tenants[tenant]
        method = self.inference.extract if own.kind is ContractKind.JSON else self.inference.generate_sql
        return method(f"tenants/{tenant}/adapters/answer", own.holdout[index % HOLDOUT].input, **options)


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for a condition of another process."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, shipped_base: BaseModel) -> Iterator[House]:
    """Both services with one trained adapter for each of two tenants."""
    folder = tmp_path_factory.mktemp("house")
    address = f"127.0.0.1:{free_port()}"
    base = str(shipped_base.folder)
    trainer = ServiceProcess(
        "trainer_svc",
        {"data-dir": str(folder / "trainer"), "base-model-dir": base, "listen": address, "training-threads": "1"},
        folder / "trainer.log",
    )
    inference = ServiceProcess(
        "inference_svc",
        {"data-dir": str(folder / "inference"), "base-model-dir": base, "registry": address, "listen": "127.0.0.1:0"},
        folder / "inference.log",
    )
    with trainer, inference:
        trainer.wait_ready()
        serving = inference.wait_ready()
        with TrainerClient(address) as train, InferenceClient(serving) as infer:
            own = House(trainer, inference, train, infer, inference.process.pid)
            for tenant in (invoices(ROWS, HOLDOUT), sales(ROWS, HOLDOUT)):
                own.tenants[tenant.id] = tenant
                own.dataset(tenant)
                own.finish(own.submit(tenant.id, "first", epochs=2))
            yield own
    for process in (trainer, inference):
        assert process.process.returncode == 0, (process.process.returncode, _tail(folder))


def _tail(folder: Path) -> str:
    return "\n".join(path.name + "\n" + path.read_text()[-3000:] for path in folder.glob("*.log"))


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


class TestPromotion:
    """A new revision replaces the old one in the running engine."""

    def test_a_second_revision_goes_live_with_no_failed_request(self, house: House) -> None:
        """Requests that run while a revision is trained and promoted all succeed; later ones come from the new one."""
        before = house.ask("acme").summary.adapter_revision
        stop, answers = threading.Event(), []

        def traffic(worker: int) -> None:
            while not stop.is_set():
                answers.append(house.ask(("acme", "globex")[worker % 2], len(answers)))

        with ThreadPoolExecutor(3) as pool:
            running = [pool.submit(traffic, worker) for worker in range(3)]
            try:
                done = house.finish(house.submit("acme", "second", epochs=1, seed=1))
                count = len(answers)
                until(lambda: len(answers) > count + 20, "more answers")
            finally:
                stop.set()
            for future in running:
                future.result()

        acme = [a.summary.adapter_revision for a in answers if "/acme/" in a.summary.adapter_revision]
        assert set(acme) == {before, done.revision}
        assert acme == sorted(acme, key=lambda name: int(name.rsplit("/", 1)[1])) or acme[-1] == done.revision
        assert house.ask("acme").summary.adapter_revision == done.revision
        assert house.inference_process.process.pid == house.inference_pid

    def test_rolling_back_serves_the_old_revision(self, house: House) -> None:
        """Moving the alias back brings the first revision back, without a restart."""
        first = "tenants/acme/adapters/answer/revisions/1"
        house.trainer.set_alias("tenants/acme/adapters/answer/aliases/live", first)

        until(lambda: house.ask("acme").summary.adapter_revision == first, "the first revision")


class TestCrashes:
    """kill -9 loses nothing."""

    def test_a_killed_training_child_is_taken_up_again(self, house: House) -> None:
        """The job goes on from its last checkpoint as a second attempt."""
        job = house.submit("globex", "killed-child", epochs=6)
        _kill_child_after_checkpoint(house, job)

        done = house.finish(job)

        assert done.attempt == 2

    def test_a_killed_trainer_service_goes_on_after_its_restart(self, house: House) -> None:
        """Job, events and publication survive; the watch resumes by sequence and inference finds the new revision."""
        job = house.submit("globex", "killed-service", epochs=6)
        sequences = []
        for event in house.trainer.watch(job):
            sequences.append(event.sequence)
            if event.HasField("checkpoint"):
                break
        children = psutil.Process(house.trainer_process.process.pid).children(recursive=True)
        house.trainer_process.kill()
        _, alive = psutil.wait_procs(children, timeout=30)
        assert alive == [], "the training child outlives its service"
        house.trainer_process.start().wait_ready()

        done = house.finish(job)

        sequences += [event.sequence for event in house.trainer.watch(job, after_sequence=sequences[-1])]
        assert sequences == list(range(1, len(sequences) + 1))
        assert done.attempt == 2
        assert len({house.trainer.revision(done.revision).digest}) == 1


class TestCancel:
    """Stopping a job that runs."""

    def test_a_running_job_stops_and_publishes_nothing(self, house: House) -> None:
        """It becomes CANCELLED, keeps its events, and the served revision stays; cancelling again changes nothing."""
        before = house.live("tenants/globex")
        job = house.submit("globex", "cancelled", epochs=50)
        for event in house.trainer.watch(job):
            if event.HasField("checkpoint"):
                house.trainer.cancel(job)
                break
        for _ in house.trainer.watch(job):
            pass

        done = house.trainer.job(job)
        assert done.state == training_job_pb2.TRAINING_JOB_STATE_CANCELLED
        assert done.revision == ""
        assert house.trainer.cancel(job) == done
        assert house.live("tenants/globex") == before


def _kill_child_after_checkpoint(house: House, job: str) -> None:
    for event in house.trainer.watch(job):
        if event.HasField("checkpoint"):
            service = psutil.Process(house.trainer_process.process.pid)
            workers = [p for p in service.children(recursive=True) if "trainer_svc.worker" in " ".join(p.cmdline())]
            assert workers
            for worker in workers:
                worker.kill()
            return
    raise AssertionError("the job ended before its first checkpoint")


class TestWrongInputs:
    """Each mistake has its precise status."""

    def test_what_cannot_be_guaranteed_in_a_schema(self, house: House) -> None:
        """The places are named by JSON Pointer, all at once, and nothing is stored."""
        name = "tenants/acme/contracts/bad"
        places = {"a": {"type": "string", "pattern": "(?=x)"}, "b": {"type": "string", "pattern": r"\bx"}}

        with pytest.raises(InvalidInput) as caught:
            house.trainer.create_contract(name, json_schema=json.dumps({"type": "object", "properties": places}))

        assert caught.value.reason == "CONTRACT_UNSUPPORTED"
        assert {violation.path for violation in caught.value.violations} == {
            "json_schema#/properties/a/pattern",
            "json_schema#/properties/b/pattern",
        }
        with pytest.raises(NotFound):
            house.trainer.contract(name)

    def test_an_unknown_keyword_in_a_schema_is_reported(self, house: House) -> None:
        """JSON Schema reads it as an annotation; the report says so, in case it was a slip of the pen."""
        schema = {"type": "object", "properties": {"a": {"type": "boolean", "colour": 1}}}
        report = house.trainer.compile_contract(
            "tenants/acme", ContractSpec(ContractKind.JSON, json_schema=json.dumps(schema))
        )

        fates = {verdict.pointer: verdict.fate for verdict in report.verdicts}
        assert fates["/properties/a/colour"] is KeywordFate.ANNOTATION

    def test_a_row_that_breaks_its_contract_is_named_by_number(self, house: House) -> None:
        """The dataset fails; its finding gives the row number and the place inside the output."""
        good = house.tenants["acme"].upload().splitlines()[:30]
        row = json.loads(good[7])
        row["output"] = json.dumps(json.loads(row["output"]) | {"currency": "XXX"})
        lines = [*good[:7], json.dumps(row).encode(), *good[8:]]
        golden = golden_dataset_pb2.GoldenDataset(contract="tenants/acme/contracts/answer")
        name = house.trainer.create_dataset("tenants/acme/datasets/broken", golden).name

        sealed = house.trainer.upload(name, b"\n".join(lines))

        assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_FAILED
        findings = list(house.trainer.findings(name))
        assert [(f.row_number, f.reason, f.blocking) for f in findings] == [(8, "CONTRACT_VIOLATED", True)]
        assert "currency" in findings[0].path

    def test_unknown_adapter(self, house: House) -> None:
        """NOT_FOUND names the adapter."""
        with pytest.raises(NotFound) as caught:
            house.inference.extract("tenants/acme/adapters/nobody", "text")

        assert caught.value.reason == "ADAPTER_NOT_FOUND"
        assert "nobody" in str(caught.value)

    def test_expired_deadline(self, house: House) -> None:
        """A call whose time is up ends with DEADLINE_EXCEEDED, and the engine goes on for others."""
        with pytest.raises(DeadlineExceeded):
            house.ask("acme", timeout_seconds=0.005)

        assert house.ask("acme").text


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
