# make run      build, start the demo, print its address
# make test     everything: Go, TypeScript, a real browser; installs what it needs
# make check    gofmt, vet, staticcheck, tsc
# make generate write generated files again: pages and the browser's bundle
# make bench    measure this machine and the product on it
# make pictures take the README's screenshots of a demo

GO      ?= go
NPM     ?= npm
TOOL     = $(GO) tool -modfile=.ci/tools.mod

# Amazon's SDK for JavaScript, which drives the Kinesis API in a test.
KINESIS_JS = stream/kinesis/testdata/js

export CGO_ENABLED = 1

.PHONY: run build test test-go test-race test-web test-browser check generate bench pictures setup clean

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

bench: build
	for what in ingest live load replay kinesis; do ./freshet bench $$what || exit 1; done

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
