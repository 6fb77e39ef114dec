/* SPDX-License-Identifier: Apache-2.0 */
/* The protocols, one line each: PROTOCOL(name) is protocol_name in name.c. Where two answer one
 * path, the upper wins. */
PROTOCOL(tfserving)  /* /v1/models/...: TensorFlow Serving REST, KServe V1 */
PROTOCOL(oip)        /* /v2/models/M/infer: Open Inference Protocol, binary tensors */
PROTOCOL(repository) /* /v2/repository, config, stats, trace, logging: Triton's extensions */
PROTOCOL(memory)     /* /v2/systemsharedmemory: Triton's shared memory extension */
PROTOCOL(catalog)  /* /v2, /v2/health, /v2/models: what is there; after repository: /v2/models/stats
                      is no model */
PROTOCOL(oip_grpc) /* /inference.GRPCInferenceService/ModelInfer, ModelStreamInfer */
PROTOCOL(catalog_grpc)       /* /inference.GRPCInferenceService: all others */
PROTOCOL(tfserving_grpc)     /* /tensorflow.serving.PredictionService, ModelService */
PROTOCOL(predict)            /* /predict/M: JSON as people write it, .npy, images */
PROTOCOL(torchserve)         /* /predictions/M: TorchServe's inference API */
PROTOCOL(torchmodels)        /* /models: TorchServe's management API */
PROTOCOL(mlflow)             /* /invocations /version /health: MLflow scoring, SageMaker, Vertex */
PROTOCOL(generate)           /* /v2/models/M/generate, generate_stream: OIP's extension */
PROTOCOL(llamacpp)           /* /completion /tokenize /props ...: llama.cpp's server */
PROTOCOL(ollama)             /* /api/chat /api/generate */
PROTOCOL(ollama_catalog)     /* /api/tags /api/show /api/ps */
PROTOCOL(ollama_embed)       /* /api/embed */
PROTOCOL(openai_chat)        /* /v1/chat/completions */
PROTOCOL(openai_completions) /* /v1/completions */
PROTOCOL(openai_responses)   /* /v1/responses */
PROTOCOL(openai_embeddings)  /* /v1/embeddings */
PROTOCOL(admin)       /* /admin, on its own listener: splits, policies, aliases, keys, history */
PROTOCOL(grpc_health) /* /grpc.health.v1.Health */
PROTOCOL(grpc_reflection) /* /grpc.reflection.v1, v1alpha */
PROTOCOL(health)          /* /healthz /livez /readyz /ping */
PROTOCOL(metrics)         /* /metrics */
PROTOCOL(docs)            /* /docs / */
PROTOCOL(openapi)         /* /openapi.json, OPTIONS / and /predictions/M */
