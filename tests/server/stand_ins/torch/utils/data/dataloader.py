from typing import Generic, TypeVar

Item = TypeVar("Item", covariant=True)


def get_worker_info():
    return None


class DataLoader(Generic[Item]):
    """Gives the items of a dataset one by one, in their order."""

    def __init__(self, dataset, collate_fn, batch_size=1, shuffle=False, **_):
        assert batch_size == 1 and not shuffle
        self.dataset, self.collate = dataset, collate_fn

    def __iter__(self):
        for item in self.dataset:
            yield self.collate([item])
