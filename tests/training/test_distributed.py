"""The group of processes: torchrun's environment, the command that starts it again, and the order of work."""

from __future__ import annotations

import pytest
import torch

from textrnn.errors import OtherRankError
from textrnn.training.distributed import ProcessGroup

CPU = torch.device("cpu")


class FakeGroup(ProcessGroup):
    """A rank of two whose counterpart reports ``failure``."""

    failure = False

    def any(self, truth: bool, device: torch.device) -> bool:
        reported.append(truth)
        return truth or self.failure


reported: list[bool] = []


def test_torchruns_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ProcessGroup.from_environment() == ProcessGroup(0, 1)
    variables = {"RANK": 5, "WORLD_SIZE": 8, "LOCAL_RANK": 1, "TORCHELASTIC_RESTART_COUNT": 2}
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    group = ProcessGroup.from_environment()
    assert (group.rank, group.size, group.local_rank, group.restarts, group.is_main) == (5, 8, 1, 2, False)


@pytest.mark.parametrize(
    ("size", "per_node", "command"),
    [
        (1, "1", "textrnn"),
        (2, "2", "torchrun --nproc-per-node=2 -m textrnn"),
        (8, "2", "torchrun --nnodes=4 --nproc-per-node=2 -m textrnn"),
    ],
)
def test_the_command_starts_as_many_processes(
    size: int, per_node: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", per_node)
    assert " ".join(ProcessGroup(0, size).command) == command


def test_ranks_wait_for_rank_0_and_end_if_it_fails() -> None:
    reported.clear()
    with FakeGroup(1, 2).main_first(CPU):
        assert reported == [False]  # waited before the block
    with FakeGroup(0, 2).main_first(CPU):
        assert reported == [False]
    assert reported == [False, False]
    with pytest.raises(ValueError, match="no"), FakeGroup(0, 2).main_first(CPU):
        raise ValueError("no")
    assert reported[-1]
    failing = FakeGroup(1, 2)
    object.__setattr__(failing, "failure", True)
    with pytest.raises(OtherRankError, match="process 1"), failing.main_first(CPU):
        pytest.fail("the block must not run")
