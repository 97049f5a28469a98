"""Training on the loss as written: `deepvelo.model.loss.objective`, with gradients by autograd."""

from __future__ import annotations

from torch import Tensor

from deepvelo.errors import InputError
from deepvelo.model import loss
from deepvelo.model.assignment.targets import Displacements, Pair
from deepvelo.model.gcn import RateNetwork, Rates
from deepvelo.model.large_data.blocks import BlockedObjective, Sample
from deepvelo.model.large_data.parallel import SINGLE_PROCESS, ProcessGroup


class AutogradObjective(BlockedObjective):
    """Minimises whatever `deepvelo.model.loss.objective` returns, all genes at once: to try new terms."""

    def backward(
        self,
        network: RateNetwork,
        hidden: Tensor,
        sample: Sample,
        *,
        weight: float,
        with_correlations: bool = True,
        group: ProcessGroup = SINGLE_PROCESS,
    ) -> loss.Terms:
        """As `BlockedObjective.backward`, always with correlations, and in a single process.

        Raises
        ------
        InputError
            Several processes share the cells: a term may not be a sum over them.
        """
        if group.size > 1:
            msg = "`loss.AUTOGRAD` trains in a single process. Start without torchrun, or set it to False."
            raise InputError(msg)
        rates = network.rates(hidden)
        if not self.variant.unspliced_velocity:
            rates = rates._replace(alpha=rates.alpha.new_full(rates.alpha.shape, float("nan")))
        spliced, unspliced = sample.spliced[:, :], sample.unspliced[:, :]
        targets = self.displacements(rates, sample)
        terms = loss.objective(
            rates, unspliced, spliced, targets, weights=self.correlation_weights, weight=weight
        )
        terms["total"].backward()
        return {name: value.item() for name, value in terms.items()}

    def displacements(self, rates: Rates, sample: Sample) -> Pair:
        """Mean displacements that velocities are compared with; with neighbourhood rates, those that these explain."""
        every = slice(None)
        targets = self.targets.of(every, sample.cells)
        if self.explained is None:
            return targets
        ahead, behind = targets.spliced
        velocity = self.explained.velocity(sample.unspliced[:, :], sample.spliced[:, :], every, sample.cells)
        middle = (ahead + behind) / 2
        return Pair(Displacements(middle + velocity, middle - velocity), targets.unspliced)
