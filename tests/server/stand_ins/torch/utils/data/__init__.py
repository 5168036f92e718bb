from torch.utils.data.dataloader import get_worker_info  # noqa: F401
