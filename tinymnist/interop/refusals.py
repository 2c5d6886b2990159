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
    Format.CAFFE: (
        "make an ONNX file of it and its .prototxt, with the tool caffe2onnx for instance"
    ),
    Format.CAFFE_TEXT: (
        "make an ONNX file of it and its .caffemodel, with the tool caffe2onnx for instance"
    ),
    Format.PICKLE: (
        "unpickling would run whatever code it holds. If you trust it, load it in Python and save "
        "its arrays as PyTorch names them: `torch.save({'fc1.weight': torch.tensor(W1.T), "
        "'fc1.bias': torch.tensor(b1), ...}, 'weights.pt')`"
    ),
    Format.TORCH_TAR: "open it with PyTorch and save it again: `torch.save(torch.load(FILE), NEW)`",
    Format.ARRAYS: (
        "it has no manifest of tinymnist, so nothing tells the layers; save its arrays as PyTorch "
        "names them: `torch.save({'fc1.weight': torch.tensor(W1.T), 'fc1.bias': "
        "torch.tensor(b1), ...}, 'weights.pt')`"
    ),
    Format.BROKEN_HDF5: "its bytes are lost; get the file again, in binary mode",
    Format.LFS_POINTER: "get the file itself: `git lfs pull`",
    Format.HTML: "download the file itself, the raw one",
    Format.TEXT: "expected a model",
}
"""What to do about each; ``{path}`` stands for the file's name."""
