"""From counts to moments, in place."""

from deepvelo.pp.moments import moments

__all__ = ["moments"]
