# For people. Meson and Ninja do the work; each target says what it needs and installs it when it may (root on Debian).
#   make          release build: build/slipway        make test   everything that proves it works
#   make demo     real model, served, asked, answered  make bench  side by side with the peers
.PHONY: all demo test quick asan tsan fuzz fuzz-graphs random-graphs zoo greedy wire soak soak-language bench bench-graph bench-serve bench-llm install clean format tidy deps

PREFIX ?= /usr
DESTDIR ?=
NINJA = ninja

all: build/build.ninja
	@$(NINJA) -C build slipway

build/build.ninja:
	@tools/deps build
	@meson setup build --buildtype=release -Db_lto=true -Db_lto_mode=default --prefix=$(PREFIX) >/dev/null

build/asan/build.ninja:
	@tools/deps build
	@meson setup build/asan --buildtype=debugoptimized -Dfault=true -Db_sanitize=address,undefined -Db_lundef=false >/dev/null

build/tsan/build.ninja:
	@tools/deps build
	@meson setup build/tsan --buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false >/dev/null

demo: all
	@tools/deps demo
	@tools/demo

test: all build/asan/build.ninja
	@tools/deps test
	@tools/run-tests

quick: build/asan/build.ninja
	@$(NINJA) -C build/asan
	@meson test -C build/asan --no-rebuild --print-errorlogs --suite tidy --suite unit

asan: build/asan/build.ninja
	@$(NINJA) -C build/asan
	@tools/sanitized build/asan

tsan: build/tsan/build.ninja
	@$(NINJA) -C build/tsan
	@tools/sanitized build/tsan

fuzz:
	@tools/deps fuzz
	@CC=clang-14 meson setup build/fuzz --buildtype=debugoptimized -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false >/dev/null 2>&1 || true
	@tools/fuzz build/fuzz

# 10,000 graphs and more that work, damaged, run under ASan and UBSan: node tests of onnx, then graphs as random_graphs.py draws them.
fuzz-graphs: build/asan/build.ninja
	@tools/deps test
	@$(NINJA) -C build/asan tests/conformance/onnx_cases tests/golden/run_cases
	@ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:intercept_tls_get_addr=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 tests/conformance/run_onnx build/asan/tests/conformance/onnx_cases . build/onnx_cases --spoil 5 --after 3
	@ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:intercept_tls_get_addr=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 SLIPWAY_BUILD=build/asan .venv/bin/python tests/golden/random_graphs.py --graphs 500 --seed 3000000 --spoil 4

random-graphs: all
	@tools/deps test
	@$(NINJA) -C build tests/golden/run_cases
	@.venv/bin/python tests/golden/random_graphs.py --graphs 5000 --seed 1000000 --coverage

# Clients written in Go and C++ (grpcurl, ghz, h2spec, perf_analyzer), fetched into build/peers, against the real binary.
wire: all
	@tools/deps wire
	@.venv/bin/python -m pytest -q tests/clients/test_tools.py

soak: all
	@tools/deps bench
	@.venv/bin/python tests/soak/soak.py

soak-language: all
	@tools/deps test
	@.venv/bin/python tests/soak/soak_language.py --seconds $(or $(SECONDS),1800)

zoo: all
	@tools/deps test
	@$(NINJA) -C build tests/golden/run_model
	@.venv/bin/python tests/golden/zoo.py

# 50 answers of 200 tokens of two real models as F32, beside llama.cpp: the same tokens.
greedy: all
	@tools/deps test
	@$(NINJA) -C build tests/golden/run_language
	@.venv/bin/python tests/golden/exact_greedy.py

bench: bench-graph bench-serve

bench-graph: all
	@tools/deps test
	@.venv/bin/python tests/bench/bench_graph.py
	@.venv/bin/python tests/bench/bench_trees.py
	@.venv/bin/python tests/bench/bench_nbits.py
	@.venv/bin/python tests/bench/bench_passes.py

bench-llm: all
	@tools/deps bench
	@.venv/bin/python -m pip install -q llama-cpp-python
	@.venv/bin/python tests/bench/bench_language.py

bench-serve: all
	@tools/deps bench
	@.venv/bin/python tests/bench/bench_serve.py

install: all
	@$(NINJA) -C build slipway.1
	@DESTDIR="$(DESTDIR)" meson install -C build --no-rebuild

tidy:
	@tools/tidy --format

format:
	@git ls-files 'src/*.[ch]' 'tests/*.[ch]' | grep -v '/list\.h$$' | xargs clang-format-14 -i

clean:
	@rm -rf build
