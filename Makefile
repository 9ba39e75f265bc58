# Every command sets up what it needs. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

export CGO_ENABLED = 0
export GOTOOLCHAIN = local
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Tools live in modules of their own, so that their dependencies stay out of ours.
TOOL := go tool -modfile=tools/go.mod
FUZZTIME ?= 10s
FUZZJOBS ?= 1

.PHONY: help
help: ## list the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: ui
ui: ## build the console's pages into ui/dist; without Node.js say so and go on
	@ui/build

.PHONY: build
build: ui ## build bin/plimsoll: static, no cgo, with the console's pages
	@mkdir -p bin
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/plimsoll ./cmd/plimsoll

.PHONY: run
run: build ## console and agent for this host on loopback; sample images when no engine holds any
	./bin/plimsoll up

.PHONY: test
test: unit e2e ## everything: unit tests, then the end-to-end tests on real engines

.PHONY: unit
unit: ## tests that need no root, engine or network
	go vet ./...
	go test -shuffle=on ./...

.PHONY: e2e
e2e: build ## tests on real engines and a real kernel; installs what is missing where it can
	@e2e/setup
	@echo "end-to-end tests; the whole log is in bin/e2e.log"
	@set -o pipefail; export PLIMSOLL_BIN=$(CURDIR)/bin/plimsoll; \
	{ go test -v -tags e2e -count=1 -timeout 60m -run 'OnPostgreSQL$$' ./store ./server && \
	  go test -v -tags e2e -count=1 -timeout 60m -p 1 ./version ./layerfs ./engine/... ./vulndb ./match ./ui ./agent ./e2e/...; } 2>&1 \
	  | tee bin/e2e.log | grep --line-buffered -E '^(ok|FAIL|--- [A-Z]+: )|NOT TESTED|UNSTEADY' \
	  || { grep -v -E '^=== ' bin/e2e.log; echo; echo "what failed:"; e2e/failed bin/e2e.log || grep -A 40 '^panic: ' bin/e2e.log; exit 1; }

KILLS ?= 200
POWERCUTS ?= 20
OUTAGE ?= 10m
.PHONY: soak
soak: build ## the long proofs: KILLS (200) of agent and console, POWERCUTS (20) of their disks, a network cut for OUTAGE (10m), an upgrade from PREVIOUS (a plimsoll of the last release)
	@e2e/setup
	@set -o pipefail; PLIMSOLL_BIN=$(CURDIR)/bin/plimsoll PLIMSOLL_KILLS=$(KILLS) PLIMSOLL_POWERCUTS=$(POWERCUTS) PLIMSOLL_OUTAGE=$(OUTAGE) PLIMSOLL_PREVIOUS=$(abspath $(PREVIOUS)) \
	  go test -v -tags e2e -count=1 -timeout 3h -run '^(TestSYS03SYS06FleetKills|TestSYS03FleetPowerCuts|TestSYS01FleetPartition|TestUpgradeFromThePreviousRelease)$$' ./e2e 2>&1 \
	  | tee bin/soak.log | grep --line-buffered -E '^(ok|FAIL|--- [A-Z]+: )|NOT TESTED|_test.go:' \
	  || { echo "the whole log is in bin/soak.log" >&2; exit 1; }

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, govulncheck; types, eslint, tests and licences of the pages
	@test -z "$$(gofmt -l .)" || { gofmt -l . ; echo "not gofmt-ed" >&2; exit 1; }
	go vet ./... && go vet -tags e2e ./...
	$(TOOL) staticcheck -tags e2e ./...
	@ui/build check
	@$(TOOL) govulncheck ./... || { code=$$?; \
	  if [ $$code -eq 3 ]; then exit 3; fi; \
	  echo "SKIPPED: govulncheck could not reach its database" >&2; }

# What is measured must not depend on who runs it: ROUNDS=1 only tries the benchmark.
MEASURE = PLIMSOLL_BIN=$(CURDIR)/bin/plimsoll PLIMSOLL_ROUNDS=$(ROUNDS) go test -tags e2e -run '^$$' -benchtime 1x -timeout 60m ./e2e -bench
.PHONY: bench
bench: build ## measure one host: images of the lab, against baselines and budgets; writes docs/performance.md
	@e2e/setup
	$(MEASURE) '^BenchmarkOneHost$$'

.PHONY: bench-check
bench-check: build ## measure two images again and compare ratios with those on record
	@e2e/setup
	$(MEASURE) '^BenchmarkCheck$$'

.PHONY: growth
growth: build ## measure with ever more files, layers, packages, images and advisories; writes docs/performance.md, docs/growth.svg
	$(MEASURE) '^BenchmarkGrowth$$'
	cd tools/plot && go run . ../../e2e/testdata/growth.json ../../docs/growth.svg

