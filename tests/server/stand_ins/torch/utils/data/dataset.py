from typing import Generic, TypeVar

Item = TypeVar("Item", covariant=True)


class IterableDataset(Generic[Item]):
    pass
