"""What the suggestions are made of, and the versions that change with it."""

import hashlib
from dataclasses import dataclass
from typing import Final

from preannotation_assets.contracts import GROUNDINGS, SUGGESTIONS
from preannotation_assets.defs.assets.common import require_current_pages
from preannotation_assets.defs.resources.cascade import CascadeResource
from preannotation_assets.defs.resources.label_scheme import LabelSchemeResource
from preannotation_assets.defs.resources.publishing import PublishingResource
from preannotation_assets.defs.stage_code import stage_code
from preannotation_assets.errors import SettingsError
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.batch import require_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import PagesManifest, RawModelOutputsManifest, SuggestionsManifest
from preannotation_assets.publishing.calibrations import calibrated_version

__all__ = ["SUGGESTIONS_CODE", "SuggestionInputs"]

SUGGESTIONS_CODE: Final = stage_code("tasks.ground_answers", GROUNDINGS, SUGGESTIONS)


@dataclass(frozen=True, slots=True)
class SuggestionInputs:
    """What the suggestions are made of."""

    layout: DatasetLayout
    pages: PagesManifest
    outputs: RawModelOutputsManifest
    scheme: LabelScheme
    calibration: Calibration | None
    small_calibration: Calibration | None
    holds_back: bool

    @classmethod
    def read(
        cls,
        store: ObjectStore,
        layout: DatasetLayout,
        label_scheme: LabelSchemeResource,
        publishing: PublishingResource,
        cascade: CascadeResource,
    ) -> "SuggestionInputs":
        """What there is now.

        Raises:
            BatchError: there are no answers, or they are of other pages than the present ones.
            SettingsError: the label scheme or the calibration cannot be used.
            StorageError: the lake cannot be read.
        """
        outputs = require_manifest(
            store,
            layout.stage_manifest("raw_model_outputs"),
            RawModelOutputsManifest,
            layout.dataset,
            "raw_model_outputs",
        )
        pages = require_current_pages(store, layout, outputs.pages_version, "raw_model_outputs")
        return cls(
            layout=layout,
            pages=pages,
            outputs=outputs,
            scheme=label_scheme.load(),
            calibration=publishing.load_calibration(store),
            small_calibration=_small_calibration(store, outputs, cascade),
            holds_back=publishing.holds_back,
        )

    @property
    def version(self) -> str:
        """Changes when the published rows or the manifest beside them could."""
        parts = (
            SUGGESTIONS_CODE,
            tuple(SuggestionsManifest.model_fields),
            self.pages.model_dump_json(),
            self.outputs.model_dump_json(),
            self._scheme,
            *self._calibration,
            *self.learned_from,
        )
        return _hash(parts)

    @property
    def _calibration(self) -> tuple[object, ...]:
        """Nothing without one: the version is as if there were none."""
        own = () if self.calibration is None else (self.calibration.content_hash, self.holds_back)
        # Which one it is says the manifest of the outputs.
        return own if self.small_calibration is None else (*own, "small", self.holds_back)

    @property
    def learned_from(self) -> list[str]:
        """The documents that the scheme's examples came from; none of a scheme that learned nothing."""
        return sorted(self.scheme.learned_from)

    @property
    def model_version(self) -> str:
        """That of the answers, with the name of the calibration where there is one."""
        return calibrated_version(self.outputs.model_version, self.calibration)

    @property
    def scheme_version(self) -> str:
        """Changes when the label scheme would make other rows of the same answers."""
        return _hash(self._scheme)

    @property
    def _scheme(self) -> tuple[object, ...]:
        return self.scheme.label_names, self.scheme.overlaps, self.scheme.value_rules

    @property
    def outputs_folder(self) -> str:
        """Where the answers are."""
        return self.layout.stage("raw_model_outputs", self.outputs.version)

    @property
    def rows_folder(self) -> str:
        """Where the rows are staged, out of the loader's sight."""
        return self.layout.suggestion_rows(self.version)


def _small_calibration(
    store: ObjectStore, outputs: RawModelOutputsManifest, cascade: CascadeResource
) -> Calibration | None:
    """What decided about the small model's answers, where a cascade asked one."""
    if outputs.cascade is None:
        return None
    found = cascade.load_calibration(store)
    if (found and found.content_hash) != outputs.cascade.calibration:
        raise SettingsError(
            "PREANNOTATION_CASCADE_CALIBRATION is another one than decided about the answers that are there",
            "materialize raw_model_outputs again",
        )
    return found


def _hash(parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
