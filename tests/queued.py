"""The queue of jobs as the pages see it, without anyone who works on them."""

from __future__ import annotations

import dataclasses

from app.background.job_status import JobStatus
from app.background.resources import MEMORY, Place
from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.io.run import Purpose
from deepvelo.lineages import LineageSettings


class Queue:
    """Stands in for `app.background.jobs.Jobs`, called like it; jobs wait until a test `put` them another way."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobStatus] = {}
        self.submitted: list[JobStatus] = []
        self.cancelled: list[str] = []
        self.forgotten: list[str] = []
        self.where: Place | None = None
        """Of every job; None for this machine."""

    @property
    def here(self) -> bool:
        return self.where is None

    def put(self, job_id: str, **values: object) -> None:
        """Let there be this job, in the place of one with the same id; of the sample, unless ``source`` says more."""
        known = {"name": job_id, "source": DataSource("sample"), "settings": Settings()}
        self.jobs[job_id] = JobStatus(job_id=job_id, **(known | values))

    def submit(
        self,
        source: DataSource,
        settings: Settings,
        *,
        cluster_key: str | None = None,
        basis: str | None = None,
        name: str = "",
        purpose: Purpose = "fit",
        base: str = "",
        lineages: LineageSettings | None = None,
        memory: int = 0,
        owner: str = "",
        owner_name: str = "",
    ) -> str:
        job = JobStatus(
            job_id=f"job-{len(self.submitted)}", name=name or source.label, source=source, settings=settings,
            cluster_key=cluster_key, basis=basis, purpose=purpose, base=base, lineages=lineages,
            owner=owner, owner_name=owner_name, requests={MEMORY: memory},
        )  # fmt: skip
        self.submitted.append(job)
        self.jobs[job.job_id] = job
        return job.job_id

    def place(self, settings: Settings, *, memory: int) -> Place | None:
        return self.where

    def list(self) -> list[JobStatus]:
        waiting = [job.job_id for job in self.jobs.values() if job.state == "queued"]
        return [
            dataclasses.replace(job, queue_position=waiting.index(job.job_id) + 1)
            if job.state == "queued"
            else job
            for job in self.jobs.values()
        ]

    def same(
        self,
        source: DataSource,
        settings: Settings,
        *,
        cluster_key: str | None = None,
        basis: str | None = None,
    ) -> JobStatus | None:
        wanted = (source, settings, cluster_key, basis)
        same = [
            job
            for job in self.list()
            if job.active and (job.source, job.settings, job.cluster_key, job.basis) == wanted
        ]
        return same[0] if same else None

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)
        self.jobs[job_id] = dataclasses.replace(self.jobs[job_id], state="cancelled")

    def forget(self, job_id: str) -> None:
        self.forgotten.append(job_id)
        del self.jobs[job_id]

    def close(self) -> None:
        pass
