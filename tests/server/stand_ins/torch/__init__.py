"""Stands in for torch, of which guidellm takes a data loader alone: the real one would be five gigabytes."""

from torch import utils  # noqa: F401


class Tensor:
    pass


class Generator:
    def manual_seed(self, seed):
        return self


class nn:
    class Module:
        pass
