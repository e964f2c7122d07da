# Every target works from a fresh clone with Go alone, except where its line says
# what else it wants. Linters and generators are pinned in tools/go.mod; the go
# command builds them once and keeps them in its cache.

GO       ?= go
PKG      ?= ./...
TOOL     := $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 10s
BENCH    ?= .
COUNT    ?= 1
SEEDS    ?= 300
SESSIONS ?= 10000

.DEFAULT_GOAL := help
.PHONY: help test race fuzz bench benchloss benchidle soak cover cross lint fmt generate checkgenerate tools ci

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## Run the tests (PKG=./wire/... for one package)
	$(GO) test $(PKG)

race: ## Run the tests with the race detector, as the README does (wants a C compiler)
	$(GO) test -race $(PKG)

fuzz: ## Run every fuzz target for FUZZTIME each, 10s unless told; a target without seeds fails
	GO="$(GO)" FUZZTIME="$(FUZZTIME)" .ci/fuzz

bench: ## Run the benchmarks (BENCH=regexp COUNT=6; compare two outputs with: go tool -modfile=tools/go.mod benchstat old new)
	$(GO) test -run='^$$' -bench='$(BENCH)' -benchmem -count=$(COUNT) $(PKG)

benchloss: ## Measure requests under packet loss against quic-go alone, in virtual time (some 5 minutes)
	LOSS=1 $(GO) test -count=1 -timeout=1h -run='^TestRequestsUnderLoss$$' -v ./socket

benchidle: ## Measure what SESSIONS=10000 idle sessions cost beyond quic-go alone (some 5 minutes, 3 GB; wants two descriptors for each)
	SESSIONS=$(SESSIONS) $(GO) test -count=1 -timeout=1h -run='^TestIdleSessions$$' -v ./socket

soak: ## Do everything at random to hosts, SEEDS=300 times unless told, and kill paths 1,000 times (some 30 minutes)
	SEEDS=$(SEEDS) KILLS=1000 $(GO) test -race -timeout=3h -v \
		-run='^Test(Chaos|Everything|PathKills|ConversationsOutlivePaths)$$' ./socket ./internal/e2e

cover: ## Measure test coverage across packages, into cover.out
	$(GO) test -coverprofile=cover.out -coverpkg=$(PKG) $(PKG)
	$(GO) tool cover -func=cover.out | tail -n 1

cross: ## Compile for the systems that this machine cannot test
	GOOS=darwin GOARCH=arm64 $(GO) build ./...
	GOOS=windows GOARCH=amd64 $(GO) build ./...

lint: ## Run every linter over Go and protobuf sources
	$(GO) vet ./...
	$(TOOL) golangci-lint run ./...
	$(TOOL) buf lint
	$(TOOL) buf format --diff --exit-code

fmt: ## Format Go and protobuf sources
	$(TOOL) golangci-lint fmt ./...
	$(TOOL) buf format --write

generate: ## Regenerate everything that is generated
	$(TOOL) buf generate
	$(GO) generate ./...

checkgenerate: ## Regenerate and fail on any difference (wants git)
	GO="$(GO)" MAKE="$(MAKE)" .ci/checkgenerate

tools: ## Build the pinned linters and generators into the cache
	$(TOOL) buf --version
	$(TOOL) golangci-lint version

ci: ## Run what continuous integration runs
	.ci/run
