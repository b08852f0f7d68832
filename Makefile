# The two commands of a newcomer are `make demo` and `make test`.
# Everything here is plain Go; the scripts are short enough to read.

.DEFAULT_GOAL := help
GO := go

# Arguments for the demo: make demo ARGS="--patients 3000 --no-serve"
ARGS :=

# Only what exists is named, so that a room may be taken out.
here = $(patsubst %,./%/...,$(wildcard $(1)))

# What the FIPS sentence covers: these must run with approved algorithms alone,
# in the module that a release carries. Mail, scans and backups are outside it.
FIPS_MODULE := v1.26.0
FIPS := $(call here,ground/seal ground/ledger rooms/vault rooms/identity)

# The race detector slows the embedded SQLite 17 times: only packages in which
# goroutines meet, and only their short tests.
RACE := $(call here,ground rooms/vault rooms/identity)

PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: build ## a made-up practice, attacked before your eyes, then served on localhost
	bin/quietroom demo $(ARGS)

.PHONY: build
build: ## bin/quietroom, for this machine
	@echo "Building. The first time takes a minute or two." >&2
	$(GO) build -o bin/quietroom ./cmd/quietroom

.PHONY: test
test: deps ## every test, with real engines and a real browser
	$(GO) test -shuffle=on -timeout 30m ./...
	GOFIPS140=$(FIPS_MODULE) $(GO) test -exec "env GODEBUG=fips140=only" -short $(FIPS)

.PHONY: deps
deps: ## the engines that the tests need (Debian, as root; elsewhere says what is missing)
	@scripts/deps

.PHONY: check
check: ## format, vet, staticcheck, the walls, the words, Windows and macOS compile
	@bad=$$(gofmt -l .); if [ -n "$$bad" ]; then echo "gofmt would change:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	$(GO) test -count=1 .
	@for os in windows darwin; do echo "$(GO) build for $$os"; GOOS=$$os CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/... || exit 1; done

.PHONY: race
race: ## the race detector, over a named list
	$(GO) test -race -short -timeout 30m $(RACE)

.PHONY: fuzz
fuzz: ## every fuzzer for FUZZTIME (20s)
	@scripts/fuzz

.PHONY: bench
bench: deps ## the numbers of docs/benchmarks.md
	$(GO) test -run='^$$' -bench=. -benchmem -timeout 2h ./...

.PHONY: soak
soak: deps ## hours: 200 crashes, 2 GiB files, long campaigns
	QUIETROOM_SOAK=1 $(GO) test -count=1 -timeout 12h ./...

.PHONY: release
release: ## dist/: six platforms, the frozen FIPS module, SHA-256 sums
	@GOFIPS140=$(FIPS_MODULE) CGO_ENABLED=0 scripts/release $(PLATFORMS)

.PHONY: clean
clean: ## remove what make made
	rm -rf bin dist
