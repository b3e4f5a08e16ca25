# Bare `make` prints the targets. Go and make are enough; with a C compiler the tests also look for races.

.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

# What `make run` produces, how fast (events a second, 0 is flat out), whether it stays up, and whether it shows every lane.
EVENTS ?= 20000
RATE ?= 0
KEEP ?=
LANES ?=
# Lists for `make bench` take commas: LANES=1,8,32 CODEC=none,lz4 TLS=both LATENCY=0,100 (milliseconds).
lower = $(shell echo $(1) | tr A-Z a-z)
# Time for each fuzz target.
FUZZTIME ?= 10s
# What the names of images begin with, and their processor as Go names it; empty: this machine's.
IMAGE ?= waybill
ARCH ?=

VERSION ?= $(shell git describe --tags --always --dirty=+changes 2>/dev/null || echo development)
GO_VERSION := $(shell go env GOVERSION)
# Goroutines begin with 2 KiB of stack, and not with what the average one uses: those of idle lanes need no more, and a
# stack of 4 does not shrink to 2. See docs/adr/0020.
LDFLAGS := -s -w -X github.com/waybill-data/waybill/pkg/version.number=$(VERSION) -X main.version=$(VERSION) -X runtime.godebugDefault=adaptivestackstart=0
# Where the services spend their time, for the compiler: `make profile` makes it anew. See docs/adr/0038.
PROFILE := services/services.pgo
PROGRAMS := ./sandbox/cmd/sandbox ./services/writer/cmd/writer ./services/ingest/cmd/ingest ./e2e/cmd/run ./e2e/cmd/bench ./e2e/cmd/chaos ./e2e/cmd/examples ./e2e/cmd/fleet ./e2e/cmd/hostile ./e2e/cmd/containers ./e2e/cmd/upgrade ./e2e/cmd/scrape
# The workspace, one pattern a module: golangci-lint knows no `work`.
MODULES = $(shell go list -m -f '{{.Dir}}')
PACKAGES = $(addsuffix /...,$(MODULES))

.PHONY: help
help: ## Print the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##### Build and run

.PHONY: build
build: ## Build all programs into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -pgo=$(PROFILE) -ldflags '$(LDFLAGS)' -o bin/ $(PROGRAMS)

.PHONY: run
run: build ## The main job on the sandbox: produce, kill the writer once, verify. EVENTS=20000 RATE=0 KEEP=1 LANES=1
	@bin/run --events=$(EVENTS) --rate=$(RATE) $(if $(filter-out 0 no false,$(KEEP)),--keep) $(if $(filter-out 0 no false,$(LANES)),--lanes)

.PHONY: bench
bench: build ## What a million rows cost, beside the floor; bench.json. WORKLOAD= LANES= CODEC= TLS= LATENCY= RUNS= ROWS= LOADS= MATRIX=full
	@bin/bench run $(foreach flag,WORKLOAD LANES CODEC TLS LATENCY RUNS ROWS LOADS MATRIX,$(if $($(flag)),--$(call lower,$(flag))=$($(flag))))

.PHONY: profile
profile: build ## Where the services spend their time, for the next build's compiler, from every workload; some five minutes
	@bin/bench run --no-floor --live=0 --lanes=8 --runs=5 --out=bench.json --profile=$(PROFILE)

DURATION ?= 5m
SEED ?=
.PHONY: chaos
chaos: build ## Load while everything fails, then a look at every offset. DURATION=5m SEED=
	@bin/chaos --duration=$(DURATION) $(if $(SEED),--seed=$(SEED))

SHORT ?=
EXPERIMENT ?=
.PHONY: fleet
fleet: build ## Writers and ingests come, go, hang and are updated under load; how lanes follow, and a look at every offset. SHORT=1 LANES=500 EXPERIMENT=thesis
	@bin/fleet $(if $(filter-out 0 no false,$(SHORT)),--short) $(if $(filter-out 0 no false,$(LANES)),--lanes=$(LANES)) $(if $(EXPERIMENT),--experiment=$(EXPERIMENT))

REF ?=
.PHONY: test-upgrade
test-upgrade: build ## This version beside the last tag, or REF, both ways under load, and a look at every offset. REF=
	@tools/test-upgrade.sh $(REF)

