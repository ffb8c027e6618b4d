"""What is trained (model, train, precision, mixture, evaluation), and where (layout, watch). No torch here."""

from pretrain.config.hugging_face import ImportedModelError, check_model
from pretrain.config.layout import Layout, LayoutError, check_device, check_layout, padded_vocabulary
from pretrain.config.model import Model
from pretrain.config.train import Evaluation, Healing, Mixture, Precision, Train, schedule_notes
from pretrain.config.watch import Watch, WatchError, check_watch

__all__ = [
    "Evaluation",
    "Healing",
    "ImportedModelError",
    "Layout",
    "LayoutError",
    "Mixture",
    "Model",
    "Precision",
    "Train",
    "Watch",
    "WatchError",
    "check_device",
    "check_layout",
    "check_model",
    "check_watch",
    "padded_vocabulary",
    "schedule_notes",
]
