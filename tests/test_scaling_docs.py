"""What `docs/scaling.md` tells a lab to type is understood by the Dask that is installed."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import click
import dask
import distributed
import pytest
from distributed.cli import dask_scheduler, dask_ssh, dask_worker

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "scaling.md").read_text(encoding="utf-8")
MAINS: dict[str, click.Command] = {
    "scheduler": dask_scheduler.main,
    "worker": dask_worker.main,
    "ssh": dask_ssh.main,
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    return re.findall(r"\b(dask (?:scheduler|worker|ssh)\b[^;\n]*)", "\n".join(blocks("bash")))


def test_there_are_commands_to_try():
    kinds = [shlex.split(command)[1] for command in commands()]
    assert kinds.count("scheduler") >= 2
    assert kinds.count("worker") >= 3


@pytest.mark.parametrize("command", commands())
def test_commands_parse(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ca.pem", "lab.pem", "lab.key"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    _, kind, *words = shlex.split(command)
    found = MAINS[kind].make_context(kind, words).params
    if kind == "worker":
        assert found["nthreads"] == 1
        assert found["scheduler"].endswith("://lab1:8786")


def test_variables_are_settings_of_dask():
    names = re.findall(r"\bDASK_(DISTRIBUTED__\w+)=", TEXT)
    assert len(names) == 4
    for name in names:
        dask.config.get(name.lower().replace("__", "."))  # a KeyError if there is none


def test_the_cluster_by_ssh_knows_its_options():
    (source,) = (block for block in blocks("python") if "SSHCluster(" in block)
    options = keywords(source, "SSHCluster")
    inspect.signature(distributed.SSHCluster).bind([], **options)
    assert options["scheduler_options"].keys() <= parameters(distributed.Scheduler)
    assert options["worker_options"].keys() <= parameters(distributed.Nanny)


def keywords(source: str, name: str) -> dict[str, Any]:
    """Keywords of the call of that name, all of them literals."""
    (call,) = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    )
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}


def parameters(kind: type) -> set[str]:
    return set(inspect.signature(kind.__init__).parameters)


def test_the_cluster_by_slurm_declares_its_resources_in_one_word():
    (source,) = (block for block in blocks("python") if "SLURMCluster(" in block)
    options = keywords(source, "SLURMCluster")
    flag, declared = options["worker_extra_args"]
    words = " ".join(["tcp://lab1:8786", flag, declared]).split()  # as its script would
    assert dask_worker.main.make_context("worker", words).params["resources"] == declared
