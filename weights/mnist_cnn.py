"""Continue the training of mnist-cnn in PyTorch, where a processor's bfloat16 makes it faster.

tinymnist paints the pictures and distorts them, and its own training takes the same steps in kind:
``tinymnist train --start weights/mnist-cnn.npz --scenes 1 --damage 0.25 --average``. What PyTorch
adds is speed (about 2,500 pictures a second on one core with AMX, 1,100 here), so that more of them
fit in an hour. The moving average of the weights is what is kept, and at the end the mean of the
last two stages and of the weights from before, which forgets less (https://arxiv.org/abs/2109.01903).

    pip install torch==2.13.0
    python weights/mnist_cnn.py weights/mnist-cnn.npz out.npz

About an hour. A layer's arrays differ only in their layout: PyTorch's kernels are (out, in, h, w).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tinymnist.augmentation.distort import RandomDamage, RandomDistortion
from tinymnist.data import load_mnist
from tinymnist.imaging.synthetic.training_set import training_set
from tinymnist.labelled import in_mnist_form
from tinymnist.nn.architectures import mnist_cnn
from tinymnist.nn.sequential import Sequential

BATCH, WEIGHT_DECAY, SMOOTHING, EMA = 256, 0.02, 0.02, 0.9995
STAGES = [(3_000_000, 1.5e-3, 1.0), (5_000_000, 8e-4, 1.0), (1_000_000, 5e-4, 0.5)]
"""How many pictures, the highest learning rate, and how much a negative example counts."""
DISTORT = RandomDistortion(rotation_range=9, shear_range=7, elastic=1.1)
DAMAGE = RandomDamage(0.25)
KEPT = 0.2  # the share of the weights from before in the mean


def batches(seed: int, count: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Distorted pictures and their targets; MNIST's own pictures come twice as often."""
    plain, labels = load_mnist("train")
    images, targets = training_set(in_mnist_form(plain), labels, seed=seed, times=1)
    numbers = np.concatenate([np.arange(len(images)), np.arange(len(labels))])
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(numbers)
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            x, t = DISTORT(images[chosen], rng), targets[chosen]
            is_digit = t.max(1) > 0.5
            x[is_digit] = DAMAGE(x[is_digit], rng)
            yield torch.from_numpy(x.transpose(0, 3, 1, 2)), torch.from_numpy(t)
            if (count := count - BATCH) <= 0:
                return


def in_torch() -> nn.Sequential:
    """The layers of :func:`tinymnist.nn.architectures.mnist_cnn`; its last is logits here."""

    def block(channels: int, filters: int, size: int) -> list[nn.Module]:
        normalization = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.02)
        return [nn.Conv2d(channels, filters, size, bias=False), normalization, nn.ReLU()]

    layers = [*block(1, 32, 5), nn.MaxPool2d(2), *block(32, 64, 3), *block(64, 64, 3)]
    layers += [nn.MaxPool2d(2), *block(64, 128, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(128, 10))


def names(model: nn.Module) -> list[str]:
    """The arrays of the network in tinymnist's order."""
    return [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]


def to_torch(model: nn.Module, weights: Sequential) -> None:
    """Copy tinymnist's arrays into PyTorch's."""
    arrays = [torch.from_numpy(a.T if a.ndim < 4 else a.transpose(3, 2, 0, 1)).contiguous()
              for a in weights.weights.values()]  # fmt: skip
    model.load_state_dict(dict(zip(names(model), arrays, strict=True)), strict=False)


def train(
    model: nn.Sequential, stage: tuple[int, float, float], seed: int
) -> dict[str, np.ndarray]:
    """Train for one stage; the moving average of the arrays, in PyTorch's layout."""
    count, rate, weight = stage
    kernels = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": kernels}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=WEIGHT_DECAY)
    steps = -(-count // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.04)
    mean = {name: model.state_dict()[name].clone() for name in names(model)}
    model.train().to(memory_format=torch.channels_last)
    for step, (x, t) in enumerate(batches(seed, count)):
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(x.contiguous(memory_format=torch.channels_last))
        smooth = (1 - SMOOTHING) * t + SMOOTHING / t.shape[1]
        losses = -(smooth * F.log_softmax(logits.float(), 1)).sum(1)
        loss = torch.where(t.amax(1) > 0.5, losses, weight * losses).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        for name, array in mean.items():
            array.lerp_(model.state_dict()[name], 1 - min(EMA, (1 + step) / (10 + step)))
        if step % 400 == 0:
            print(f"{step * BATCH:,} of {count:,} pictures: loss {loss.item():.3f}", flush=True)
    model.load_state_dict(mean, strict=False)
    return {name: array.numpy() for name, array in mean.items()}


def main() -> None:
    """Train in stages, average, measure, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("start", help="the weights to continue from")
    parser.add_argument("out", help="where to save")
    parser.add_argument("--share", type=float, default=1.0, help="of each stage's pictures")
    options = parser.parse_args()
    torch.manual_seed(0)
    before = mnist_cnn()
    before.load_weights(options.start)
    model = in_torch()
    to_torch(model, before)
    ends = []
    for seed, (count, rate, weight) in enumerate(STAGES, start=5):
        ends.append(train(model, (int(options.share * count), rate, weight), seed))
    after = mnist_cnn()
    for name, own_name in zip(before.weights, names(model), strict=True):
        array = (ends[-2][own_name] + ends[-1][own_name]) / 2
        own = array.T if array.ndim < 4 else array.transpose(2, 3, 1, 0)
        after.weights[name][...] = KEPT * before.weights[name] + (1 - KEPT) * own
    images, labels = load_mnist("test")
    figures = after.evaluate(in_mnist_form(images), labels, return_dict=True)
    after.metadata = {
        "class_names": [str(digit) for digit in range(10)],
        "preprocessing": {"recipe": "mnist"},
        "source": "trained by tinymnist, then continued in PyTorch by weights/mnist_cnn.py",
        "metrics": {"mnist-test": {"n": len(labels), **figures}},
    }
    after.save(options.out)
    print(f"{options.out}: accuracy {figures['accuracy']:.4f}")


if __name__ == "__main__":
    main()
