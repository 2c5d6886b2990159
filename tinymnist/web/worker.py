"""What runs in a process of its own: opening strangers' models, comparing, training, fine-tuning.

``python -m tinymnist.web.worker`` reads a job and then commands, one JSON object per line, from
standard input, and writes events in the same form. When its input ends, so does it: no job
outlives the page that asked for it. The operating system bounds its memory, time and files.
"""

from __future__ import annotations

import base64
import json
import math
import os
import queue
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential, load_model
from tinymnist.nn.training.callbacks import Callback
from tinymnist.nn.training.state import Training
from tinymnist.reporting.text import count
from tinymnist.web.digits import to_learn, to_measure
from tinymnist.web.packing import pack, unpack, unpack_bytes

MAX_MEMORY, MAX_SECONDS, MAX_FILE = 4 << 30, 1200, 1 << 28
"""Bytes of address space, seconds of processor time, and bytes of one file."""
MAX_PARAMETERS, MAX_MULTIPLY_ADDS, MAX_OUTPUTS = 8_000_000, 300_000_000, 500_000
"""Of a model that a page opens: numbers in all, work for one picture, numbers of one layer."""
_FRAME = 0.25
"""Seconds between two pictures of a training."""
_VARIANTS = 24
"""How many distorted copies a drawn sign is learned as, itself included."""
_DIGITS_PER_CLASS = 20

Job = dict[str, Any]
Commands = queue.SimpleQueue[dict[str, Any]]


def send(event: str, **details: Any) -> None:
    """Write one event."""
    print(json.dumps({"event": event, **details}), flush=True)


def main() -> None:
    """Run one job; errors that a user can mend become events."""
    _limit()
    job = json.loads(sys.stdin.readline())
    commands: Commands = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(commands,), daemon=True).start()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            warnings.filterwarnings("ignore", module="PIL")  # about metadata
            JOBS[job["kind"]](job, commands)
        notes = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
        send("end", notes=notes)
    except (InputError, ValueError) as error:
        send("error", message=str(error))
    except MemoryError:
        send("error", message="this needs more memory than a page may use")


def _limit() -> None:
    with suppress(ImportError):  # Windows has no such limits
        import resource

        for what, most in (
            (resource.RLIMIT_AS, MAX_MEMORY),
            (resource.RLIMIT_CPU, MAX_SECONDS),
            (resource.RLIMIT_FSIZE, MAX_FILE),
        ):
            resource.setrlimit(what, (most, most))


def _listen(commands: Commands) -> None:
    for line in sys.stdin:
        commands.put(json.loads(line))
    os._exit(0)


def to_bytes(model: Sequential) -> str:
    """A weights file, in base64."""
    path = Path("model.out.npz")
    model.save(path)
    text = base64.b64encode(path.read_bytes()).decode("ascii")
    path.unlink()
    return text


def from_bytes(text: str, name: str = "given") -> Sequential:
    """The model of a weights file in base64."""
    path = Path(f"{name}.in.npz")
    path.write_bytes(unpack_bytes(text, "model"))
    return load_model(path)


def open_file(job: Job, commands: Commands) -> None:
    """A model file of any framework to a weights file; no code in it is run."""
    from tinymnist.interop import load_model as load_any

    path = Path(job["name"])
    path.write_bytes(unpack_bytes(job["data"], "model"))
    model = load_any(path)
    _check_size(model)
    send("model", data=to_bytes(model))


def _check_size(model: Sequential) -> None:
    """Refuse a model that would keep the server busy for everybody."""
    inputs = ((la, [model.shapes[s] for s in model.sources[la.name]]) for la in model.layers)
    found = {
        "parameters": (model.count_params(), MAX_PARAMETERS),
        "multiply-adds": (
            sum(la.multiply_adds(*shapes) for la, shapes in inputs),
            MAX_MULTIPLY_ADDS,
        ),
        "outputs of one layer": (max(map(math.prod, model.shapes.values())), MAX_OUTPUTS),
    }
    for what, (n, most) in found.items():
        if n > most:
            raise InputError(f"a page opens models of at most {most:,} {what}; this has {n:,}")


def compare(job: Job, commands: Commands) -> None:
    """The layers of two models side by side."""
    from tinymnist.api import compare as compare_models

    a, b = from_bytes(job["a"], "a"), from_bytes(job["b"], "b")
    a.name, b.name = job["names"]
    found = compare_models(a, b)
    record = found.as_record()
    lines = [found.headline, *found.explanation_lines(), *found.unmatched_lines()]
    send("comparison", record=record, lines=lines)


def train(job: Job, commands: Commands) -> None:
    """A network from scratch on the shipped digits, or on MNIST if it is on this machine."""
    from tinymnist.nn.architectures import ARCHITECTURES
    from tinymnist.nn.optimizers import get_optimizer

    images, labels = _examples(job["digits"])
    model = ARCHITECTURES[job["architecture"]](rng=job["seed"])
    optimizer = get_optimizer(job["optimizer"])
    optimizer.learning_rate = job["learning_rate"]
    model.compile(optimizer)
    augment = None
    if job["augment"]:
        from tinymnist.augmentation.distort import RandomDistortion  # needs scipy

        augment = RandomDistortion()
    show = Show(commands, job["paused"])
    model.fit(
        images, labels, job["batch_size"], job["epochs"], 0, show, rng=job["seed"], workers=1,
        augment=augment,
    )  # fmt: skip
    model.metadata = {
        "class_names": list("0123456789"),
        "preprocessing": {"recipe": "mnist"},
        "source": f"trained in the page on {len(images):,} digits",
    }
    send("model", data=to_bytes(model))


