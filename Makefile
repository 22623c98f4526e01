# Needs Go, git and make. Go fetches everything else, except Chromium for `make e2e`.
# With a C compiler, the tests run with the race detector.

BINARY := chattonic_exporter

# Outside a git checkout, or to override git:
#   make build VERSION=1.2.3 REVISION=… BRANCH=… SOURCE_DATE_EPOCH=…
ifneq ($(wildcard .git),)
VERSION           ?= $(patsubst v%,%,$(shell git describe --tags --always --dirty 2>/dev/null))
REVISION          ?= $(shell git rev-parse HEAD 2>/dev/null)
BRANCH            ?= $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
endif
# GNU date reads seconds as -d @0, BSD date as -r 0.
BUILD_DATE ?= $(if $(SOURCE_DATE_EPOCH),$(shell \
	date -u -d @$(SOURCE_DATE_EPOCH) +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || \
	date -u -r $(SOURCE_DATE_EPOCH) +%Y-%m-%dT%H:%M:%SZ))
# Neither a person nor a host, so that a commit gives the same bytes everywhere.
BUILD_USER ?= make

orUnknown = $(if $(strip $(1)),$(strip $(1)),unknown)

VERSION_PACKAGE := github.com/prometheus/common/version
LDFLAGS = -s -w \
	-X $(VERSION_PACKAGE).Version=$(call orUnknown,$(VERSION)) \
	-X $(VERSION_PACKAGE).Revision=$(call orUnknown,$(REVISION)) \
	-X $(VERSION_PACKAGE).Branch=$(call orUnknown,$(BRANCH)) \
	-X $(VERSION_PACKAGE).BuildUser=$(call orUnknown,$(BUILD_USER)) \
	-X $(VERSION_PACKAGE).BuildDate=$(call orUnknown,$(BUILD_DATE))

# Packages to test, bench and fuzz, and more flags for `go test`.
PACKAGES  ?= ./...
TESTFLAGS ?=
# Which benchmarks, and how often each.
BENCH ?= .
COUNT ?= 1
# Duration of each load test; from 10s on with 200 scrapers.
LOAD ?= 30s
# Teams, operators per team and windows per team that `make bench-scale` measures;
# comma-separated lists mean every combination. Then the duration, with one scrape
# per team and minute, and the exporter's GOMEMLIMIT, or off.
SCALE_TEAMS     ?= 1000
SCALE_OPERATORS ?= 20
SCALE_WINDOWS   ?= 1
SCALE_TIME      ?= 60s
SCALE_MEMORY    ?= off
# How long each fuzz target runs: a number of times, as a duration sometimes ends
# in the fuzzer's own "context deadline exceeded".
FUZZTIME ?= 10000x
# Minimum coverage of each package below main, in percent.
COVER_MIN ?= 90
# More flags for the exporter, such as --web.listen-address=127.0.0.1:10042.
DEMO_FLAGS ?=
DOCKER     ?= docker
# The browser for `make e2e`, if it is not in the PATH by a usual name.
CHROMIUM_BIN ?=
export CHROMIUM_BIN
IMAGE      ?= chattonic-exporter

CHART := deploy/helm/chattonic-exporter

LINT_MODULE := internal/tools/lint
LINT        := bin/golangci-lint
# Known vulnerabilities, as a module.
VULNDB_VERSION := v0.0.0-20261105234957-e22db6528018
HELM_MODULE := internal/tools/helm
HELM        := bin/helm
RELEASE_MODULE := internal/tools/release
NFPM           := bin/nfpm
VICTORIA_MODULE := internal/tools/victoriametrics
VICTORIA        := bin/victoria-metrics
# It pins promtool, Alertmanager and amtool, too, which come with Prometheus.
E2E_MODULE := deploy/e2e
PROMETHEUS := bin/prometheus

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: build ## Run the exporter on a simulated Chat-Tonic: http://localhost:10042
	./$(BINARY) --demo $(DEMO_FLAGS)

.PHONY: test
test: ## Run the tests, with the race detector where a C compiler is at hand
	@race=-race; \
	go build -race runtime/cgo 2>/dev/null || \
		{ race=; echo "Without cgo and a working C compiler the tests run without the race detector."; }; \
	set -x; go test $$race -shuffle=on -coverprofile=coverage.out $(TESTFLAGS) $(PACKAGES)
	$(if $(filter ./...,$(PACKAGES)),cd dashboards && go test -shuffle=on ./...)

