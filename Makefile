# StreamGate's tasks. `make help` lists them.
# Settings, with their defaults: see localstack/README.md (ports, cache directory).

export STREAMGATE_CACHE ?= $(CURDIR)/.cache
export CARGO_TARGET_DIR ?= $(STREAMGATE_CACHE)/target
# Named always: cargo keeps what is built for a named target apart, and cargo-lambda names it.
export CARGO_BUILD_TARGET ?= x86_64-unknown-linux-gnu
export FFMPEG_DIRECTORY ?= $(STREAMGATE_CACHE)/bin
export CHECK VIDEO
STACK ?= streamgate
PYTHON_IN = $(STREAMGATE_CACHE)/venv/bin/python
TOOLS = @localstack/tools.sh
# Looks through the logs of its stack, so each has it.
SECRETS = flow/test_logs.py::test_no_secret_is_in_any_log

.DEFAULT_GOAL := help
.PHONY: help tools demo down test lint unit stack-test proof bench build redrive clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

tools: ## install what is needed, pinned, into the cache directory
	$(TOOLS) browser

demo: ## the whole stack and the main job before your eyes; VIDEO=film.mp4, CHECK=1 to only check
	$(TOOLS)
	@$(PYTHON_IN) localstack/demo.py

down: ## stop everything that the demo started, also after a crash
	$(TOOLS)
	@$(PYTHON_IN) localstack/stack.py down

test: lint unit stack-test ## every test: format, lints, template, rules, and the deployed stack

lint: ## rustfmt, clippy, sam validate, the edge function's language
	$(TOOLS) browser
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(STREAMGATE_CACHE)/venv/bin/sam validate --lint
	@STREAMGATE_CACHE=$(STREAMGATE_CACHE) node infra/edge/lint.mjs

unit: ## the rules, the adapters, the edge, the direction of dependencies
	$(TOOLS) browser
	cargo test --workspace --locked --quiet

stack-test: ## flows, faults and the browser, against the deployed stack with IAM enforced
	$(TOOLS) browser
	$(PYTHON_IN) tests/side_by_side.py "contract flow" "fault browser $(SECRETS)"

build: ## the deployable functions, as `sam build` makes them for AWS (release, cargo-lambda)
	$(TOOLS)
	PATH="$(STREAMGATE_CACHE)/venv/bin:$$PATH" sam build --beta-features

redrive: ## sends the dead letters of a deployed stack back to where they came from; STACK=streamgate
	@infra/redrive.sh "$(STACK)"

bench: ## release binaries against a minimal node and python; writes target/bench/results.json
	$(TOOLS)
	cargo build --release --workspace --bins --locked
	$(PYTHON_IN) tests/load/bench.py

proof: ## what takes long by nature: the demo from nothing, faults and browser three times, and the long tests
	$(TOOLS) browser
	$(PYTHON_IN) localstack/stack.py reset
	CHECK=1 $(PYTHON_IN) localstack/demo.py
	$(PYTHON_IN) localstack/stack.py down
	for run in 1 2 3; do $(PYTHON_IN) -m pytest -c tests/pytest.ini tests/fault tests/browser -q || exit 1; done
	$(PYTHON_IN) -m pytest -c tests/pytest.ini tests -m proof
	STREAMGATE_TRANSCODER=mediaconvert $(PYTHON_IN) -m pytest -c tests/pytest.ini tests/browser/test_players.py -m proof -k finished_film
	cargo test --locked --quiet -p adapter-ffmpeg --test inputs -- --ignored
	STREAMGATE_FUZZ_SECONDS=300 cargo test --locked --quiet -p domain --test fuzz -- --ignored
	cargo build --release -p load-media --locked
	$(PYTHON_IN) tests/load/media_rows.py --seconds 600

clean: ## forget the stack's state and what was built; keeps the tools
	-@$(PYTHON_IN) localstack/stack.py reset
	rm -rf $(STREAMGATE_CACHE)/build $(STREAMGATE_CACHE)/build.stamp $(CARGO_TARGET_DIR) .aws-sam
