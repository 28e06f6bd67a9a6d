# make run      build, start the demo, print its address
# make test     everything: Go, TypeScript, a real browser; installs what it needs
# make check    gofmt, vet, staticcheck, tsc
# make generate write generated files again: pages and the browser's bundle
# make bench    measure this machine and the product on it, see docs/benchmarks.md
# make soak     20 minutes at half of what this machine takes; SOAK="--duration 60s" for a try
# make pictures take the README's screenshots of a demo

GO      ?= go
NPM     ?= npm
TOOL     = $(GO) tool -modfile=.ci/tools.mod

# Amazon's SDK for JavaScript, which drives the Kinesis API in a test.
KINESIS_JS = stream/kinesis/testdata/js

export CGO_ENABLED = 1

.PHONY: run build test test-go test-race test-web test-browser check generate bench soak pictures setup clean

run: build
	./freshet demo

build:
	$(GO) build -o freshet ./cmd/freshet

test: setup test-go test-race test-web test-browser

# -vet=off: make check vets everything once.
test-go: $(KINESIS_JS)/node_modules/.installed
	FRESHET_REQUIRE_JS=1 $(GO) test -vet=off -timeout 4m ./...

# Again under the race detector: what is concurrent and does not need DuckDB.
RACE = ./stream/... ./ingest/... ./aggregate/... ./dashboard/... ./web/... ./cmd/freshet/shop
test-race:
	$(GO) test -vet=off -race -short -timeout 4m $(RACE)

test-web: web/node_modules/.installed
	$(NPM) --prefix web run check
	$(NPM) --prefix web test

test-browser: build web/node_modules/.installed
	.ci/browser-tests

check: web/node_modules/.installed
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt these:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(NPM) --prefix web run check

generate: web/node_modules/.installed
	$(NPM) --prefix web run build
	$(TOOL) templ generate -path web

BENCH = ./freshet bench
bench: build
	$(BENCH) ingest
	$(BENCH) ingest --codec batch
	$(BENCH) ingest --codec batch --series 1000000 --duration 20s
	$(BENCH) live
	$(BENCH) live --viewers 1000 --panels 50 --updates 4 --background 0,100000
	$(BENCH) live --viewers 10000 --panels 6 --each 6 --updates 4 --background 0
	$(BENCH) query
	$(BENCH) load
	$(BENCH) replay
	$(BENCH) kinesis
	$(BENCH) growth

soak: build
	$(BENCH) soak $(SOAK)

pictures: build web/node_modules/.installed
	.ci/pictures

setup:
	.ci/setup

$(KINESIS_JS)/node_modules/.installed: $(KINESIS_JS)/package-lock.json
	$(NPM) ci --prefix $(KINESIS_JS) --no-audit --no-fund
	touch $@

web/node_modules/.installed: web/package-lock.json
	$(NPM) ci --prefix web --no-audit --no-fund
	touch $@

clean:
	rm -rf freshet web/node_modules $(KINESIS_JS)/node_modules .cache
