# make dev    a server on a PostgreSQL of its own: http://127.0.0.1:8080
# make test   the tests
# make chaos  a storm of faults, and a verdict

CARGO ?= cargo
CARGO_FLAGS ?= --locked
TARGET = $(or $(CARGO_TARGET_DIR),target)

.PHONY: dev test schemathesis fuzz fuzz-long bench compare-programs bench-compare bench-report reliability chaos chaos-ci chaos-long setup lint check-deploy

## Start Giro on a private PostgreSQL whose data stays in .giro/
dev: setup
	$(CARGO) run --release $(CARGO_FLAGS) -p giro-server -- dev

## Hold a server to its description, then run all tests beside one private PostgreSQL
test: setup
	$(CARGO) build $(CARGO_FLAGS) --workspace --all-targets
	scripts/schemathesis
	deploy/check.sh
	$(CARGO) run --quiet $(CARGO_FLAGS) -p giro-tests --bin with-postgres -- scripts/run-tests

## Hold a server to its own description, by generated requests
schemathesis: setup
	scripts/schemathesis

## Feed what reads bytes from outside with generated input, 10^6 times each
fuzz: setup
	scripts/fuzz

## The same 10^8 times each, from what was found before
fuzz-long: setup
	scripts/fuzz --runs 100000000 --keep

## Load the server that make dev started
bench:
	$(CARGO) run --release $(CARGO_FLAGS) -p giro-server -- bench

compare-programs: setup
	$(CARGO) build --release $(CARGO_FLAGS) -p giro-tests --bin giro-compare
	$(CARGO) build --release $(CARGO_FLAGS) -p giro-server

## Giro beside TPC-B, row locks, arrays and the floor on one PostgreSQL, for hours; ARGS="--dry-run" says how long
bench-compare: compare-programs
	$(TARGET)/release/giro-compare run $(ARGS)

## All tables and pictures of the comparison, with few accounts and growing ledgers; ARGS are those of bench-compare
bench-report: compare-programs
	scripts/bench-report $(TARGET)/release/giro-compare $(ARGS)

## Measure the figures of docs/reliability.md; ARGS="overload --json FILE" for some of them
reliability: setup
	$(CARGO) build --release $(CARGO_FLAGS) -p giro-tests --bin reliability
	$(CARGO) build --release $(CARGO_FLAGS) -p giro-server
	$(TARGET)/release/reliability $(ARGS)

## Let faults happen to a fresh cluster under load, and check every promise; ARGS="--faults cuts --for 2m --rate 800"
chaos: setup
	$(CARGO) build --release $(CARGO_FLAGS) -p giro-tests --bin giro-chaos
	$(CARGO) build --release $(CARGO_FLAGS) -p giro-server
	$(TARGET)/release/giro-chaos run $(ARGS)

## The same at the size of CI, some minutes: 40 crashes and cuts
chaos-ci: setup
	$(CARGO) build $(CARGO_FLAGS) --workspace --all-targets
	$(TARGET)/debug/giro-chaos run --size ci --out target/chaos/ci $(ARGS)

## The run of a release, hours: 1,000 crashes and cuts, 10,000,000 transfers; stop it, and it goes on where it was
chaos-long: setup
	$(CARGO) build --release $(CARGO_FLAGS) -p giro-tests --bin giro-chaos
	$(CARGO) build --release $(CARGO_FLAGS) -p giro-server
	$(TARGET)/release/giro-chaos long $(ARGS)

## Install what is missing, or say what to install
setup:
	scripts/setup

## Formatting and lints, as CI has them
lint:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(CARGO_FLAGS) --workspace --no-deps --quiet

## The deployment files, and the alerts by promtool
check-deploy:
	deploy/check.sh
