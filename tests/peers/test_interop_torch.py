"""PyTorch's own files: whatever torch.save wrote computes the same here."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tinymnist import InputError, load_model  # noqa: E402
from tinymnist.interop import open_model  # noqa: E402
from tinymnist.interop.pytorch import read, read_tensors  # noqa: E402
from tinymnist.interop.safetensors import read_tensors as read_safetensors  # noqa: E402
from tinymnist.interop.safetensors import write  # noqa: E402

pytestmark = pytest.mark.peer


def lenet(pool: Any = nn.MaxPool2d) -> Any:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), pool(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), pool(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def normed() -> Any:
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 8, 3, groups=4), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(8 * 121, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10)),
    )


def norm_last() -> Any:
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.BatchNorm2d(8), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(8 * 144, 10)),
    )


def odd() -> Any:
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.PReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(4 * 169, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 10)),
    )


def averaged() -> Any:
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)),
    )


def shaken(net: Any) -> Any:
    """Evaluation mode, and statistics and norms that are not those of a new network."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias)
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            statistics = module.state_dict()
            nn.init.uniform_(statistics["running_mean"])
            nn.init.uniform_(statistics["running_var"], 0.5, 2)
    return net.eval()


X = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def agrees(model: Any, net: Any) -> Any:
    expected = net(X).detach().numpy()
    found = model.predict(X.numpy().transpose(0, 2, 3, 1))
    return np.abs(found - expected).max() <= 1e-5 * max(np.abs(expected).max(), 1)


@pytest.mark.parametrize("make", [lenet, normed, norm_last, odd, averaged])
@pytest.mark.parametrize("legacy", [False, True])
def test_one_of_the_plans_is_the_network(make: Any, legacy: Any, tmp_path: Path) -> None:
    net = shaken(make())
    path = tmp_path / "weights.pt"
    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    found = read(path)
    plans = [plan for plan in found.plans if plan.input_shape == (28, 28, 1)]
    right = [i for i, plan in enumerate(plans) if agrees(found.build(plan), net)]
    assert right and (right[0] == 0 or make is averaged)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 20, 5)
        self.fc1, self.fc2 = nn.Linear(320, 50), nn.Linear(50, 10)

    def forward(self, x: Any) -> Any:
        x = nn.functional.max_pool2d(self.conv1(x), 2).relu()
        x = nn.functional.max_pool2d(self.conv2(x), 2).relu()
        return self.fc2(self.fc1(x.flatten(1)).relu())


def saved(kind: Any, net: Any, path: Path) -> None:
    if kind == "traced":
        torch.jit.trace(net, X).save(str(path))
        return
    states = {
        "module": net,
        "half": {k: v.half() for k, v in net.state_dict().items()},
        "double": {k: v.double() for k, v in net.state_dict().items()},
        "parallel": {f"module.{k}": v for k, v in net.state_dict().items()},
        "parameters": dict(net.named_parameters()),
        "strided": {k: v.t().contiguous().t() if v.ndim == 2 else v
                    for k, v in net.state_dict().items()},
        "shared": {**net.state_dict(), "fc2.bias": torch.arange(30.0)[3:23:2] / 30},
    }  # fmt: skip
    if kind == "checkpoint":
        optimizer = torch.optim.Adam(net.parameters())
        net(X).sum().backward()
        optimizer.step()
        states[kind] = {"epoch": 3, "best": np.float64(0.5), "model_state_dict": net.state_dict(),
                        "optimizer": optimizer.state_dict()}  # fmt: skip
    torch.save(states[kind], path)
    if kind in ("half", "shared"):
        net.load_state_dict({k: v.float() for k, v in states[kind].items()})


@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated, its files are not
@pytest.mark.parametrize(
    "kind",
    ["module", "traced", "half", "double", "parallel", "parameters", "strided", "shared",
     "checkpoint"],
)  # fmt: skip
def test_every_way_to_save_a_network(kind: Any, tmp_path: Path) -> None:
    net = Net().eval()
    saved(kind, net, tmp_path / "m.pt")
    assert agrees(open_model(tmp_path / "m.pt"), net)


@pytest.mark.filterwarnings("ignore")
def test_quantised_and_sparse_tensors_are_refused_by_name(tmp_path: Path) -> None:
    quantised = torch.quantize_per_tensor(torch.rand(10, 784), 0.1, 0, torch.qint8)
    for tensor, word in ((quantised, "quantised"), (torch.eye(10).to_sparse(), "sparse")):
        torch.save({"fc.weight": tensor}, tmp_path / "m.pt")
        with pytest.raises(InputError, match=word):
            open_model(tmp_path / "m.pt")


def test_the_same_bytes_as_torch_reads(tmp_path: Path) -> None:
    state = {"a": torch.rand(3, 4).t(), "b": torch.rand(5).to(torch.bfloat16), "c": torch.ones(())}
    torch.save(state, tmp_path / "m.pt")
    tensors, _ = read_tensors(tmp_path / "m.pt")
    assert all(np.array_equal(tensors[k], v.float().numpy()) for k, v in state.items())


def test_a_shipped_model_in_torch(tmp_path: Path) -> None:
    model = load_model("keras-cnn")
    write(model, tmp_path / "m.safetensors")
    tensors, _ = read_safetensors(tmp_path / "m.safetensors")
    net = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1600, 10), nn.Softmax(1)),
    )
    net.load_state_dict(
        dict(zip(net.state_dict(), map(torch.tensor, tensors.values()), strict=True))
    )
    assert agrees(model, net)


def test_whatever_torch_calls_safe_is_not_more_than_tensors(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(
        {"model": Net().state_dict(), "args": {"lr": 0.1, "name": "x", "sizes": [1, 2]}}, buffer
    )
    (tmp_path / "m.pt").write_bytes(buffer.getvalue())
    assert len(open_model(tmp_path / "m.pt").layers) > 4


def test_numbers_beside_the_weights_may_be_tensors(tmp_path: Path) -> None:
    net = shaken(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
    numbers = {"epoch": torch.tensor(3), "loss": torch.tensor(0.25)}
    torch.save({**numbers, "model_state_dict": net.state_dict()}, tmp_path / "m.pt")
    agrees(read(tmp_path / "m.pt").choose(), net)
