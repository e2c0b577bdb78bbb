"""A service process with everything on that lets it be observed: metrics, health for probes, traces."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client.parser import text_string_to_metric_families

from deploy.quickstart.service_process import ServiceProcess
from goldsmith.contract.v1 import contract_service_pb2, contract_service_pb2_grpc
from goldsmith.trainer.v1 import golden_dataset_pb2
from shared.client import TrainerClient
from shared.errors import InvalidInput

SECRET = "kumquat"
SCHEMA = '{"type":"object","properties":{"n":{"type":"string","maxLength":20}},"required":["n"]}'
ROWS = {"accepted": 39.0, "refused": 2.0}
SERVICES = [
    "goldsmith.contract.v1.ContractService",
    "goldsmith.registry.v1.RegistryService",
    "goldsmith.trainer.v1.DatasetService",
    "goldsmith.trainer.v1.TrainingService",
]
pytestmark = pytest.mark.timeout(120)


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """An OpenTelemetry collector: keeps the spans that it is sent."""

    def __init__(self) -> None:
        self.spans: list[trace_pb2.Span] = []
        self.services: set[str] = set()

    def Export(self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext):  # noqa: ANN201, N802  # gRPC's name
        """Keeps them."""
        for resource in request.resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.services.add(names["service.name"])
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return trace_service_pb2.ExportTraceServiceResponse()


@dataclass
class Observed:
    """A trainer that ran, and what was seen of it."""

    ready: dict[str, str]
    health: dict[str, int] = field(default_factory=dict)
    on_health_port: grpc.StatusCode = grpc.StatusCode.OK
    metrics: str = ""
    trace_id: int = 0
    collector: Collector = field(default_factory=Collector)
    exit_status: int = -1
    log: str = ""

    def scrape(self) -> None:
        """Keeps the metrics of when every call has ended: one that is refused is answered before it is counted."""
        while not self.metrics or self.sample("grpc_server_handled_total") < self.sample("grpc_server_started_total"):
            with urllib.request.urlopen(f"http://{self.ready['metrics_address']}/metrics", timeout=10) as response:
                self.metrics = response.read().decode()

    def sample(self, name: str, **labels: str) -> float:
        """The sum of the samples with these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.metrics)
            for sample in family.samples
            if sample.name == name and sample.labels.items() >= labels.items()
        )