.PHONY: parts
parts: ## the micro-benchmarks of the parts that a scan is made of
	go test -run '^$$' -bench . -benchtime 1s ./version ./layerfs ./inventory/... ./vulndb/... ./match

.PHONY: loadgen
loadgen: build ## what a fleet that does not exist costs: HOSTS (1000), PER_HOST (50) and IMAGES (5 for each host); with POSTGRES=1 also for several CONSOLES
	PLIMSOLL_BIN=$(CURDIR)/bin/plimsoll PLIMSOLL_LOAD_HOSTS=$(HOSTS) PLIMSOLL_LOAD_PER_HOST=$(PER_HOST) PLIMSOLL_LOAD_IMAGES=$(IMAGES) PLIMSOLL_LOAD_CONSOLES=$(CONSOLES) PLIMSOLL_LOAD_POSTGRES=$(POSTGRES) \
	go test -run '^$$' -bench '^BenchmarkFleet$$' -benchtime 1x -timeout 120m ./e2e/loadgen

.PHONY: lists
lists: build ## measure each list and a re-evaluation with 10,000 hosts and 50,000 images in the store; writes docs/fleet-lists.md
	PLIMSOLL_BIN=$(CURDIR)/bin/plimsoll go test -run '^$$' -bench '^BenchmarkFleet$$' -benchtime 1x -timeout 120m ./store

.PHONY: bigfleet
bigfleet: build ## fill DIR as a console with 6,000 images and two million findings, and measure what its pages ask for
	@test -n "$(DIR)" || { echo "give DIR=directory" >&2; exit 2; }
	PLIMSOLL_BIN=$(CURDIR)/bin/plimsoll PLIMSOLL_BIGFLEET=$(abspath $(DIR)) go test -run '^$$' -bench '^BenchmarkPages$$' -benchtime 1x -timeout 120m ./e2e/loadgen

.PHONY: screenshots
screenshots: ui ## pictures of the user guide, of the console at PLIMSOLL_URL with PLIMSOLL_LOGIN=NAME:PASSWORD
	cd ui && npx --no-install playwright test --project screens

.PHONY: pagetimes
pagetimes: ui ## how soon each page can be used, of the console at PLIMSOLL_URL with PLIMSOLL_LOGIN=NAME:PASSWORD
	cd ui && npx --no-install playwright test --project times --reporter line

.PHONY: docs
docs: ## write docs/acceptance.md, docs/coverage.md and docs/promises.md: what is covered and promised, and which test proves it
	@go test -count=1 -run '^Test(Acceptance|Coverage|Promises)' . -update >/dev/null || go test -count=1 -run '^Test(Acceptance|Coverage|Promises)' .

.PHONY: accuracy
accuracy: build ## precision and recall: labelled cases, a second computation, patched and seeded images; docs/accuracy.md
	@e2e/setup
	@set -o pipefail; { go test -v -count=1 -run '^TestADV16' ./match -update && \
	  PLIMSOLL_BIN=$(CURDIR)/bin/plimsoll go test -v -tags e2e -count=1 -timeout 40m -p 1 -run '^(TestAccuracy|TestLabels.*|TestADV16.*Images)$$' ./match ./e2e; } 2>&1 \
	  | tee bin/accuracy.log | grep -E --line-buffered '^ +\||AGREEMENT|PATCHED|SEEDED|missed:|found wrongly:|^(ok|FAIL|--- [A-Z]+: )|fell from|NOT TESTED' \
	  || { echo "the whole log is in bin/accuracy.log" >&2; exit 1; }

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s) each, FUZZJOBS (1) of them side by side
	@set -o pipefail; go test -list '^Fuzz' ./... \
	  | awk '/^Fuzz/ {targets[++n] = $$1} /^ok/ {for (i = 1; i <= n; i++) print $$2, targets[i]; n = 0}' \
	  | xargs -P $(FUZZJOBS) -L 1 e2e/fuzz $(FUZZTIME)

.PHONY: release
release: ## bin/release: archives for amd64 and arm64, what software is in them, sums; signed with PLIMSOLL_RELEASE_KEY
	@rm -rf bin/release && packaging/release bin/release
	@for program in bin/release/*/plimsoll; do echo "govulncheck $$program"; \
	  $(TOOL) govulncheck -mode binary $$program || { code=$$?; \
	    if [ $$code -eq 3 ]; then exit 3; fi; \
	    echo "SKIPPED: govulncheck could not reach its database" >&2; }; \
	done

.PHONY: release-check
release-check: ## the same release built twice, in different places and with different settings, compared byte by byte
	PLIMSOLL_RELEASE_ARCHS='amd64 arm64' go test -v -tags e2e -count=1 -timeout 60m -run '^TestReleaseIsReproducible$$' ./e2e

.PHONY: clean
clean: ## remove what was built
	rm -rf bin ui/dist/www
