"""Settings that were held against their servers before anything is asked: all that a run would ask with."""

import os
from dataclasses import dataclass

from preannotation_assets.definitions import Resources, build_resources
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.extraction.chunking import ChunkLimits
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.model_servers.model_access import ModelAccess
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.publishing.calibrations import calibrated_version
from preannotation_assets.settings import Settings
from preannotation_assets.trying.batch_pages import chunk_limits

__all__ = ["PreparedSettings", "prepare"]


@dataclass(frozen=True, slots=True)
class PreparedSettings:
    """What a run over a dataset with some settings asks, and what it makes of the answers."""

    dataset: str
    resources: Resources
    access: ModelAccess
    template: RequestTemplate
    scheme: LabelScheme
    limits: ChunkLimits
    calibration: Calibration | None
    notes: tuple[str, ...]

    @property
    def model_version(self) -> str:
        """As a run would publish it."""
        return calibrated_version(self.template.model_version, self.calibration)


def prepare(settings: Settings, dataset: str) -> PreparedSettings:
    """Holds settings against label scheme, lake and servers, as a run does before it asks.

    Raises:
        PreannotationError: what would stop the run, in one line.
    """
    resources = build_resources(settings)
    store = resources["storage"].open_for_publishing()
    scheme = resources["label_scheme"].load()
    calibration = resources["publishing"].load_calibration(store)
    access = resources["model_server"].access()
    prompt = access.prompt(scheme)
    access.require_room(prompt, settings.chunking.chunk_tokens)
    identity = access.identify(os.environ)
    return PreparedSettings(
        dataset=dataset,
        resources=resources,
        access=access.for_identity(identity),
        template=access.template(identity, prompt),
        scheme=scheme,
        limits=chunk_limits(settings, store, dataset),
        calibration=calibration,
        notes=identity.notes,
    )
