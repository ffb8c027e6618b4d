"""What is trained (WHAT: model, train, precision, mixture, evaluation) and where (WHERE: layout). No torch here."""

from pretrain.config.layout import Layout, LayoutError, check_device, check_layout, padded_vocabulary
from pretrain.config.model import Model
from pretrain.config.train import Evaluation, Healing, Mixture, Precision, Train, schedule_notes

__all__ = [
    "Evaluation",
    "Healing",
    "Layout",
    "LayoutError",
    "Mixture",
    "Model",
    "Precision",
    "Train",
    "check_device",
    "check_layout",
    "padded_vocabulary",
    "schedule_notes",
]
