"""The usual way to serve a small model in Python: FastAPI in front of ONNX Runtime, one worker. Run by bench_serve.py."""
import os

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI

options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
app = FastAPI()


@app.post("/predict")
def predict(body: dict):
    return {"predictions": session.run(None, {name: np.asarray(body["instances"], np.float32)})[0].tolist()}
