"""Training by several processes that `torchrun` started, or by one: who does which batches, and gradients added up."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as distributed
from torch import Tensor

from ..contract.errors import UsageError


@dataclass(frozen=True)
class Processes:
    """This process among all that train together."""

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls) -> "Processes":
        """Meets the others that torchrun's variables name; alone without them."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return cls(distributed.get_rank(), count)

    @property
    def first(self) -> bool:
        """Whether it is the one that writes and reports."""
        return self.rank == 0

    def share(self, batches: int) -> range:
        """Its numbers of a step's batches. Raises UsageError where they cannot be shared out evenly."""
        if batches % self.count:
            raise UsageError(
                f"{batches} batches a step cannot be shared by {self.count} processes: set batches_per_step."
            )
        return range(self.rank, batches, self.count)

    def add_up(self, gradients: Sequence[Tensor], sums: Tensor) -> None:
        """Adds what the others have, in place: one message for the gradients, one for the sums."""
        if self.count == 1:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, part in zip(gradients, torch.split(flat, sizes), strict=True):
            gradient.copy_(part.view_as(gradient))
        on_device = sums.to(flat.device)
        distributed.all_reduce(on_device)
        sums.copy_(on_device)
