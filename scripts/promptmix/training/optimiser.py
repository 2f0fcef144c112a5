"""AdamW for many short jobs."""

from inspect import unwrap

import torch


class AdamW(torch.optim.AdamW):
    """torch's AdamW without what keeps it apart from torch's compiler.

    The first step of a process imports that compiler, just to exempt the optimiser from it. Nothing is compiled here,
    and the import takes longer than many a job of a few epochs. The arithmetic and the state are torch's own.
    """

    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))
