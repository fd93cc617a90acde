"""The command line that is shown for a request asks for that request."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lect.app.cli import parser_for, plain_options
from lect.app.train_options import arguments, request_of
from lect.engine.contract.adaptation_spec import AUTO, INITIALISATIONS, METHODS, AdaptationSpec
from lect.engine.contract.run_request import DEVICES, PRECISIONS, VOCABULARY_CHOICES, RunRequest
from lect.engine.contract.train_settings import TrainSettings

COUNTS = st.integers(1, 10_000)
SHARES = st.floats(0, 1)
RATES = st.floats(0, 10)
WORDS = st.text(min_size=1)  # dashes, spaces, quotes and other scripts among them
SPECS = st.builds(
    AdaptationSpec,
    method=st.sampled_from((AUTO, *METHODS)),
    num_virtual_tokens=COUNTS,
    rank=COUNTS,
    placement=WORDS,
    initialisation=st.sampled_from(INITIALISATIONS),
    reparameterise=st.booleans(),
    shared_key_value=st.booleans(),
    finetune_layers=COUNTS,
    on=WORDS,
    full_rank=st.booleans(),
)
SETTINGS = st.builds(
    TrainSettings,
    spec=SPECS,
    learning_rate=RATES,
    vocabulary_learning_rate=RATES,
    max_steps=COUNTS,
    per_device_train_batch_size=COUNTS,
    early_stopping_patience=COUNTS,
    ctc_weight=SHARES,
    copies=COUNTS,
    seed=st.integers(),
    cache=st.booleans(),
    gradient_checkpointing=st.booleans(),
    num_train_epochs=COUNTS,
    window_seconds=st.none() | st.floats(0.1, 60),
)
REQUESTS = st.builds(
    RunRequest,
    backbone=st.just("tiny"),
    device=st.sampled_from(DEVICES),
    precision=st.sampled_from(PRECISIONS),
    settings=SETTINGS,
    vocabulary=st.sampled_from(VOCABULARY_CHOICES),
    language=WORDS,
    minutes=st.floats(0.001, 1e6),
    texts=WORDS,
    language_model_weight=st.none() | SHARES,
)


def parsed(words: list[str]) -> RunRequest:
    """What `lect train` understands."""
    return request_of(parser_for("train").parse_args(plain_options(words)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(REQUESTS)
def test_what_is_shown_asks_for_the_same(request: RunRequest) -> None:
    assert parsed(arguments(request)) == request


def test_a_usual_value_that_is_written_is_asked_for() -> None:
    words = ["--method", "lora", "--rank", "16", "--ctc-weight", "0.5"]
    assert parsed(words).stated == ("ctc_weight", "rank") and arguments(parsed(words)) == words
    assert parsed(["--method", "auto"]) == RunRequest()


def test_only_what_differs_is_shown() -> None:
    assert arguments(RunRequest()) == []
    lora = replace(RunRequest(), settings=TrainSettings(spec=AdaptationSpec(method="lora", rank=4), max_steps=200))
    assert arguments(lora) == ["--method", "lora", "--rank", "4", "--max-steps", "200"]
