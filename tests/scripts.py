"""Scripts for MNIST as people write them for Keras, each with the features of many public ones.

They leave what they compute in ``result``. ``DROP`` is the rate of dropout: 0, since two frameworks
draw different numbers. ``mnist.load_data`` gives a few pictures.
"""

from __future__ import annotations

DENSE_HEAD = """
model.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])
history = model.fit(x_train, y_train, batch_size=32, epochs=2, verbose=0,
                    validation_data=(x_test, y_test))
score = model.evaluate(x_test, y_test, verbose=0)
result = [history.history, score, model.predict(x_test)]
"""
PICTURES = """
import numpy as np
from keras.datasets import mnist
from keras.utils import to_categorical
from keras.models import Sequential
from keras.layers import *
(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train = x_train.reshape(-1, 28, 28, 1).astype('float32') / 255
x_test = x_test.reshape(-1, 28, 28, 1).astype('float32') / 255
y_train = to_categorical(y_train, 10)
y_test = to_categorical(y_test, 10)
"""
VECTORS = (
    PICTURES
    + """
x_train, x_test = x_train.reshape(-1, 784), x_test.reshape(-1, 784)
"""
)
SCRIPTS = {
    "perceptron": VECTORS + """
model = Sequential()
model.add(Dense(16, input_dim=784, activation='relu', kernel_initializer='normal'))
model.add(Dense(10, activation='softmax', kernel_initializer='normal'))
""" + DENSE_HEAD,
    "convnet": PICTURES + """
from keras import backend as K
if K.image_data_format() == 'channels_first':
    raise SystemExit
model = Sequential()
model.add(Conv2D(4, kernel_size=(3, 3), activation='relu', input_shape=(28, 28, 1)))
model.add(Conv2D(4, (3, 3), activation='relu'))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(DROP))
model.add(Flatten())
model.add(Dense(8, activation='relu'))
model.add(Dropout(DROP))
model.add(Dense(10, activation='softmax'))
""" + DENSE_HEAD,
    "sparse labels, no channel": """
import keras
from keras import layers
(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train, x_test = x_train / 255.0, x_test / 255.0
model = keras.models.Sequential([
    layers.Flatten(input_shape=(28, 28)),
    layers.Dense(16, activation='relu'),
    layers.Dropout(DROP),
    layers.Dense(10),
])
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer='adam', loss=loss_fn, metrics=['accuracy'])
history = model.fit(x_train, y_train, epochs=2, verbose=0)
probability_model = keras.Sequential([model, keras.layers.Softmax()])
result = [history.history, model.evaluate(x_test, y_test, verbose=0), probability_model.predict(x_test)]
""",
    "normalized along an axis": """
import keras
from keras.datasets import mnist
(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train = keras.utils.normalize(x_train, axis=1)
x_test = keras.utils.normalize(x_test, axis=1)
model = keras.models.Sequential()
model.add(keras.layers.Flatten())
model.add(keras.layers.Dense(16, activation='relu'))
model.add(keras.layers.Dense(10, activation='softmax'))
model.compile(optimizer='adam', loss='sparse_categorical_crossentropy', metrics=['accuracy'])
history = model.fit(x_train, y_train, epochs=2, verbose=0)
val_loss, val_acc = model.evaluate(x_test, y_test, verbose=0)
result = [history.history, val_loss, val_acc, model.predict(x_test)]
""",
    "functional branches": PICTURES + """
from keras.models import Model
inputs = Input(shape=(28, 28, 1))
x = Conv2D(4, 3, strides=2, padding='same', activation='relu')(inputs)
y = Conv2D(4, 3, padding='same')(x)
y = BatchNormalization()(y)
y = Activation('relu')(y)
x = add([x, y])
x = GlobalAveragePooling2D()(x)
outputs = Dense(10, activation='softmax', name='digits')(x)
model = Model(inputs=inputs, outputs=outputs)
""" + DENSE_HEAD,
    "functional concatenation": PICTURES + """
from keras.models import Model
inputs = Input((28, 28, 1))
a = Conv2D(3, 3, strides=3, activation='relu')(inputs)
b = Conv2D(3, 3, strides=3, activation='tanh')(inputs)
x = Flatten()(concatenate([a, b]))
model = Model(inputs, Dense(10, activation='softmax')(x))
""" + DENSE_HEAD,
    "a new head on a base": PICTURES + """
from keras.models import Model
start = Input((28, 28, 1))
base_model = Model(start, MaxPooling2D((2, 2))(Conv2D(4, 5, strides=3, activation='relu')(start)))
for layer in base_model.layers:
    layer.trainable = False
x = base_model.output
x = Flatten()(x)
x = Dense(8, activation='relu')(x)
predictions = Dense(10, activation='softmax')(x)
model = Model(inputs=base_model.input, outputs=predictions)
""" + DENSE_HEAD,
    "saved and loaded": VECTORS + """
from keras.models import load_model
model = Sequential([Dense(16, activation='sigmoid', input_shape=(784,)), Dense(10, activation='softmax')])
model.compile(loss='categorical_crossentropy', optimizer='sgd', metrics=['accuracy'])
history = model.fit(x_train, y_train, epochs=1, verbose=0)
model.save('digits.h5')
model.save('digits.keras')
first, second = load_model('digits.h5'), load_model('digits.keras')
result = [history.history, first.predict(x_test), second.predict(x_test)]
""",
    "weights and json": VECTORS + """
from keras.models import model_from_json
model = Sequential([Dense(12, activation='tanh', input_shape=(784,)), Dense(10, activation='softmax')])
model.compile(loss='categorical_crossentropy', optimizer='rmsprop')
model.fit(x_train, y_train, epochs=1, verbose=0)
with open('model.json', 'w') as file:
    file.write(model.to_json())
model.save_weights('model.weights.h5')
with open('model.json') as file:
    loaded = model_from_json(file.read())
loaded.load_weights('model.weights.h5')
loaded.compile(loss='categorical_crossentropy', optimizer='rmsprop', metrics=['accuracy'])
result = [loaded.evaluate(x_test, y_test, verbose=0), loaded.predict(x_test)]
""",
    "callbacks": VECTORS + """
from keras.callbacks import Callback, EarlyStopping, LambdaCallback, ModelCheckpoint, ReduceLROnPlateau
class Losses(Callback):
    def on_train_begin(self, logs={}):
        self.losses = []
    def on_batch_end(self, batch, logs={}):
        self.losses.append(logs.get('loss'))
class Stop(Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            self.model.stop_training = True
epochs = []
losses = Losses()
model = Sequential([Dense(16, activation='relu', input_shape=(784,)), Dense(10, activation='softmax')])
model.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['acc'])
history = model.fit(x_train, y_train, epochs=9, verbose=0, validation_split=0.25, callbacks=[
    losses, Stop(), EarlyStopping(monitor='val_loss', patience=5), ReduceLROnPlateau(patience=1),
    LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch)),
    ModelCheckpoint('best.keras', monitor='val_acc', save_best_only=True)])
result = [losses.losses, epochs, {k: v for k, v in history.history.items() if 'acc' in k}]
""",
    "autoencoder": VECTORS + """
from keras.models import Model
input_img = Input(shape=(784,))
encoded = Dense(16, activation='relu')(input_img)
decoded = Dense(784, activation='sigmoid')(encoded)
autoencoder = Model(input_img, decoded)
encoder = Model(input_img, encoded)
autoencoder.compile(optimizer='adam', loss='binary_crossentropy')
history = autoencoder.fit(x_train, x_train, epochs=2, batch_size=16, verbose=0,
                          validation_data=(x_test, x_test))
result = [history.history, autoencoder.evaluate(x_test, x_test, verbose=0), encoder.predict(x_test)]
""",
    "decayed learning": VECTORS + """
from keras.optimizers import SGD
from keras.optimizers.schedules import ExponentialDecay
model = Sequential([Dense(16, activation='relu', input_shape=(784,)), Dense(10, activation='softmax')])
model.compile(loss='categorical_crossentropy', metrics=['accuracy'],
              optimizer=SGD(learning_rate=ExponentialDecay(0.1, 10, 0.9), momentum=0.9, nesterov=True))
history = model.fit(x_train, y_train, epochs=2, batch_size=8, verbose=0)
result = [history.history, model.predict(x_test)]
""",
    "penalized": VECTORS + """
from keras import regularizers
from keras.constraints import MaxNorm
from keras.optimizers import Adagrad
model = Sequential([
    Dense(16, activation='relu', input_shape=(784,), kernel_regularizer=regularizers.l2(0.01)),
    Dense(8, activation='relu', kernel_regularizer='l1', kernel_constraint=MaxNorm(1)),
    Dense(10, 'softmax', bias_regularizer=regularizers.l1_l2(l1=0.001, l2=0.01))])
model.compile(loss='categorical_crossentropy', optimizer=Adagrad(0.05), metrics=['accuracy'])
history = model.fit(x_train, y_train, epochs=2, verbose=0, validation_data=(x_test, y_test))
result = [history.history, model.predict(x_test)]
""",
    "batches by hand": VECTORS + """
model = Sequential([Dense(16, activation='relu', input_shape=(784,)), Dense(10, activation='softmax')])
model.compile(loss='mse', optimizer='nadam', metrics=['mae'])
for start in range(0, len(x_train), 16):
    model.train_on_batch(x_train[start:start + 16], y_train[start:start + 16])
result = [model.test_on_batch(x_test, y_test)[0], model.predict_on_batch(x_test)]
""",
    "generator": PICTURES + """
from keras.src.legacy.preprocessing.image import ImageDataGenerator
datagen = ImageDataGenerator(rotation_range=10, zoom_range=0.1, width_shift_range=0.1)
datagen.fit(x_train)
model = Sequential([Input((28, 28, 1)), Flatten(), Dense(10, activation='softmax')])
model.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])
flow = datagen.flow(x_train, y_train, batch_size=16, shuffle=False, seed=1)
for number in range(3):
    images, labels = flow[number]
    model.train_on_batch(images, labels)
result = [model.predict(x_test)]
""",
    "leaky and normalized": PICTURES + """
model = Sequential()
model.add(Conv2D(4, (5, 5), strides=2, padding='SAME', use_bias=False, input_shape=(28, 28, 1)))
model.add(BatchNormalization(axis=-1))
model.add(LeakyReLU(negative_slope=0.1))
model.add(AveragePooling2D(2))
model.add(Flatten())
model.add(Dense(10, activation='softmax'))
""" + DENSE_HEAD,
    "sigmoid outputs": VECTORS + """
model = Sequential([Dense(12, activation='relu', input_shape=(784,)), Dense(10, activation='sigmoid')])
""" + DENSE_HEAD,
    "softmax and binary cross-entropy": VECTORS
    + """
model = Sequential([Dense(12, activation='relu', input_shape=(784,)), Dense(10, activation='softmax')])
model.compile(loss='binary_crossentropy', optimizer='adam', metrics=['categorical_accuracy'])
history = model.fit(x_train, y_train, epochs=2, verbose=0, validation_data=(x_test, y_test))
result = [history.history, model.predict(x_test)]
""",
    "binary": VECTORS + """
model = Sequential([Dense(8, activation='relu', input_shape=(784,)), Dense(1, activation='sigmoid')])
model.compile(loss='binary_crossentropy', optimizer='rmsprop', metrics=['accuracy'])
is_five = y_train[:, 5]
history = model.fit(x_train, is_five, epochs=2, verbose=0)
result = [history.history, model.predict(x_test)]
""",
    "activations as functions": VECTORS + """
from keras import activations, initializers, losses, metrics, optimizers
model = Sequential([
    Dense(12, activation=activations.elu, input_shape=(784,), kernel_initializer=initializers.HeNormal()),
    Dense(10, activation=activations.softmax, bias_initializer=initializers.Constant(0.1))])
model.compile(loss=losses.categorical_crossentropy, optimizer=optimizers.Adadelta(learning_rate=1.0),
              metrics=[metrics.CategoricalAccuracy(), metrics.TopKCategoricalAccuracy(k=3)])
history = model.fit(x_train, y_train, epochs=2, verbose=0)
result = [history.history, model.predict(x_test)]
""",
    "layers at work": PICTURES + """
from keras.models import Model
model = Sequential([Input((28, 28, 1)), Conv2D(3, 5, activation='relu'), MaxPooling2D(4), Flatten(),
                    Dense(10, activation='softmax')])
model.compile(loss='categorical_crossentropy', optimizer='adamax')
model.fit(x_train, y_train, epochs=1, verbose=0)
views = Model(inputs=model.inputs, outputs=[layer.output for layer in model.layers[:3]])
result = views.predict(x_test[:2])
""",
    "weighted classes": VECTORS + """
model = Sequential([Dense(10, activation='softmax', input_shape=(784,))])
model.compile(loss='categorical_crossentropy', optimizer='lion', metrics=['mse', 'mae'])
weights = {digit: 1 + digit / 10 for digit in range(10)}
history = model.fit(x_train, y_train, 16, 2, 0, class_weight=weights)
result = [history.history, model.predict(x_test)]
""",
    "measured pixels": """
import keras
from keras.layers import Dense, Flatten, Normalization, Rescaling
(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train, x_test = x_train[..., None].astype('float32'), x_test[..., None].astype('float32')
norm = Normalization(axis=-1)
norm.adapt(x_train)
model = keras.Sequential([keras.Input((28, 28, 1)), norm, Flatten(), Dense(10, activation='softmax')])
model.compile('sgd', 'sparse_categorical_crossentropy', metrics=['sparse_categorical_accuracy'])
history = model.fit(x_train, y_train, epochs=1, verbose=0)
result = [history.history, model.predict(x_test)]
""",
    "scheduled": VECTORS + """
from keras.callbacks import LearningRateScheduler
def schedule(epoch, lr):
    return lr if epoch < 1 else lr * 0.1
model = Sequential([Dense(16, activation='selu', kernel_initializer='lecun_normal', input_shape=(784,)),
                    Dense(10, activation='softmax')])
model.compile(loss='categorical_crossentropy', optimizer='sgd', metrics=['accuracy'])
history = model.fit(x_train, y_train, epochs=3, verbose=0, callbacks=[LearningRateScheduler(schedule)])
result = [history.history['loss'], history.history['accuracy'], model.predict(x_test)]
""",
    "two models in a row": VECTORS + """
scores = []
for units in (4, 8):
    model = Sequential([Dense(units, activation='relu', input_shape=(784,)), Dense(10, activation='softmax')])
    model.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])
    model.fit(x_train, y_train, epochs=1, verbose=0)
    scores.append(model.evaluate(x_test, y_test, verbose=0))
result = [scores, model.predict(x_test)]
""",
    "a picture file": PICTURES + """
from keras.utils import array_to_img, img_to_array, load_img
array_to_img(x_test[0]).resize((40, 40)).save('digit.png')
image = load_img('digit.png', color_mode='grayscale', target_size=(28, 28))
image = img_to_array(image).reshape(1, 28, 28, 1) / 255
model = Sequential([Input((28, 28, 1)), Flatten(), Dense(10, activation='softmax')])
model.compile(loss='categorical_crossentropy', optimizer='adam')
model.fit(x_train, y_train, epochs=1, verbose=0)
result = [image, model.predict(image)]
""",
    "quickstart": """
import tensorflow as tf
tf.random.set_seed(1)
mnist = tf.keras.datasets.mnist
(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train, x_test = x_train / 255.0, x_test / 255.0
model = tf.keras.models.Sequential([
    tf.keras.layers.Flatten(input_shape=(28, 28)),
    tf.keras.layers.Dense(16, activation=tf.nn.relu),
    tf.keras.layers.Dense(10),
])
loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = tf.keras.optimizers.get('adam')
model.compile(optimizer=optimizer, loss=loss_fn, metrics=['accuracy'])
history = model.fit(x_train, y_train, epochs=2, verbose=0)
logits = model(x_test[:2]).numpy()
result = [history.history, model.predict([x_test])[:2], logits, tf.nn.softmax(logits).numpy(),
          loss_fn(y_test[:2], logits).numpy(), history.params['epochs']]
""",
    "a subclass": """
import csv
import keras
from keras import layers
from keras.callbacks import CSVLogger, EarlyStopping
class Digits(keras.Model):
    def __init__(self):
        super().__init__()
        self.flat = layers.Flatten()
        self.hidden = layers.Dense(16, activation='swish')
        self.mixed = layers.Average()
        self.last = layers.Dense(10, activation='softmax')
    def call(self, x):
        x = self.hidden(self.flat(x))
        return self.last(self.mixed([x, layers.Activation('relu')(x)]))
(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
model = Digits()
model.compile(loss='sparse_categorical_crossentropy', optimizer='sgd', metrics=['accuracy'],
              loss_weights=None)
model(x_train[:1] / 255.0)
stop = EarlyStopping('loss', baseline=1e-9, patience=2, start_from_epoch=1)
history = []
for append in (False, True):
    log = CSVLogger('log.csv', separator=';', append=append)
    fitted = model.fit(x_train / 255.0, y_train, epochs=6, verbose=0, callbacks=[log, stop])
    history += fitted.history['loss']
model.summary(line_length=80, expand_nested=True)
with open('log.csv') as file:
    rows = list(csv.DictReader(file, delimiter=';'))
result = [history, [float(row['loss']) for row in rows], model.predict(x_test / 255.0)]
""",
    "a dataset, and layers in place of others": """
import tensorflow as tf
from tensorflow.keras import layers
(x_train, y_train), (x_test, y_test) = tf.keras.datasets.mnist.load_data()
train = tf.data.Dataset.from_tensor_slices((x_train[..., None].astype('float32'), y_train))
train = train.skip(4).take(33).cache().batch(16).prefetch(tf.data.AUTOTUNE)
model = tf.keras.Sequential([
    layers.Lambda(lambda x: (x / 255 - 0.1307) / 0.3081, input_shape=(28, 28, 1)),
    layers.SeparableConv2D(4, 3, depth_multiplier=2, activation='relu', name='separable'),
    layers.SpatialDropout2D(DROP),
    layers.GaussianNoise(DROP),
    layers.MaxPooling2D(4),
    layers.Flatten(),
    layers.Dense(10, activation='softmax'),
])
model.compile(optimizer='adam', loss='sparse_categorical_crossentropy', metrics=['accuracy'])
history = model.fit(train, epochs=2, verbose=0)
sizes = [len(labels.numpy()) for pictures, labels in train]
order = [int(n) for n in tf.data.Dataset.from_tensor_slices([3, 1, 2]).shuffle(1).repeat(2)]
result = [history.history, model.evaluate(train, verbose=0), sizes, len(train), order,
          model.weights[0].numpy(), model.layers[-1].weights[-1].numpy(),
          model.predict(x_test[..., None].astype('float32'), verbose=0)]
""",
    "a copy": VECTORS + """
from keras.models import clone_model, save_model, load_model
first = Sequential([Dense(8, activation='relu', input_shape=(784,)), Dense(10, activation='softmax')])
model = clone_model(first)
model.compile(loss='categorical_crossentropy', optimizer='adam')
model.fit(x_train, y_train, epochs=1, verbose=0)
save_model(model, 'copy.keras')
result = [len(first.get_weights()), model.predict(x_test), load_model('copy.keras').predict(x_test)]
""",
}  # fmt: skip
"""The text of each script, by what is special in it."""