.PHONY: lint
lint: $(LINT) ## Check format, go.mod, vet, the rules of .golangci.yml and known vulnerabilities
	@unformatted=$$(gofmt -l .) && test -z "$$unformatted" || \
		{ echo "gofmt would change these files, run make fmt:"; echo "$$unformatted"; exit 1; }
	go mod tidy -diff
	go vet ./...
	$(LINT) run
	cd dashboards && go vet ./... && ../$(LINT) run --config ../.golangci.yml
	cd $(E2E_MODULE) && export CGO_ENABLED=0 && go vet ./... && ../../$(LINT) run --config ../../.golangci.yml
	internal/tools/lint/vulncheck $(VULNDB_VERSION)

# Builds the tools of a separate module, whose dependencies are not those of the
# exporter. Tools and tests use the same flags, so that shared packages are compiled
# once. The tag builds Prometheus without the service discovery of clouds.
buildTools = @echo "Compiling the tools of $(1), which takes some minutes, once."; set -x; CGO_ENABLED=0 go build -C $(1) -tags=remove_all_sd -ldflags='-s -w' -o $(CURDIR)/bin/ tool && touch $@

$(LINT): $(LINT_MODULE)/go.mod $(LINT_MODULE)/go.sum
	$(call buildTools,$(LINT_MODULE))

$(HELM): $(HELM_MODULE)/go.mod $(HELM_MODULE)/go.sum
	$(call buildTools,$(HELM_MODULE))

$(NFPM): $(RELEASE_MODULE)/go.mod $(RELEASE_MODULE)/go.sum
	$(call buildTools,$(RELEASE_MODULE))

$(VICTORIA): $(VICTORIA_MODULE)/go.mod $(VICTORIA_MODULE)/go.sum
	$(call buildTools,$(VICTORIA_MODULE))

$(PROMETHEUS): $(E2E_MODULE)/go.mod $(E2E_MODULE)/go.sum
	$(call buildTools,$(E2E_MODULE))

# The browser for the tests of the pages. Root on Debian installs one; others get
# an error that says what to do.
.PHONY: browser
browser:
	@test -z "$$CHROMIUM_BIN" || exit 0; \
	for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v $$name >/dev/null && exit 0; \
	done; \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; then exit 0; fi; \
	echo "There is no Chromium to look at the pages with: install it, on Debian by apt-get install chromium, or run make e2e CHROMIUM_BIN=/path/of/one." >&2; exit 1

.PHONY: e2e
e2e: build $(PROMETHEUS) $(HELM) $(VICTORIA) browser ## Test what is in deploy/ with the real Prometheus and Alertmanager, and the pages with Chromium
	cd $(E2E_MODULE) && CGO_ENABLED=0 go test -count=1 -timeout 10m $(TESTFLAGS) ./...

.PHONY: screenshots
screenshots: browser ## Make the pictures of the pages in the README again
	cd $(E2E_MODULE) && SCREENSHOTS=1 CGO_ENABLED=0 go test -count=1 -run '^TestScreenshots$$' .

.PHONY: stack
stack: build $(PROMETHEUS) ## Run simulator, exporter, Prometheus and Alertmanager from the files in deploy/
	CGO_ENABLED=0 go build -C $(E2E_MODULE) -o $(CURDIR)/bin/ ./cmd/stack
	cd $(E2E_MODULE) && exec ../../bin/stack

.PHONY: dashboards
dashboards: ## Make the JSON of the Grafana dashboards from their code
	cd dashboards && go run .
	$(MAKE) chart-files

