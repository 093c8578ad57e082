# `make` alone prints the targets. Every variable can be given on the command line: make run LISTEN=0.0.0.0:8000

# What is built and run: release or debug.
CONFIGURATION ?= release
# Directory of built executables. Given on the command line, nothing is built.
BIN ?= .build/$(CONFIGURATION)
# Where the processes listen, what they read and where the demo data is.
LISTEN ?= 127.0.0.1:8080
ADMIN ?= 127.0.0.1:9090
TOOLS_PORT ?= 8001
TOOLS_ADMIN ?= 127.0.0.1:9091
CONFIG ?= gateway.json
DATABASE ?= .build/demo/chat.sqlite
# For a part of the tests: make test FILTER=EndToEnd
FILTER ?=
# For the fuzzer: seconds for each entry, and which.
SECONDS_EACH ?= 3600
ENTRIES ?=

export BIN LISTEN ADMIN TOOLS_PORT TOOLS_ADMIN CONFIG DATABASE

SOURCES = Sources Tests Benchmarks/Sources Benchmarks/Microbenchmarks Package.swift Benchmarks/Package.swift
SCRIPTS = $(shell grep -lsE '^\#!(/usr/bin/env bash|/bin/sh|/bin/bash)' .ci/* deploy/build deploy/local/* deploy/debian/* Tests/Lint/* Tests/*/run Benchmarks/run Benchmarks/*/run)

.PHONY: help run dev deb tarball test fuzz faults history soak sanitize format lint sbom
.DEFAULT_GOAL := help

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22 $(if $(wildcard Benchmarks/Package.swift),,| grep -v 'make bench')

# Installs what is missing, builds, seeds demo data, starts both processes, prints the page's URL and a line to try.
run: ## Build and run both processes on demo data; Ctrl-C stops them
ifeq ($(origin BIN),file)
	@deploy/local/packages build
	@deploy/local/build $(CONFIGURATION)
endif
	@deploy/local/run

# Debug build; a change of the sources or of gateway.json rebuilds and restarts.
dev: ## The same, rebuilt and restarted on every change
	@deploy/local/packages build
	@deploy/local/dev

# One build. Four tests at a time: hundreds at once keep two cores from answering any of them in time. The end-to-end
# tests come after the others, not beside them, for they start processes of their own. Last come the commands of the
# documents, the official SDKs, what deploy/ ships, restarts under load and a real browser, from virtual environments under
# .build.
test: export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH = 4
test: ## Install what the tests need and run all of them
	@deploy/local/packages test
	swift build --build-tests
ifneq ($(FILTER),)
	swift test --skip-build --disable-xctest --filter $(FILTER)
else
	swift test --skip-build --disable-xctest --skip EndToEndTests
	swift test --skip-build --disable-xctest --filter EndToEndTests
	BIN=.build/debug Tests/Documents/run
	Tests/Interop/run
	BIN=.build/debug Tests/Deployment/run
	Tests/Operations/run
	Tests/Reliability/run
	BIN=.build/debug Tests/Packages/run
	BIN=.build/debug Tests/Browser/run
endif

# The nested package measures the release build against its peers.
ifneq ($(wildcard Benchmarks/Package.swift),)
.PHONY: bench
bench: ## Build release, run the side-by-side benchmark, print a table
	@deploy/local/packages bench
	deploy/build --product gateway
	deploy/build --product Microbenchmarks
	swift build -c release --package-path Benchmarks
	Benchmarks/run

.PHONY: bench-peers
bench-peers: ## Measure MCP gateways beside one another, print a table
	@deploy/local/packages bench
	deploy/build --product gateway
	swift build -c release --package-path Benchmarks --product FixedUpstream
	Benchmarks/peers/run

# A few minutes; Benchmarks/endpoints/run --soak 1000000 for the memory over a million calls.
.PHONY: bench-endpoints
bench-endpoints: ## Measure MCP endpoints beside the chat API, the page and FastMCP's proxy, print tables
	@deploy/local/packages bench
	deploy/build --product gateway
	swift build -c release --package-path Benchmarks --product FixedUpstream
	Benchmarks/endpoints/run
endif

# An hour for each entry: make fuzz SECONDS_EACH=60 ENTRIES="json sse" for less.
fuzz: ## Fuzz the parsers with libFuzzer and the address sanitizer
	@deploy/local/packages build
	SECONDS_EACH=$(SECONDS_EACH) Tests/Fuzz/run $(ENTRIES)

# About five minutes a round: make faults FAULT_ROUNDS=1 for less. What fails prints how to repeat it.
FAULT_ROUNDS ?= 3
FAULT_SEED ?= $(shell date +%s)
faults: ## Cut, delay and garble every line between the parts, in every phase
	@deploy/local/packages test
	swift build --build-tests
	FAULT_SHARE=1 FAULT_ROUNDS=$(FAULT_ROUNDS) FAULT_SEED=$(FAULT_SEED) Tests/Reliability/run -k test_faults

HISTORY_CALLS ?= 100000
HISTORY_SEED ?= $(shell date +%s)
history: ## Call a tool that writes a hundred thousand times under faults and restarts, account for every call
	@deploy/local/packages test
	swift build --build-tests
	HISTORY_CALLS=$(HISTORY_CALLS) HISTORY_SEED=$(HISTORY_SEED) Tests/Reliability/run -k test_history -s

SOAK_SECONDS ?= 3600
soak: ## An hour of mixed traffic with restarts and reloads; fails where memory, descriptors or tables grow
	@deploy/local/packages test
	swift build --build-tests
	Tests/Reliability/run soak $(SOAK_SECONDS)

# Two builds of their own, under .build-sanitize: make sanitize SANITIZERS=thread for one.
SANITIZERS ?= thread address
sanitize: ## Run the unit tests under the thread and the address sanitizer
	@deploy/local/packages test
	FILTER=$(FILTER) Tests/Sanitizers/run $(SANITIZERS)

# The executables that were built last.
sbom: ## Print the software bill of materials (CycloneDX) of the built executables
	@deploy/local/sbom $(BIN)

# Debian packages and a tarball, in .build/packages; see deploy/debian/pack for its settings.
deb: ## Build release, make the Debian packages
ifeq ($(origin BIN),file)
	@deploy/local/packages deb
	@deploy/local/build release
endif
	@deploy/debian/pack deb

tarball: ## Build release, make a tarball that runs from any directory
ifeq ($(origin BIN),file)
	@deploy/local/packages deb
	@deploy/local/build release
endif
	@deploy/debian/pack tarball

format: ## Format the Swift sources in place
	swift format --in-place --parallel --recursive $(SOURCES)

# shellcheck is used where it is installed; bash itself checks the syntax everywhere.
lint: ## Check formatting, layout and scripts, change nothing
	Tests/Lint/layout
	Tests/Lint/comments
	Tests/Lint/traps
	Tests/Lint/test
	swift format lint --strict --parallel --recursive $(SOURCES)
	@for script in $(SCRIPTS); do bash -n $$script || exit 1; done
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); fi
