# Every command anyone needs. Recipes only call cargo and the scripts that stand beside this file.

CARGO ?= cargo
TARGET ?= server_session
SECONDS ?= 120
SEEDS ?= 20
# Properties try the same cases each time: what fails, fails again, and no commit fails for the
# one before it. New cases: `make search`.
export PROPTEST_RNG_SEED ?= 5321

.PHONY: help map demo check test bless sim search fuzz fuzz-smoke bench siege siege-short release deb servers

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

map: ## each module with its lines and what it uses
	$(CARGO) run --quiet --locked -p tidy

demo: ## a forged flood at an accept-all server, without and with Postern
	$(CARGO) run --release --locked -- demo

check: ## format, lints, style, and all tests of mail and relay: dialogues and simulation, too
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --locked -p mail -p relay -p dialogue -p tidy

test: servers ## everything: lints, units, properties, dialogues, simulation, fuzz smoke, real servers
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --workspace --locked
	$(CARGO) test --locked -p tools --no-default-features --test features
	$(MAKE) fuzz-smoke
	$(MAKE) siege-short

siege-short: ## the siege in short: that no good mail is lost
	SECONDS=3 $(CARGO) bench --locked --profile dev -p tools --bench siege

servers: ## what the end-to-end tests need, on Debian; elsewhere says what is missing
	scripts/install-test-servers

bless: ## rewrite what dialogues, bad configurations and the manual expect; read the diff
	BLESS=1 $(CARGO) test --workspace --locked

sim: ## the simulation: SEED=7 replays one run, SEEDS=100000 makes many
	$(CARGO) test --release --locked -p relay --test simulation -- --nocapture

search: ## the properties on SEEDS new seeds; PROPTEST_RNG_SEED=N replays one
	scripts/search-properties $(SEEDS)

fuzz: ## cargo fuzz on one TARGET for SECONDS (needs a nightly toolchain and cargo-fuzz)
	mkdir -p fuzz/found/$(TARGET)
	cargo +nightly fuzz run --features libfuzzer $(TARGET) fuzz/found/$(TARGET) \
		fuzz/corpus/$(TARGET) -- -max_total_time=$(SECONDS) -rss_limit_mb=512 -timeout=5 -max_len=4096

fuzz-smoke: ## the fuzz targets on their corpora and seeded mutations, on stable Rust
	$(CARGO) test --locked --manifest-path fuzz/Cargo.toml

bench: ## micro-benchmarks; beside the peers: bench/run
	$(CARGO) bench --locked -p relay -p directory -p tools

siege: ## attacks beside good mail: what each costs; SECONDS=5 for short phases
	$(CARGO) bench --locked --profile dist -p tools --bench siege

release: ## the binary that serves mail
	$(CARGO) build --profile dist --locked

deb: release ## a package for Debian (needs cargo-deb: cargo install --locked cargo-deb)
	target/dist/postern man --directory target/package/man
	mkdir -p target/package/completions
	target/dist/postern completions bash >target/package/completions/postern
	target/dist/postern completions zsh >target/package/completions/_postern
	target/dist/postern completions fish >target/package/completions/postern.fish
	$(CARGO) deb -p tools --no-build --profile dist