EACH ?= 5s
SHARED ?=
.PHONY: hostile
hostile: build ## Clients that mean no good at a writer: its memory, and what other lanes notice. EACH=5s SHARED=1
	@bin/hostile --each=$(EACH) $(if $(filter-out 0 no false,$(SHARED)),--shared)

EXAMPLE ?=
.PHONY: examples
examples: build ## Run the folder examples and compare what comes out with what they say. EXAMPLE=delivery-v6
	@bin/examples $(EXAMPLE)

.PHONY: grpcurl
grpcurl: bin/grpcurl ## Build bin/grpcurl, to talk to the services by hand

##### Check

.PHONY: ci
ci: ## Everything that must pass, each step with its time
	@for step in buf-lint gen-check tidy-check build lint test test-memory "run EVENTS=5000" "fleet SHORT=1" test-kafka "mutants FAST=1" "fuzz FUZZTIME=5s"; do \
		echo "== make $$step"; start=$$(date +%s); \
		$(MAKE) $$step || { echo "== make $$step FAILED"; exit 1; }; \
		echo "== make $$step: $$(( $$(date +%s) - start )) s"; \
	done; echo "== all passed"

.PHONY: test
test: ## Test all modules, with the race detector where a C compiler works; pictures of pages and terminals go to bin/screens
	@tools/chromium.sh
	@race=$$(tools/race.sh); set -x; SCREENS=$(CURDIR)/bin/screens CGO_ENABLED=$${race:+1} go test $$race -timeout 60m work

.PHONY: test-memory
test-memory: ## What make test leaves out where it has the race detector: promised memory and time, commands of the pages
	CGO_ENABLED=0 go test -count 1 -run LessThanAMillisecond ./services/ingest/internal/placement
	CGO_ENABLED=0 go test -count 1 -run LessThanASecond ./pkg/statuspage
	CGO_ENABLED=0 go test -count 1 -run CostOf ./services/ingest/internal/decode
	cd e2e && CGO_ENABLED=0 go test -count 1 -timeout 20m -run 'Memory|IdleLanes|BenchCores|CommandsOfPages' .

UPDATE ?=
.PHONY: chart
chart: bin/helm bin/kubeconform ## Check the Helm chart: lint, render, compare, validate. UPDATE=1 keeps what it renders now
	@tools/chart.sh $(if $(filter-out 0 no false,$(UPDATE)),update)

