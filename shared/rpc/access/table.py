"""The access table: one row for each RPC of both services. What has no row is refused."""

from __future__ import annotations

from collections.abc import Mapping

from shared.rpc.access.rule import ANYONE, Rule
from shared.rpc.identity import Role

_READ = frozenset({Role.USER, Role.ADMIN, Role.OPERATOR})
_WRITE = frozenset({Role.ADMIN, Role.OPERATOR})
_REPLICA = frozenset({Role.OPERATOR, Role.SERVICE})
"""A replica of the inference service; without TLS every caller, a replica too, is the operator."""
_SERVICE = frozenset({Role.SERVICE})
_NAME, _PARENT, _PROMPT = ("name",), ("parent",), ("prompt.adapter", "prompt.contract")

RULES: Mapping[str, Rule] = {
    "/goldsmith.contract.v1.ContractService/CreateContract": Rule(
        _WRITE, _PARENT, changes=True, creates=("contracts", "contract_id")
    ),
    "/goldsmith.contract.v1.ContractService/CompileContract": Rule(_READ, _PARENT),
    "/goldsmith.contract.v1.ContractService/GetContract": Rule(_READ | _SERVICE, _NAME),
    "/goldsmith.contract.v1.ContractService/ListContracts": Rule(_READ, _PARENT),
    "/goldsmith.trainer.v1.DatasetService/CreateGoldenDataset": Rule(
        _WRITE, _PARENT, changes=True, creates=("datasets", "dataset_id")
    ),
    "/goldsmith.trainer.v1.DatasetService/UploadDatasetChunk": Rule(_WRITE, _NAME, changes=True),
    "/goldsmith.trainer.v1.DatasetService/SealGoldenDataset": Rule(_WRITE, _NAME, changes=True),
    "/goldsmith.trainer.v1.DatasetService/GetGoldenDataset": Rule(_READ, _NAME),
    "/goldsmith.trainer.v1.DatasetService/ListGoldenDatasets": Rule(_READ, _PARENT),
    "/goldsmith.trainer.v1.DatasetService/ListDatasetFindings": Rule(_READ, _PARENT),
    "/goldsmith.trainer.v1.DatasetService/PreviewExample": Rule(_READ, _NAME),
    "/goldsmith.trainer.v1.DatasetService/CurateGoldenDataset": Rule(
        _WRITE, _PARENT, changes=True, creates=("datasets", "dataset_id")
    ),
    "/goldsmith.trainer.v1.DatasetService/ListDatasetChanges": Rule(_READ, _PARENT),
    "/goldsmith.trainer.v1.TrainingService/CreateTrainingJob": Rule(
        _WRITE, _PARENT, changes=True, creates=("jobs", "job_id")
    ),
    "/goldsmith.trainer.v1.TrainingService/GetTrainingJob": Rule(_READ, _NAME),
    "/goldsmith.trainer.v1.TrainingService/ListTrainingJobs": Rule(_READ, _PARENT),
    "/goldsmith.trainer.v1.TrainingService/CancelTrainingJob": Rule(_WRITE, _NAME, changes=True),
    "/goldsmith.trainer.v1.TrainingService/PauseTrainingJob": Rule(_WRITE, _NAME, changes=True),
    "/goldsmith.trainer.v1.TrainingService/ResumeTrainingJob": Rule(_WRITE, _NAME, changes=True),
    "/goldsmith.trainer.v1.TrainingService/WatchTrainingJob": Rule(_READ, _NAME, follows=True),
    # A calibration trains, and bars the trainings of all tenants meanwhile.
    "/goldsmith.trainer.v1.TrainingService/EstimateTrainingJob": Rule(_READ, _PARENT, spends=("calibrate", _WRITE)),
    "/goldsmith.trainer.v1.EvaluationService/GetJobEvaluation": Rule(_READ, _NAME),
    "/goldsmith.trainer.v1.EvaluationService/ListEvaluatedRows": Rule(_READ, _PARENT),
    "/goldsmith.trainer.v1.PreferenceService/CreatePreferenceStudy": Rule(
        _WRITE, _PARENT, changes=True, creates=("preferenceStudies", "study_id")
    ),
    "/goldsmith.trainer.v1.PreferenceService/GetPreferenceStudy": Rule(_READ, _NAME),
    "/goldsmith.trainer.v1.PreferenceService/ListPreferenceStudies": Rule(_READ, _PARENT),
    "/goldsmith.trainer.v1.PreferenceService/ListPreferencePairs": Rule(_READ, _PARENT),
    "/goldsmith.trainer.v1.PreferenceService/SubmitPreferenceVerdicts": Rule(_WRITE, _NAME, changes=True),
    "/goldsmith.trainer.v1.PreferenceService/ClosePreferenceStudy": Rule(_WRITE, _NAME, changes=True),
    # What a replica counted, every half a minute: in the log of who changed what it would drown the rest.
    "/goldsmith.trainer.v1.EconomicsService/ReportUsage": Rule(_REPLICA, _PARENT, changes=True, is_routine=True),
    "/goldsmith.trainer.v1.EconomicsService/ListUsage": Rule(_READ, _PARENT),
    "/goldsmith.trainer.v1.EconomicsService/GetSavings": Rule(_READ, _NAME),
    "/goldsmith.registry.v1.RegistryService/GetRevision": Rule(_READ | _SERVICE, _NAME),
    "/goldsmith.registry.v1.RegistryService/ListRevisions": Rule(_READ, _PARENT),
    # Weights may hold what they were trained on, so that asking an adapter does not entail taking it away.
    "/goldsmith.registry.v1.RegistryService/DownloadRevision": Rule(_WRITE | _SERVICE, _NAME),
    "/goldsmith.registry.v1.RegistryService/ListAliases": Rule(_READ | _SERVICE, _PARENT),
    "/goldsmith.registry.v1.RegistryService/SetAlias": Rule(_WRITE, ("alias.name",), changes=True),
    # What a replica measured; others end a trial by SetAlias.
    "/goldsmith.registry.v1.RegistryService/RollBackCanary": Rule(_REPLICA, _NAME, changes=True),
    # Every tenant's aliases in one stream.
    "/goldsmith.registry.v1.RegistryService/WatchAliases": Rule(_REPLICA, follows=True),
    "/goldsmith.registry.v1.PromotionService/GetPromotionPolicy": Rule(_READ, _NAME),
    "/goldsmith.registry.v1.PromotionService/UpdatePromotionPolicy": Rule(_WRITE, ("policy.name",), changes=True),
    "/goldsmith.registry.v1.PromotionService/CheckPromotion": Rule(_READ, _NAME),
    "/goldsmith.registry.v1.PromotionService/PromoteRevision": Rule(_WRITE, _NAME, changes=True),
    "/goldsmith.registry.v1.PromotionService/RollBackAlias": Rule(_WRITE, _NAME, changes=True),
    "/goldsmith.registry.v1.PromotionService/ListPromotions": Rule(_READ, _PARENT),
    "/goldsmith.inference.v1.InferenceService/Generate": Rule(_READ, _PROMPT),
    "/goldsmith.inference.v1.InferenceService/Extract": Rule(_READ, _PROMPT),
    "/goldsmith.inference.v1.InferenceService/GenerateSql": Rule(_READ, _PROMPT),
    "/goldsmith.inference.v1.InferenceService/GenerateStream": Rule(_READ, _PROMPT),
    "/goldsmith.inference.v1.InferenceService/ListResidentAdapters": Rule(_READ, _PARENT),
    "/goldsmith.inference.v1.InferenceService/WatchResidentAdapters": Rule(_READ, _PARENT, follows=True),
    # Load balancers and probes ask for health and have no credential; it says serving or not serving.
    "/grpc.health.v1.Health/Check": Rule(ANYONE),
    "/grpc.health.v1.Health/List": Rule(ANYONE),
    "/grpc.health.v1.Health/Watch": Rule(ANYONE),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Rule(frozenset(Role)),
}
