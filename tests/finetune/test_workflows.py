"""The README's three scripts for people who come from Keras, as they stand there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LOAD_AND_PREDICT = """
import numpy as np
from PIL import Image
from tinymnist import load_model

model = load_model("keras-cnn")
picture = Image.open("tinymnist/samples/3-thin-pen-on-white.png").convert("L")  # grey
picture = picture.resize((28, 28))
x = 1 - np.asarray(picture) / 255  # scaled, and white on black
x = x.reshape(1, 28, 28, 1)  # batch and channel
print(model.predict(x).argmax(axis=1).shape)  # -> (1,)

from tinymnist import prepare  # and what makes it right on pictures of one's own

print(model.predict(prepare("tinymnist/samples/3-thin-pen-on-white.png")[None]).argmax())  # -> 3
"""

AUGMENT = """
from pathlib import Path
import numpy as np
from tinymnist import ImageDataGenerator, load_model, prepare
from tinymnist.nn.losses import to_categorical

files = sorted(Path("tinymnist/samples").iterdir())
X = np.stack([prepare(file) for file in files])
y = to_categorical([int(file.name[0]) for file in files], 10)

generator = ImageDataGenerator(
    rotation_range=10,
    width_shift_range=0.1,
    height_shift_range=0.1,
    shear_range=0.1,
    zoom_range=0.1,
    fill_mode="nearest",
)
model = load_model("keras-cnn")
model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
history = model.fit(generator.flow(X, y, batch_size=32, seed=0), epochs=10, verbose=0)
print(len(history.history["loss"]))  # -> 10
print((model.predict(X).argmax(axis=1) == y.argmax(axis=1)).all())  # -> True
"""

TRANSFER = """
import numpy as np
from tinymnist import Sequential, load_model, prepare
from tinymnist.nn.layers import Dense, Flatten
from tinymnist.nn.losses import to_categorical
from tinymnist.nn.optimizers import Adam

names = ["4-transparent-drawing.png", "8-chalk-on-black.jpg"]
x = np.stack([prepare(f"tinymnist/samples/{name}") for name in names])
y = to_categorical([4, 8], 10)

base = load_model("mnist-cnn")
base.trainable = False
features = Sequential(base.layers[:-3], input_shape=(28, 28, 1))  # up to the last convolution
model = Sequential(
    [features, Flatten(), Dense(128, activation="relu"), Dense(10, activation="softmax")]
)
model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=20, verbose=0)
print(model.predict(x).argmax(axis=1))  # -> [4 8]

model.unfreeze(last=3, normalization=False)  # the last convolution as well
model.compile(optimizer=Adam(learning_rate=1e-5), loss="categorical_crossentropy")
history = model.fit(x, y, epochs=3, verbose=0)
print(history.history["loss"][-1] <= history.history["loss"][0])  # -> True
"""


@pytest.mark.parametrize(
    "script", [LOAD_AND_PREDICT, AUGMENT, TRANSFER], ids=["predict", "augment", "transfer"]
)
def test_script(script):
    promised = [line.split("# -> ")[1] for line in script.splitlines() if "# -> " in line]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == promised
