# Every command that a developer of antiphon runs. `./test` and with it CI run these same
# recipes. `scripts/tools` installs `just` and everything else that is named here; `./test`
# runs it first.

# Each line of a recipe is run with the variables of `scripts/environment`.
set shell := ["bash", "-euo", "pipefail", "-c", 'source scripts/environment; eval "$0"']

# Names of recipes.
_:
    @just --list --unsorted

# Compiles without building: the inner loop.
check *arguments:
    cargo check --locked --all-targets {{ arguments }}

# Formats the code.
fmt:
    cargo fmt

# Tests of everything but the C++ worker; arguments as for `cargo nextest run`.
test *arguments:
    cargo nextest run --locked {{ arguments }}

# Every lint.
lint: formatting spelling dependencies advisories clippy clippy-native

# Is the code formatted?
formatting:
    cargo fmt --check

# Is everything spelt right?
spelling:
    typos

# Licences, banned and doubled crates, sources: `deny.toml`.
dependencies:
    cargo deny --locked --log-level error check --hide-inclusion-graph bans licenses sources

# Known vulnerabilities; skipped when their database cannot be had.
advisories:
    scripts/advisories

# Lints of everything but the C++ worker.
clippy:
    cargo clippy --locked --all-targets -- -D warnings

# Lints of the C++ worker's crate, in its own target folder.
clippy-native:
    cargo clippy --locked --release -p antiphon-llama --all-targets --target-dir "$ANTIPHON_NATIVE_TARGET_DIR" -- -D warnings

# The same for the worker of diffusion models.
clippy-diffusion:
    cargo clippy --locked --release -p antiphon-diffusion --all-targets --target-dir "$ANTIPHON_NATIVE_TARGET_DIR" -- -D warnings

# Builds the server and its worker for tests.
build:
    scripts/build test

# Installs the small model that tests run on.
model: build
    "$ANTIPHON_TEST_BIN_DIR/antiphon" models pull smollm2-135m-instruct

# The suites of the sandbox and what stands on it, as an ordinary user; skipped where root is nobody's to give up.
as-user *arguments:
    scripts/as-user {{ arguments }}

# Tests of the C++ worker, on the small model.
native *arguments: model
    ANTIPHON_TEST_MODEL=$("$ANTIPHON_TEST_BIN_DIR/antiphon" models list | sed -n 's/^smollm2-135m-instruct\tinstalled\t[^\t]*\t//p') \
        cargo nextest run --locked --cargo-profile release -p antiphon-llama --target-dir "$ANTIPHON_NATIVE_TARGET_DIR" {{ arguments }}

# Tests of the worker for pictures by diffusion, by itself and behind the server, on weights of their own.
diffusion *arguments: build
    cargo nextest run --locked --cargo-profile release -p antiphon-diffusion --target-dir "$ANTIPHON_NATIVE_TARGET_DIR" {{ arguments }}

# Tests of what measures: judges and cases of the evaluation, and what looks like a service.
harness:
    python3 -m unittest discover --start-directory conformance/lookalike
    python3 -m unittest discover --start-directory evals

# How well a model calls functions, fills schemas and cites; arguments as for `evals/run`.
evals *arguments:
    evals/run {{ arguments }}

# The real SDKs against the real server; arguments as for `conformance/run`.
conformance *arguments: model
    conformance/run {{ arguments }}

# What is perceived in real documents, sounds and pictures, with the networks of the catalogue; arguments as for `conformance/media/run`.
perception *arguments: build
    conformance/media/run {{ arguments }}

# The SDKs against a server that has only upstreams; `chat`, `anthropic`, `interactions`, or a service that is not there (`fallback`), is asked first.
peers kind: model
    ANTIPHON_CONFORMANCE_UPSTREAM={{ kind }} conformance/run python

# Sets up and serves; arguments as for `antiphon serve`.
serve *arguments:
    ./start {{ arguments }}

# Measures a release build; arguments as for `bench/run`.
bench *arguments:
    bench/run {{ arguments }}

# Everything that CI runs.
ci:
    .ci/run