# Copies, because links do not survive Flux, which takes a chart from a Git repository.
.PHONY: chart-files
chart-files: ## Copy rules and dashboards into the Helm chart
	rm -rf $(CHART)/files && mkdir -p $(CHART)/files/dashboards
	cp -R deploy/prometheus/rules deploy/prometheus/optional $(CHART)/files/
	cp dashboards/*.json $(CHART)/files/dashboards/

.PHONY: schema
schema: ## Make the JSON Schema of the configuration file from its types, also in the Helm chart
	go test -count=1 -run '^TestSchemaFiles$$' ./internal/config -update

.PHONY: demo-history
demo-history: build $(PROMETHEUS) ## Run the demo with a past week in Prometheus, without containers; takes some minutes (DAYS=7)
	DAYS=$(or $(DAYS),7) deploy/demo-history

.PHONY: fmt
fmt: $(LINT) ## Format the code
	$(LINT) fmt

# Without cgo it is static, and without the checkout's state it is reproducible.
.PHONY: build
build: ## Build ./chattonic_exporter, static and reproducible
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='$(LDFLAGS)' -o $(BINARY) .

.PHONY: load
load: ## Scrape 200 times at once, also while teams come and go (LOAD=30s each)
	go test -count=1 -v -run '^TestLoad' $(TESTFLAGS) ./internal/serve -load $(LOAD)

.PHONY: bench
bench: ## Run the benchmarks (BENCH=name, COUNT=times)
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(TESTFLAGS) $(PACKAGES)

.PHONY: bench-scale
bench-scale: build ## Measure the exporter with many teams (SCALE_TEAMS=1000, SCALE_OPERATORS=20, …)
	go test -count=1 -timeout 0 -v -run '^TestScale$$' $(TESTFLAGS) ./internal/serve -scale $(CURDIR)/$(BINARY) -scale.teams $(SCALE_TEAMS) \
		-scale.operators $(SCALE_OPERATORS) -scale.windows $(SCALE_WINDOWS) -scale.time $(SCALE_TIME) -scale.memory $(SCALE_MEMORY)

.PHONY: fuzz
fuzz: ## Run each fuzz target some times (FUZZTIME=10000x, or 1m)
	@list=$$(go test -list '^Fuzz' $(PACKAGES)) || { echo "$$list"; exit 1; }; \
	echo "$$list" | awk '/^Fuzz/ { name[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, name[i]; n = 0 }' | \
	while read -r package name; do \
		echo "$$name of $$package"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$package" || exit 1; \
	done

coverage.out:
	$(MAKE) test

.PHONY: cover
cover: coverage.out ## Show the coverage of each package in the last make test, at least COVER_MIN per cent
	@awk -v min=$(COVER_MIN) ' \
		/\.go:/ { file = $$1; sub(/\/[^\/]*$$/, "", file); total[file] += $$2; if ($$3 > 0) covered[file] += $$2 } \
		END { \
			for (package in total) { \
				if (package !~ /\//) continue; \
				percent = 100 * covered[package] / total[package]; low = percent < min; failed += low; measured++; \
				printf "%6.1f %%  %s%s\n", percent, package, (low ? "  is below " min " %" : "") \
			} \
			if (!measured) print "no package was measured"; exit failed || !measured \
		}' coverage.out

# The image is built from what is on disk, but without .git: see .dockerignore.
.PHONY: docker
docker: ## Build the container image (IMAGE=name)
	$(DOCKER) build \
		--build-arg VERSION=$(call orUnknown,$(VERSION)) \
		--build-arg REVISION=$(call orUnknown,$(REVISION)) \
		--build-arg BRANCH=$(call orUnknown,$(BRANCH)) \
		--build-arg BUILD_DATE=$(call orUnknown,$(BUILD_DATE)) \
		-t $(IMAGE):$(call orUnknown,$(VERSION)) -t $(IMAGE):latest .

# Without a tag the version is 0.0.0 with the commit: packages need a number first.
RELEASE   = $(if $(shell echo "$(VERSION)" | grep -E "^[0-9]+[.][0-9]+[.][0-9]+"),$(VERSION),0.0.0-git$(VERSION))
PLATFORMS ?= linux-amd64 linux-arm64 linux-armv7 linux-s390x darwin-amd64 darwin-arm64 windows-amd64

.PHONY: release
release: $(NFPM) ## Make archives, .deb, .rpm, SBOM and checksums in dist/ (PLATFORMS="linux-amd64 …")
	RELEASE='$(RELEASE)' LDFLAGS='$(LDFLAGS)' SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) deploy/packages/release $(PLATFORMS)

.PHONY: try-deb
try-deb: ## Install, scrape and remove the .deb of this machine's platform in dist/ under systemd-nspawn; as root
	deploy/packages/try-deb dist/*_$(shell go env GOARCH).deb

.PHONY: ci
ci: ## Run what the continuous integration runs
	bash .ci/run

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf bin dist $(BINARY) coverage.out
