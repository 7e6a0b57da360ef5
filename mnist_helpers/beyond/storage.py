"""A study that several workers share, in a database: how it is opened, who makes it, and who is alive."""

import json
import random
import time
import warnings
from pathlib import Path

from ..images import Augmentation
from .search import DEFAULTS, SPACES, optuna

if optuna is not None:
    from optuna.study import StudyDirection
    from optuna.trial import TrialState
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

GRACE = 60  # seconds without a sign of life after which a worker counts as dead
PATIENCE = 10  # seconds that a worker waits for another one that is just making the study


def open_storage(name, grace=GRACE):
    """The Optuna storage of a database: of a SQLite file, for the workers of one machine, or of a URL such as
    `postgresql+psycopg://user@host/name`, for those of several.

    A worker gives a sign of life now and then. The trial of one that has given none for `grace` seconds is marked as
    failed when another worker begins its next trial, and nothing else is lost.

    Raises:
        ValueError: the URL cannot be used.
        OSError: the file cannot be read or written, is no database, or the database does not answer.
    """
    try:
        url = make_url(name if "://" in name else f"sqlite:///{name}")
        if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).parent.is_dir():
            raise FileNotFoundError(f"there is no folder {str(Path(url.database).parent)!r} for the study")
        # One that waits for another to write gives up after five seconds unless told otherwise.
        connect = {"connect_args": {"timeout": 60}} if url.get_backend_name() == "sqlite" else {}
        for attempt in range(5):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # Optuna has called heartbeats experimental since 2021
                    return optuna.storages.RDBStorage(
                        url.render_as_string(hide_password=False),
                        engine_kwargs=connect,
                        heartbeat_interval=max(1, grace // 3),
                        grace_period=grace,
                        heartbeat_stale_trial_callback=_report_failure,
                    )
            except Exception as error:
                # Workers that meet an empty database at the same moment all make its tables, and only one succeeds.
                if attempt == 4 or not _somebody_was_quicker(error):
                    raise
                time.sleep(random.uniform(0.1, 0.5))
    except (ArgumentError, ImportError, RuntimeError, ValueError) as error:
        raise ValueError(f"the storage {_without_password(name)} cannot be used: {error}") from error
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise OSError(f"the storage {_without_password(name)} cannot be reached: {_reason(error)}") from error


def _somebody_was_quicker(error):
    return isinstance(error, IntegrityError) or "already exists" in str(error)


def storage_failure(error):
    """What the database said, in one line, if it is the cause of `error`; else None."""
    while error is not None:
        if isinstance(error, (SQLAlchemyError, optuna.exceptions.StorageInternalError)):
            return _reason(error)
        error = error.__cause__ or error.__context__
    return None


def _reason(error):
    return str(error).strip().splitlines()[0]


def _without_password(name):
    try:
        return make_url(name).render_as_string(hide_password=True)
    except ArgumentError:
        return name


def _report_failure(study, trial):
    print(f"trial {trial.number:3}  failed: worker {trial.user_attrs.get('worker', '?')} died", flush=True)


def join(storage, name, model, epochs, mnist):
    """The study `name`, made if there is none, with the default settings as its first trial; and whether this worker
    has made it.

    Raises:
        ValueError: there is one already, of another search space, model, number of epochs or data.
    """
    settings = {
        "model": model,
        "epochs": epochs,
        **{setting: json.dumps(limits) for setting, limits in SPACES[model].items()},
        "augmentation of strength 1": repr(Augmentation()),
        "data": f"{mnist.train.fingerprint()}, {mnist.validation.fingerprint()}",
    }
    # All trials follow the same schedule, so that those at the same epoch can be compared. In the first half, near the
    # peak of the learning rate, even good ones look bad. Hyperband would need far more trials for its brackets.
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=epochs // 2 + 1)
    try:
        study = optuna.create_study(study_name=name, storage=storage, direction="maximize", pruner=pruner)
        _get_ready(study, model, settings)
        return study, True
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
    deadline = time.monotonic() + PATIENCE
    while (found := study.user_attrs.get("settings")) is None and time.monotonic() < deadline:
        if _begun(study):
            break
        time.sleep(0.1)  # whoever has made it is about to say for what
    if found is None and study.direction == StudyDirection.MAXIMIZE and not _begun(study):
        found = _get_ready(study, model, settings)  # whoever has made it died before it could say for what
    if found is None:
        raise ValueError(f"the study {name!r} was not made by this program; choose another --study")
    differing = [
        f"{key} was {found.get(key)}, now {settings[key]}" for key in settings if found.get(key) != settings[key]
    ]
    if differing:
        raise ValueError(f"the study {name!r} is of another search ({'; '.join(differing)}); choose another --study")
    return study, False


def _get_ready(study, model, settings):
    study.enqueue_trial(DEFAULTS[model], skip_if_exists=True)
    study.set_user_attr("settings", settings)  # last: it tells the others that all is ready
    return settings


def _begun(study):
    return any(trial.state != TrialState.WAITING for trial in study.get_trials(deepcopy=False))
