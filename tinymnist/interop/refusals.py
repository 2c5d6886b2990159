"""What is recognized and not read, and the one line that makes something of it that is."""

from __future__ import annotations

from tinymnist.interop.sniffing import Format

REFUSALS = {
    Format.SAVED_MODEL: (
        "where it was made by Keras 2: `tf.keras.models.load_model(FOLDER).save('model.h5')`; "
        "else `python -m tf2onnx.convert --saved-model FOLDER --output model.onnx`"
    ),
    Format.GRAPH_DEF: (
        "convert it: `python -m tf2onnx.convert --graphdef FILE.pb --inputs NAME:0 "
        "--outputs NAME:0 --output model.onnx`"
    ),
    Format.CHECKPOINT: (
        "build the model in Keras, then `model.load_weights(CHECKPOINT); model.save('model.h5')`"
    ),
    Format.TFLITE: "convert it: `python -m tf2onnx.convert --tflite FILE --output model.onnx`",
    Format.TFJS: (
        "convert it: `tensorflowjs_converter --input_format tfjs_layers_model --output_format "
        "keras model.json model.h5`"
    ),
    Format.KERAS_JSON: (
        "convert the file of weights that belongs to it: `tinymnist convert WEIGHTS.h5 DEST.npz "
        "--architecture {path}`"
    ),
    Format.CAFFE: "convert it with caffe2onnx: `python -m caffe2onnx.convert --prototxt "
    "DEPLOY.prototxt --caffemodel FILE.caffemodel --onnx model.onnx`",
    Format.CAFFE_TEXT: "convert the .caffemodel that belongs to it with caffe2onnx",
    Format.PICKLE: (
        "unpickling would run whatever code it holds. If you trust it, save its arrays in Python: "
        "`torch.save({name: torch.tensor(a) for name, a in pickle.load(open(FILE, 'rb')).items()}, "
        "'weights.pt')`"
    ),
    Format.TORCH_TAR: "open it with PyTorch and save it again: `torch.save(torch.load(FILE), NEW)`",
    Format.ARRAYS: (
        "it holds arrays without tinymnist's manifest, so nothing tells the layers; save them as a "
        "state_dict: `torch.save({name: torch.tensor(a) for name, a in numpy.load(FILE).items()}, "
        "'weights.pt')`"
    ),
    Format.BROKEN_HDF5: "its bytes are lost; get the file again, in binary mode",
    Format.LFS_POINTER: "get the file itself: `git lfs pull`",
    Format.HTML: "download the file itself, the raw one",
    Format.TEXT: "expected a model",
}
"""What to do about each; ``{path}`` stands for the file's name."""
