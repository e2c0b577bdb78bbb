"""A request for every RPC about what a tenant owns, such that whoever may call is answered OK, again and again."""

from __future__ import annotations

from google.protobuf import json_format
from google.protobuf.message import Message

from tests.access.house import DIGEST, FIRST_ROWS, PAIR, ROWS, SCHEMA
from tests.access.rpcs import Rpc

REQUEST_ID = "7f4d1c52-58a5-4f6d-9a3c-0d9a4a8f3b11"
_PROMPT = {"prompt": {"adapter": "{t}/adapters/answer{x}", "input": "is it so?"}}
_CONTRACT = {"json": {"schema": SCHEMA}}
_JOB = {"dataset": "{t}/datasets/golden{x}", "adapter": "{t}/adapters/answer{x}"}

SAMPLES: dict[str, dict[str, object]] = {
    "ContractService/CreateContract": {"parent": "{t}", "contractId": "answer", "contract": _CONTRACT},
    "ContractService/CompileContract": {"parent": "{t}", "contract": _CONTRACT},
    "ContractService/GetContract": {"name": "{t}/contracts/answer{x}"},
    "ContractService/ListContracts": {"parent": "{t}"},
    "DatasetService/CreateGoldenDataset": {
        "parent": "{t}", "datasetId": "new", "requestId": REQUEST_ID,
        "dataset": {"contract": "{t}/contracts/answer{x}"},
    },
    "DatasetService/UploadDatasetChunk": {"name": "{t}/datasets/open{x}"},
    "DatasetService/SealGoldenDataset": {
        "name": "{t}/datasets/golden{x}", "sizeBytes": len(ROWS), "digest": DIGEST,
    },
    "DatasetService/GetGoldenDataset": {"name": "{t}/datasets/golden{x}"},
    "DatasetService/ListGoldenDatasets": {"parent": "{t}"},
    "DatasetService/ListDatasetFindings": {"parent": "{t}/datasets/golden{x}"},
    "DatasetService/PreviewExample": {"name": "{t}/datasets/golden{x}", "rowNumber": 1},
    "DatasetService/CurateGoldenDataset": {
        "parent": "{t}", "datasetId": "curated", "requestId": REQUEST_ID, "source": "{t}/datasets/golden{x}",
        "steps": ["CURATION_STEP_UNICODE_NFC"],
    },
    "DatasetService/ListDatasetChanges": {"parent": "{t}/datasets/golden{x}"},
    "TrainingService/CreateTrainingJob": {"parent": "{t}", "jobId": "new", "requestId": REQUEST_ID, "job": _JOB},
    "TrainingService/GetTrainingJob": {"name": "{t}/jobs/first{x}"},
    "TrainingService/ListTrainingJobs": {"parent": "{t}"},
    "TrainingService/CancelTrainingJob": {"name": "{t}/jobs/first{x}"},
    "TrainingService/PauseTrainingJob": {"name": "{t}/jobs/held{x}"},
    "TrainingService/ResumeTrainingJob": {"name": "{t}/jobs/held{x}"},
    "TrainingService/WatchTrainingJob": {"name": "{t}/jobs/first{x}"},
    "TrainingService/EstimateTrainingJob": {"parent": "{t}", "job": {"dataset": "{t}/datasets/golden{x}"}},
    "EvaluationService/GetJobEvaluation": {"name": "{t}/jobs/done{x}"},
    "EvaluationService/ListEvaluatedRows": {"parent": "{t}/jobs/done{x}"},
    "PreferenceService/CreatePreferenceStudy": {
        "parent": "{t}/adapters/answer{x}", "studyId": "new", "requestId": REQUEST_ID,
        "study": {
            "revisionA": "{t}/adapters/answer{x}/revisions/1", "revisionB": "{t}/adapters/answer{x}/revisions/2",
        },
    },
    "PreferenceService/GetPreferenceStudy": {"name": "{t}/adapters/answer{x}/preferenceStudies/first"},
    "PreferenceService/ListPreferenceStudies": {"parent": "{t}/adapters/answer{x}"},
    "PreferenceService/ListPreferencePairs": {"parent": "{t}/adapters/answer{x}/preferenceStudies/first"},
    "PreferenceService/SubmitPreferenceVerdicts": {
        "name": "{t}/adapters/answer{x}/preferenceStudies/first", "reviewer": "Ada",
        "verdicts": [{"pair": PAIR, "choice": "PREFERENCE_CHOICE_LEFT"}],
    },
    "PreferenceService/ClosePreferenceStudy": {"name": "{t}/adapters/answer{x}/preferenceStudies/last"},
    "EconomicsService/ReportUsage": {
        "parent": "{t}", "replicaId": REQUEST_ID,
        "entries": [{"adapterId": "answer", "revisionNumber": 1, "hourTime": "2026-01-01T00:00:00Z", "sequence": 1}],
    },
    "EconomicsService/ListUsage": {"parent": "{t}/adapters/answer{x}"},
    "EconomicsService/GetSavings": {
        "name": "{t}/adapters/answer{x}", "revision": "{t}/adapters/answer{x}/revisions/1",
    },
    "RegistryService/GetRevision": {"name": "{t}/adapters/answer{x}/revisions/1"},
    "RegistryService/ListRevisions": {"parent": "{t}/adapters/answer{x}"},
    "RegistryService/DownloadRevision": {"name": "{t}/adapters/answer{x}/revisions/1"},
    "RegistryService/ListAliases": {"parent": "{t}/adapters/-"},
    "RegistryService/SetAlias": {
        "alias": {"name": "{t}/adapters/answer{x}/aliases/live", "revision": "{t}/adapters/answer{x}/revisions/1"}
    },
    "RegistryService/RollBackCanary": {
        "name": "{t}/adapters/answer{x}/aliases/live", "revision": "{t}/adapters/answer{x}/revisions/2",
        "startTime": "2026-01-01T00:00:00Z", "reason": "ROLLBACK_REASON_ERROR_RATE",
    },
    "RegistryService/WatchAliases": {},
    "PromotionService/GetPromotionPolicy": {"name": "{t}/adapters/answer{x}/promotionPolicy"},
    "PromotionService/UpdatePromotionPolicy": {"policy": {"name": "{t}/adapters/answer{x}/promotionPolicy"}},
    "PromotionService/CheckPromotion": {"name": "{t}/adapters/answer{x}/revisions/1"},
    "PromotionService/PromoteRevision": {"name": "{t}/adapters/answer{x}/revisions/1", "aliasId": "promoted"},
    "PromotionService/RollBackAlias": {
        "name": "{t}/adapters/answer{x}/aliases/moved", "etag": "2", "reason": "slower",
    },
    "PromotionService/ListPromotions": {"parent": "{t}/adapters/answer{x}"},
    "InferenceService/Generate": _PROMPT,
    "InferenceService/Extract": _PROMPT,
    "InferenceService/GenerateSql": {"prompt": {"contract": "{t}/contracts/sql{x}", "input": "how many?"}},
    "InferenceService/GenerateStream": _PROMPT,
    "InferenceService/ListResidentAdapters": {"parent": "{t}"},
    "InferenceService/WatchResidentAdapters": {"parent": "{t}"},
    "Health/Check": {},
    "Health/List": {},
    "Health/Watch": {},
    "ServerReflection/ServerReflectionInfo": {"listServices": "*"},
}  # fmt: skip


def sample(rpc: Rpc, tenant: str = "tenants/acme", *, absent: bool = False) -> Message:
    """The request about what `tenant` owns, or, `absent`, about what nobody has."""
    request = rpc.request_type()
    json_format.ParseDict(_named(SAMPLES[rpc.short], tenant, "-none" if absent else ""), request)
    if rpc.descriptor.name == "UploadDatasetChunk":
        setattr(request, "data", FIRST_ROWS)  # noqa: B010  # of whatever class it is
    return request


def _named(value: object, tenant: str, suffix: str) -> object:
    if isinstance(value, dict):
        return {key: _named(inner, tenant, suffix) for key, inner in value.items()}
    if isinstance(value, str) and value.startswith("{t}"):
        return value.replace("{t}", tenant).replace("{x}", suffix)
    return value
