/* SPDX-License-Identifier: Apache-2.0 */
/* Formats in the order they are tried. */
FORMAT(gguf)
FORMAT(huggingface)
FORMAT(onnx)
