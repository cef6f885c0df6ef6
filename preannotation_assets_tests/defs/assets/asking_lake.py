"""A lake with chunks of short pages, and ``raw_model_outputs`` materialized over it.

As a program it materializes once and can be killed: ``python asking_lake.py FOLDER URL [THRESHOLD]``, with a
threshold as a cascade.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dagster import DagsterInstance, Definitions, define_asset_job, in_process_executor
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.execution.execution_result import ExecutionResult
from shared.short_pages import SCHEME, write_chunks

from preannotation_assets.defs.assets.raw_model_outputs.asset import raw_model_outputs
from preannotation_assets.defs.partitions import add_dataset
from preannotation_assets.defs.resources.cascade import CascadeResource
from preannotation_assets.defs.resources.label_scheme import LabelSchemeResource
from preannotation_assets.defs.resources.ollama import OllamaResource
from preannotation_assets.defs.resources.spark import SparkResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import ChunksManifest, PagesManifest
from preannotation_assets.telemetry.stage_progress import LogAlone

LAYOUT = DatasetLayout("vessels_ocr_7")
SMALL = "tiny:1b"
CAP = 2
FLUSH_SECONDS = 0.2


@dataclass(frozen=True)
class AskingLake:
    """The folder of a lake, and the servers that are asked."""

    folder: Path
    url: str
    other_urls: tuple[str, ...] = ()

    @property
    def store(self) -> ObjectStore:
        return open_store(StoreLocation(str(self.folder)))

    def fill(self, pages: Sequence[str]) -> None:
        """Writes pages of one chunk each, and the manifests of both stages."""
        (self.folder / "labels.yaml").write_text(SCHEME, "utf-8")
        write_chunks(self.store, part_key(LAYOUT.stage("chunks", "v"), 0), pages)
        write_manifest(
            self.store,
            LAYOUT.stage_manifest("chunks"),
            ChunksManifest(
                dataset=LAYOUT.dataset,
                version="v",
                pages_version="p",
                chunk_tokens=1000,
                overlap_tokens=5,
                calibration=1.0,
                part_rows=[len(pages)],
                chunks=len(pages),
                estimated_tokens=sum(len(text) // 4 for text in pages),
            ),
        )
        write_manifest(
            self.store,
            LAYOUT.stage_manifest("pages"),
            PagesManifest(
                dataset=LAYOUT.dataset,
                version="p",
                content_hash="h",
                part_rows=[len(pages)],
                pages=len(pages),
                empty_pages=0,
                characters=sum(map(len, pages)),
                collapsed_duplicates=0,
                failed_pages=[],
                narrowed_to_doc_ids=None,
                doc_ids_not_found=0,
            ),
        )

    def materialize(
        self,
        instance: DagsterInstance,
        *,
        refresh: bool = False,
        retry_of: str | None = None,
        second_pass_below: float | None = None,
        cascade: CascadeResource | None = None,
        model: str = "llama3.3:70b",
    ) -> ExecutionResult:
        """One run of the asset; it does not raise what the run raises."""
        add_dataset(instance, LAYOUT.dataset)
        job = Definitions(
            assets=[raw_model_outputs],
            jobs=[define_asset_job("ask", [raw_model_outputs])],
            executor=in_process_executor,
            resources={
                "storage": StorageResource(root=str(self.folder)),
                "spark": SparkResource(master="local[2]", driver_memory="1g"),
                "progress": LogAlone(),
                "cascade": cascade or CascadeResource(),
                "label_scheme": LabelSchemeResource(path=str(self.folder / "labels.yaml")),
                "model_server": OllamaResource(
                    endpoints=[self.url, *self.other_urls],
                    model=model,
                    max_in_flight=CAP,
                    num_ctx=4096,
                    num_predict=400,
                    flush_seconds=FLUSH_SECONDS,
                    second_pass_below=second_pass_below,
                ),
            },
        ).resolve_job_def("ask")
        run = instance.create_run_for_job(
            job,
            run_config={"ops": {"raw_model_outputs": {"config": {"refresh": refresh}}}},
            tags={"dagster/partition": LAYOUT.dataset},
            root_run_id=retry_of,
            parent_run_id=retry_of,
        )
        return execute_run(InMemoryJob(job), run, instance)


if __name__ == "__main__":
    folder, url, *threshold = sys.argv[1:]
    asked_first = CascadeResource(model=SMALL, threshold=float(threshold[0])) if threshold else None
    with DagsterInstance.ephemeral() as own:
        AskingLake(Path(folder), url).materialize(own, cascade=asked_first)
