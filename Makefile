# What people type. `make` alone lists the targets; each sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help demo test soak fuzz lint fmt bench schema messages bootstrap

CARGO ?= cargo
# `make demo ONCE=1` tells the story once and ends; without it the demo stays up until Ctrl-C.
ONCE ?=
# `make demo CRASH=1` kills the server in the middle of a step.
CRASH ?=
# How often `make soak` kills the server, and for how long at most; `SOAK_SEED=N` repeats one.
SOAK_KILLS ?= 200
SOAK_SECONDS ?= 1200
# How long `make fuzz` tries each target.
FUZZ_SECONDS ?= 20

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: bootstrap ## Show a brief's whole way on a simulated GitHub (ONCE=1 ends after the story, CRASH=1 kills the server)
	$(CARGO) build --locked --bin codex-brief
	$(CARGO) run --locked --example demo -- $(if $(filter-out 0 no,$(ONCE)),--once) $(if $(filter-out 0 no,$(CRASH)),--crash)

test: ## Run every test
	@deploy/bootstrap.sh test
	$(CARGO) test --locked --workspace

soak: bootstrap ## Kill the server again and again by chance, and see that nothing is lost or repeated
	SOAK_KILLS=$(SOAK_KILLS) SOAK_SECONDS=$(SOAK_SECONDS) SOAK_SEED=$(SOAK_SEED) \
		$(CARGO) test --locked --test stories crash::soak -- --nocapture

fuzz: bootstrap ## Try each parser with inputs grown by coverage, FUZZ_SECONDS each
	FUZZ_SECONDS=$(FUZZ_SECONDS) fuzz/run.sh

lint: ## Check format, clippy, docs, shell scripts, licences and bans
	@deploy/bootstrap.sh lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps --quiet
	bash -n deploy/bootstrap.sh .ci/run fuzz/run.sh
	@if command -v shellcheck >/dev/null; then shellcheck deploy/bootstrap.sh .ci/run fuzz/run.sh; \
	else echo 'lint: shellcheck is not installed, so the scripts were parsed and not looked into'; fi
	$(CARGO) deny --locked --workspace check -A duplicate --hide-inclusion-graph licenses bans sources

fmt: ## Format the code
	$(CARGO) fmt --all

bench: bootstrap ## Measure and print the table that benches/README.md explains
	$(CARGO) bench --locked --bench main

schema: ## Write docs/brief.schema.json anew
	$(CARGO) run --locked --quiet -- schema > docs/brief.schema.json.new
	mv docs/brief.schema.json.new docs/brief.schema.json

messages: ## Write docs/messages.md anew, of the tables in src/messages
	$(CARGO) run --locked --quiet -- explain --markdown > docs/messages.md.new
	mv docs/messages.md.new docs/messages.md

bootstrap:
	@deploy/bootstrap.sh