.PHONY: test-alerts
test-alerts: build bin/promtool ## Check the alert rules, when each fires, and that every panel shows something of a run with faults
	bin/promtool check rules deploy/prometheus/rules.yaml
	bin/promtool check config --syntax-only deploy/compose/prometheus.yaml
	bin/promtool test rules deploy/prometheus/rules_test.yaml
	bin/scrape --into bin/scrapes
	cd tools/promtool && GOWORK=off CGO_ENABLED=0 go run ./panels --scrapes $(CURDIR)/bin/scrapes \
		--rules $(CURDIR)/deploy/prometheus/rules.yaml $(CURDIR)/deploy/grafana/*.json

.PHONY: test-kafka
test-kafka: ## Test against Apache Kafka itself: three brokers, fetched by Maven, run on Java 17
	tools/kafka.sh bin/kafka
	cd e2e/realkafka && KAFKA_JARS=$(CURDIR)/bin/kafka go test -tags realkafka -count 1 -parallel 2 -timeout 9m -v .

.PHONY: test-clients
test-clients: ## Test the sandbox with the clients of Python, Node and Java and Kafka's own tools, where their programs are; fetched the first time
	tools/clients.sh bin/clients
	cd sandbox && CLIENTS=$(CURDIR)/bin/clients go test -count 1 -timeout 9m -v ./clients

.PHONY: mutants
mutants: ## Remove one protection at a time and show that the tests notice. FAST=1: on the fake clock only; WALK=1: every condition
	@$(if $(filter-out 0 no false,$(FAST)$(WALK)),,$(MAKE) build)
	CGO_ENABLED=0 go build -trimpath -o bin/mutants ./e2e/cmd/mutants
	@bin/mutants $(if $(filter-out 0 no false,$(FAST)),--fast) $(if $(filter-out 0 no false,$(WALK)),--walk)

.PHONY: model
model: ## Explore a model of the lane protocol to its end: the law, and a counterexample for each protection taken away
	@CGO_ENABLED=0 go run ./e2e/cmd/model

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME (10s)
	@tools/fuzz.sh $(FUZZTIME)

.PHONY: lint
lint: bin/golangci-lint ## Lint all modules, layer rules included, and look for dead links in the pages
	bin/golangci-lint run --allow-parallel-runners $(PACKAGES)
	@tools/links.sh

.PHONY: fmt
fmt: bin/golangci-lint bin/buf ## Format Go and proto files
	bin/golangci-lint fmt $(PACKAGES)
	bin/buf format --write

.PHONY: tidy-check
tidy-check: ## Each module's go.mod and go.sum are tidy on their own
	@tools/each-module.sh 'go mod tidy -diff'

.PHONY: tidy
tidy: ## Tidy each module
	@tools/each-module.sh 'go mod tidy'

##### Contracts

PLUGINS := bin/protoc-gen-go bin/protoc-gen-go-grpc
# Comments are kept, for they become the descriptions of columns. The lane protocol and the admin API have none.
BUF_IMAGE = bin/buf build --exclude-imports --as-file-descriptor-set --exclude-path proto/lane --exclude-path proto/admin

.PHONY: gen
gen: bin/buf $(PLUGINS) ## Generate Go code and descriptors from the .proto files
	bin/buf generate
	$(BUF_IMAGE) -o proto/image/image.binpb

.PHONY: gen-check
gen-check: bin/buf $(PLUGINS) ## Generated code is that of the .proto files
	@tools/gen-check.sh '$(BUF_IMAGE)'

.PHONY: buf-lint
buf-lint: bin/buf ## Lint the .proto files; no change breaks those of main
	bin/buf lint
	bin/buf format --diff --exit-code
	@tools/breaking.sh

##### Images

CHECK ?=
.PHONY: images
images: bin/cyclonedx-gomod ## Build an image of each service, without an engine; an engine that runs gets them. IMAGE= ARCH= CHECK=1|cold
	@VERSION='$(VERSION)' IMAGE='$(IMAGE)' ARCH='$(ARCH)' CHECK='$(filter-out 0 no false,$(CHECK))' tools/images.sh

.PHONY: test-images
test-images: bin/cyclonedx-gomod ## Build the images twice, run compose with three writers, update those under load. Starts an engine if it may
	@tools/test-images.sh

##### Tools, each a module of its own, built once a version

# tool is the mark of a built tool: it changes with the tool's pins and with Go.
tool = bin/.tools/$(1)-$(firstword $(shell cat $(2)/go.mod $(2)/go.sum | cksum))-$(GO_VERSION)
# $(1): program, $(2): module folder, $(3): package
define build-tool
bin/$(1): $(call tool,$(1),$(2))
	@test -x $$@ || { rm $$<; $(MAKE) $$<; }
$(call tool,$(1),$(2)):
	@echo 'building $(1)$(if $(4), ($(4)))'
	@mkdir -p bin/.tools && rm -f bin/.tools/$(1)-[0-9]*
	@cd $(2) && GOWORK=off CGO_ENABLED=0 go build -trimpath -o $(CURDIR)/bin/$(1) $(3)
	@touch $$@
endef
$(eval $(call build-tool,buf,tools/buf,github.com/bufbuild/buf/cmd/buf))
$(eval $(call build-tool,cyclonedx-gomod,tools/cyclonedx-gomod,github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod))
$(eval $(call build-tool,docker-compose,tools/compose,github.com/docker/compose/v2/cmd,ten minutes the first time))
$(eval $(call build-tool,golangci-lint,tools/golangci-lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,a few minutes the first time))
$(eval $(call build-tool,grpcurl,tools/grpcurl,github.com/fullstorydev/grpcurl/cmd/grpcurl))
$(eval $(call build-tool,helm,tools/helm,helm.sh/helm/v3/cmd/helm,a minute or two the first time))
$(eval $(call build-tool,kubeconform,tools/kubeconform,github.com/yannh/kubeconform/cmd/kubeconform))
$(eval $(call build-tool,promtool,tools/promtool,github.com/prometheus/prometheus/cmd/promtool,a few minutes the first time))
$(eval $(call build-tool,protoc-gen-go,proto,google.golang.org/protobuf/cmd/protoc-gen-go))
$(eval $(call build-tool,protoc-gen-go-grpc,proto,google.golang.org/grpc/cmd/protoc-gen-go-grpc))

.PHONY: clean
clean: ## Remove what was built, and the sandbox's data
	rm -rf bin .waybill coverage bench.json memory.json cores.json
