"""AdamW that starts quickly, for many short jobs."""

from inspect import unwrap

import torch


class AdamW(torch.optim.AdamW):
    """torch's AdamW without the decorators that exempt it from torch's compiler.

    They import the compiler at the first use in a process. Nothing is compiled here, and the import can take longer
    than a job of a few epochs. Arithmetic and state are torch's own.
    """

    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = unwrap(torch.optim.AdamW.zero_grad)
    state_dict = unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = unwrap(torch.optim.AdamW.load_state_dict)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))
