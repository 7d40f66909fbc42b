# The benchmark: a load generator, a floor to compare with, and peers (docs/benchmarks.md).
BENCH_PROGRAMS := $(B)/bench/load $(B)/bench/floor

$(B)/bench/load: $(patsubst %,$(B)/tests/bench/%.o,load client wire latency)
$(B)/bench/floor: $(patsubst %,$(B)/tests/bench/%.o,floor wire)
$(BENCH_PROGRAMS):
	@mkdir -p $(@D)
	$(LINK) -o $@ $^

tests/bench/node_modules/.package-lock.json: tests/bench/package-lock.json
	@cd tests/bench && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

bench-programs: $(B)/confab $(BENCH_PROGRAMS) tests/bench/node_modules/.package-lock.json

# Always the release build.
bench: ## measure CPU per delivery beside floors and peers (ARGS=--help)
	@$(MAKE) --no-print-directory -s SANITIZE= bench-programs
	@CONFAB_VARIANT=release node tests/bench/bench.mjs $(ARGS)

bench-short: ## the same in a minute, to see that it works
	@$(MAKE) --no-print-directory -s bench ARGS='--short $(ARGS)'

.PHONY: bench bench-programs bench-short
