"""Typed Python clients: a user of the contracts like anyone else.

>>> inference = InferenceClient("127.0.0.1:50052")
>>> inference.extract("tenants/acme/adapters/invoices", "Invoice 17 from ...").value["total"]
"""

from shared.client.credentials import Credentials
from shared.client.economics import EconomicsClient
from shared.client.evaluation import EvaluationClient
from shared.client.inference import Answer, InferenceClient
from shared.client.promotion import PromotionClient
from shared.client.trainer import TrainerClient

__all__ = [
    "Answer",
    "Credentials",
    "EconomicsClient",
    "EvaluationClient",
    "InferenceClient",
    "PromotionClient",
    "TrainerClient",
]