def _examples(digits: str) -> tuple[Array, Any]:
    if digits == "shipped":
        return to_learn()
    from tinymnist.data import load_set
    from tinymnist.labelled import in_mnist_form

    found = load_set("mnist-train")
    return in_mnist_form(found.images), found.labels


class Show(Callback):
    """Sends pictures of a training, and obeys: pause, resume, step, rate, stop."""

    def __init__(self, commands: Commands, paused: bool) -> None:
        """``paused`` waits before the first step."""
        self.commands, self.paused = commands, paused
        self.shown = -_FRAME
        self.steps = 0
        self.last_sums = (0, 0.0)
        self.losses: list[float] = []

    def on_train_begin(self, training: Training) -> None:
        """Show the network before it has learned anything."""
        self._frame(training)
        self._obey(training)

    def on_batch_end(self, training: Training) -> None:
        """Note the loss of the batch; show a picture now and then."""
        self.steps += 1
        position = training.position
        examples, loss = self.last_sums if position.batch > 1 else (0, 0.0)
        self.losses.append((position.loss - loss) / max(position.examples - examples, 1))
        self.last_sums = position.examples, position.loss
        if self.paused or time.monotonic() - self.shown > _FRAME:
            self._frame(training)
        self._obey(training)

    def on_train_end(self, training: Training) -> None:
        """Show the last state."""
        self._frame(training)

    def _frame(self, training: Training) -> None:
        images, labels = to_measure()
        outputs = training.model.predict(images, workers=1)
        picked = outputs[np.arange(len(labels)), labels]
        loss = float(-np.log(np.maximum(picked, 1e-12)).mean())
        send(
            "frame",
            step=self.steps,
            epoch=training.position.epoch,
            batch=training.position.batch,
            batches=training.batches,
            losses=self.losses,
            measured={"accuracy": float((outputs.argmax(1) == labels).mean()), "loss": loss},
            rate=training.optimizer.current_learning_rate(),
            kernels=pack(_first_kernels(training)),
            paused=self.paused,
        )
        self.losses = []
        self.shown = time.monotonic()

    def _obey(self, training: Training) -> None:
        while self.paused or not self.commands.empty():
            command = self.commands.get()
            action = command["action"]
            if action == "rate":
                training.optimizer.learning_rate = command["rate"]
            elif action == "stop":
                training.interrupted = training.position.finished = True
                return
            elif action == "step":
                self.paused = True
                return
            else:
                self.paused = action == "pause"
                send("paused", paused=self.paused)


def _first_kernels(training: Training) -> Array:
    """The first kernel, as pictures: (kh, kw, filters), or (28, 28, units) of a Dense layer."""
    kernel = next(a for name, a in training.model.weights.items() if name.endswith("/kernel"))
    if kernel.ndim == 4:
        return kernel[:, :, 0, :32]
    return kernel.reshape(28, 28, -1)[..., :32]


def finetune(job: Job, commands: Commands) -> None:
    """A new head on frozen layers for a visitor's own signs, beside the ten digits or alone."""
    from tinymnist.finetuning import FineTuning
    from tinymnist.finetuning import finetune as run

    base = from_bytes(job["model"])
    names, images, labels = _signs(job)
    classes = count(len(names), "class", "classes")
    send("stage", text=f"learning {classes} from {count(len(images), 'picture')}")
    model = run(base, images, labels, names, FineTuning(unfreeze=0))
    before = base.weights
    kept = [
        name
        for name, array in model.weights.items()
        if name in before and array.tobytes() == before[name].tobytes()
    ]
    changed = [name for name in model.weights if name not in kept]
    send("model", data=to_bytes(model), kept=kept, changed=changed)


def _signs(job: Job) -> tuple[list[str], Array, Any]:
    """Class names, pictures (n, 28, 28, 1) and labels: the visitor's signs, varied, and digits."""
    from tinymnist.augmentation.distort import RandomDistortion

    rng, vary = np.random.default_rng(0), RandomDistortion(elastic=0.7)
    names: list[str] = []
    images: list[Array] = []
    labels: list[int] = []
    if job["keep_digits"]:
        digits, known = to_learn()
        n = 10 * _DIGITS_PER_CLASS
        names, images, labels = list("0123456789"), list(digits[:n]), known[:n].tolist()
    for name, packed in job["signs"].items():
        if name not in names:
            names.append(name)
        drawn = unpack(packed, "pictures").reshape(-1, 28, 28, 1)
        varied = [drawn, *(vary(drawn, rng) for _ in range(_VARIANTS - 1))]
        images += [picture for batch in varied for picture in batch]
        labels += [names.index(name)] * (_VARIANTS * len(drawn))
    return names, np.stack(images), np.array(labels)


JOBS: dict[str, Callable[[Job, Commands], None]] = {
    "open": open_file,
    "compare": compare,
    "train": train,
    "finetune": finetune,
}


if __name__ == "__main__":
    main()
