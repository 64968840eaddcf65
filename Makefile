# Every target works on a machine that has Go, Node and the package registries.

GO      ?= go
NPM     ?= npm
BIN     := bin/belfry
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
UI_SRC  := $(shell find ui/app -type f -not -path '*/node_modules/*' -not -path '*/e2e/*' 2>/dev/null)

.PHONY: help demo run build release profile ui plugin plugin-test plugin-browser plugin-host test race lint fuzz bench generate clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## a small shop under load, with alerts that fire and a person who is paged
	@./$(BIN) demo

run: build ## the server on its default ports, data in ./belfry-data
	./$(BIN) serve

build: ui ## bin/belfry, with the web app in it
	@echo "building $(BIN) (the first build of a machine compiles all dependencies: several minutes)"
	@mkdir -p bin
	@$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/belfry

release: ui ## bin/belfry as it is shipped: what the profile says is hot is compiled for speed
	@mkdir -p bin
	@$(GO) build -pgo $(PROFILE) -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/belfry

PROFILE := cmd/belfry/release.pgo
profile: build ## the profile of `make release`, taken anew under all loads
	@rm -rf bin/profiles && mkdir -p bin/profiles/push
	@./$(BIN) bench all --cpu-profiles bin/profiles
	@./$(BIN) bench metrics --protocol remote-write --cpu-profiles bin/profiles/push
	@$(GO) tool pprof -proto bin/profiles/*.pprof bin/profiles/push/*.pprof > $(PROFILE)

ui: ui/dist/index.html ## the web app

ui/dist/index.html: $(UI_SRC)
	@echo "building the web app"
	@cd ui/app && $(NPM) ci --no-audit --no-fund --loglevel=error && $(NPM) run --silent build

test: ui ## everything that can fail, against real processes
	$(GO) vet ./...
	$(GO) test ./...
	cd ui/app && $(NPM) test --silent
	./test/browser/run
	$(MAKE) --no-print-directory plugin-test plugin-browser

PLUGIN           := ui/grafana
PLUGIN_PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
PLUGIN_MODULES   := $(PLUGIN)/node_modules/.package-lock.json

$(PLUGIN_MODULES): $(PLUGIN)/package-lock.json
	@cd $(PLUGIN) && $(NPM) ci --no-audit --no-fund --ignore-scripts --loglevel=error

plugin: $(PLUGIN_MODULES) ## ui/grafana/dist: the Grafana plugin for Linux, macOS and Windows
	@cd $(PLUGIN) && $(NPM) run --silent build && GO=$(GO) build/backend.sh $(PLUGIN_PLATFORMS)

plugin-host: $(PLUGIN_MODULES)
	@cd $(PLUGIN) && $(NPM) run --silent build && GO=$(GO) build/backend.sh $$($(GO) env GOOS)/$$($(GO) env GOARCH)

plugin-test: $(PLUGIN_MODULES) ## the plugin's tests, against a real Belfry
	cd $(PLUGIN) && $(GO) vet ./pkg/... ./browser/... && $(GO) test ./pkg/...
	cd $(PLUGIN) && $(NPM) run --silent lint && $(NPM) test --silent

plugin-browser: plugin-host ## the built plugin in a real browser
	cd $(PLUGIN) && ./browser/run

race: ## the Go tests under the race detector
	$(GO) test -race -short ./...

lint: ## golangci-lint, at the version that the tree is held to
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.6.2 run ./...
	cd ui/app && $(NPM) run --silent lint

FUZZTIME ?= 20s
fuzz: ## every fuzz target for FUZZTIME
	@$(GO) list ./... | while read -r pkg; do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg 2>/dev/null | grep '^Fuzz'); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

bench: build ## load and query all three stores of a fresh process, print the costs
	./$(BIN) bench all

generate: ## the gRPC messages and services, from their .proto files (needs protoc and its Go plugins)
	for proto in traces/api/internal/*/*.proto; do \
	  protoc --go_out=. --go_opt=module=belfry --go-grpc_out=. --go-grpc_opt=module=belfry $$proto; \
	done

clean: ## remove what make made
	rm -rf bin ui/app/node_modules $(PLUGIN)/node_modules $(PLUGIN)/dist $(PLUGIN)/browser/out
	find ui/dist -mindepth 1 -not -name .gitkeep -delete
