"""A request for a training as the options of `lect train` that ask for the same. It starts nothing.

`lect train` and the page show it; both fill the same fields of a request.
"""

from typing import Any

from lect.engine.contract.adaptation_spec import AdaptationSpec
from lect.engine.contract.errors import UsageError
from lect.engine.contract.run_request import RunRequest
from lect.engine.contract.train_settings import TrainSettings

# Options that set a field of the same name: of the adaptation, of the training, and of the request itself.
SPEC_FIELDS = ("method", "placement", "num_virtual_tokens", "rank", "initialisation", "finetune_layers", "on")
SETTING_FIELDS = (
    "learning_rate", "vocabulary_learning_rate", "max_steps", "per_device_train_batch_size", "early_stopping_patience",
    "ctc_weight", "copies", "seed",
)  # fmt: skip
REQUEST_FIELDS = (
    "backbone", "device", "precision", "vocabulary", "language", "minutes", "texts", "language_model_weight",
)  # fmt: skip
SPEC_SWITCHES = ("reparameterise", "shared_key_value")


def option(field: str) -> str:
    """The option that sets a field."""
    return "--" + field.replace("_", "-")


def arguments(request: RunRequest) -> list[str]:
    """What follows `lect train`: an option for each field that is not as it is without one."""
    settings, spec = request.settings, request.settings.spec
    chosen = [
        *_differing(request, RunRequest(), REQUEST_FIELDS),
        *_differing(spec, AdaptationSpec(), SPEC_FIELDS),
        *_differing(settings, TrainSettings(), SETTING_FIELDS),
    ]
    switches = [option(name) for name in SPEC_SWITCHES if getattr(spec, name)]
    switches += ["--gradient-checkpointing"] * settings.gradient_checkpointing + ["--no-cache"] * (not settings.cache)
    return [word for name, value in chosen for word in _words(name, str(value))] + switches


def check_ctc_weight(backbone: str, weight: float | None) -> None:
    """Raises UsageError for a weight of a CTC loss that the backbone has no head for; None: none was asked for."""
    from lect.engine.model.backbone import open_backbone

    if weight and not open_backbone(backbone).config.ctc:
        raise UsageError(f"The backbone {backbone!r} has no CTC head: leave --ctc-weight out.")


def _differing(asked: Any, usual: Any, names: tuple[str, ...]) -> list[tuple[str, Any]]:
    return [(name, value) for name in names if (value := getattr(asked, name)) != getattr(usual, name)]


def _words(name: str, value: str) -> tuple[str, ...]:
    # A value that begins like an option would be taken for one.
    return (f"{option(name)}={value}",) if value.startswith("-") else (option(name), value)