@pytest.fixture(scope="module")
def observed(tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """One life of a trainer, from its start to its end after SIGTERM."""
    folder = tmp_path_factory.mktemp("observed")
    collector, pool = Collector(), ThreadPoolExecutor(2)
    server = grpc.server(pool)
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    flags = {
        "insecure-loopback": "true",
        "data-dir": str(folder / "data"),
        "base-model-dir": str(tiny_base_folder),
        "listen": "127.0.0.1:0",
        "metrics-listen": "127.0.0.1:0",
        "health-listen": "127.0.0.1:0",
        "otlp-endpoint": f"http://127.0.0.1:{port}",
    }
    process = ServiceProcess("trainer_svc", flags, folder / "log")
    with process:
        process.wait_ready(60)
        found = Observed({key: str(value) for key, value in process.ready.items()}, collector=collector)
        _probe(found)
        _use(found)
        found.scrape()
    found.exit_status = process.process.returncode
    found.log = (folder / "log").read_text()
    yield found
    server.stop(None).wait()
    pool.shutdown()


def _probe(found: Observed) -> None:
    with grpc.insecure_channel(found.ready["health_address"]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", *SERVICES):
            found.health[name] = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status
        contracts = contract_service_pb2_grpc.ContractServiceStub(channel)
        try:
            contracts.ListContracts(contract_service_pb2.ListContractsRequest(parent="tenants/acme"), timeout=10)
        except grpc.RpcError as err:
            found.on_health_port = err.code()


def _use(found: Observed) -> None:
    """Uploads rows of which one breaks its contract, inside a span of the client's."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("caller")
    rows = [{"input": f"{SECRET} {i}", "output": {"n": f"{SECRET} {i}"}} for i in range(40)]
    rows[7] = {"input": SECRET, "output": {"n": SECRET * 9, SECRET: SECRET}}
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    with TrainerClient(found.ready["address"]) as client, tracer.start_as_current_span("caller") as span:
        found.trace_id = span.get_span_context().trace_id
        contract, name = "tenants/acme/contracts/answer", "tenants/acme/datasets/d"
        client.create_contract(contract, json_schema=SCHEMA)
        client.create_dataset(name, golden_dataset_pb2.GoldenDataset(contract=contract))
        sealed = client.upload(name, data)
        assert sealed.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_FAILED
        assert any(SECRET in finding.message for finding in client.findings(name))
        contract, name = "tenants/acme/contracts/sql", "tenants/acme/datasets/s"
        client.create_contract(contract, ddl="CREATE TABLE t (a TEXT);")
        client.create_dataset(name, golden_dataset_pb2.GoldenDataset(contract=contract))
        row = {"input": "all", "output": f"CALL {SECRET}(1)"}  # of which the SQL parser warns, quoting it
        assert client.upload(name, json.dumps(row).encode()).state == golden_dataset_pb2.GOLDEN_DATASET_STATE_FAILED
        with pytest.raises(InvalidInput):
            client.create_contract("tenants/acme/contracts/x", json_schema=f'{{"type":"{SECRET}"}}')


class TestObservedProcess:
    """The trainer with every port on."""

    def test_tells_its_addresses_when_it_is_ready(self, observed: Observed) -> None:
        """Three ports that differ, each picked by the system."""
        addresses = {observed.ready[name] for name in ("address", "metrics_address", "health_address")}

        assert len(addresses) == 3
        assert not any(address.endswith(":0") for address in addresses)

    def test_answers_probes_on_a_port_with_nothing_else(self, observed: Observed) -> None:
        """Live and ready for each of its services; no other service is reached there."""
        serving = health_pb2.HealthCheckResponse.SERVING

        assert observed.health == dict.fromkeys(("", *SERVICES), serving)
        assert observed.on_health_port is grpc.StatusCode.UNIMPLEMENTED

    def test_counts_its_calls(self, observed: Observed) -> None:
        """By method and code, refusals included; probes on their own port are not calls."""
        create = {"grpc_service": "goldsmith.contract.v1.ContractService", "grpc_method": "CreateContract"}

        assert observed.sample("grpc_server_handled_total", **create, grpc_code="OK") == 2.0
        assert observed.sample("grpc_server_handled_total", **create, grpc_code="INVALID_ARGUMENT") == 1.0
        assert observed.sample("grpc_server_handling_seconds_count", **create) == 3.0
        assert observed.sample("grpc_server_handled_total", grpc_service="grpc.health.v1.Health") == 0.0

    def test_counts_the_rows_that_it_checked(self, observed: Observed) -> None:
        """Of both datasets; their tenant is a label, their text is not."""
        rows = {name: observed.sample("goldsmith_golden_rows_total", tenant="acme", outcome=name) for name in ROWS}

        assert rows == ROWS

    def test_makes_no_series_of_the_time_at_which_a_counter_began(self, observed: Observed) -> None:
        """It would be one more for each label set."""
        assert "grpc_server_handled_total{" in observed.metrics
        assert "_created" not in observed.metrics

    def test_tells_of_its_own_memory(self, observed: Observed) -> None:
        """A leak must be seen before it kills."""
        assert observed.sample("process_resident_memory_bytes") > 10e6

    def test_sends_its_spans_to_the_collector(self, observed: Observed) -> None:
        """The last ones at its end; all within the caller's trace, under the service's name."""
        names = {span.name.rpartition("/")[2] for span in observed.collector.spans}

        assert observed.collector.services == {"trainer"}
        assert names >= {"CreateContract", "CreateGoldenDataset", "UploadDatasetChunk", "SealGoldenDataset"}
        assert {span.trace_id for span in observed.collector.spans} == {observed.trace_id.to_bytes(16, "big")}

    def test_tells_nothing_of_the_rows(self, observed: Observed) -> None:
        """Golden data are in no log line, metric or span, although one row was refused and a contract was, too."""
        assert SECRET not in observed.log
        assert SECRET not in observed.metrics
        assert SECRET not in "".join(map(str, observed.collector.spans))

    def test_ends_with_status_0(self, observed: Observed) -> None:
        """Its extra ports and threads hold nothing up."""
        assert observed.exit_status == 0, observed.log[-2000:]
