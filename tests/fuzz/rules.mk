# The fuzz targets: tests/fuzz/fuzz_NAME.c. With clang and libFuzzer they are build/fuzz/NAME; with the
# ordinary compiler and replay.c they run over their corpora as a test.
FUZZ_SECONDS ?= 60
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_REPLAYS := $(FUZZ_NAMES:%=$(B)/fuzz/%)
# Two stand on a worker's transport, whose clock they turn, with the conformance server's tables.
FUZZ_WIRED := ws session
FUZZ_HELPERS_json := $(B)/tests/fuzz/jansson.o
$(foreach name,$(FUZZ_WIRED),$(eval FUZZ_HELPERS_$(name) := $(B)/tests/fuzz/wire.o $(ECHO_OBJECTS)))
$(foreach name,$(FUZZ_WIRED),$(eval FUZZ_LDFLAGS_$(name) := -Wl,--wrap=clock_gettime))

.SECONDEXPANSION:
$(FUZZ_REPLAYS): $(B)/fuzz/%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $$(FUZZ_HELPERS_$$*) $(LIB)
	@mkdir -p $(@D)
	$(LINK) $(FUZZ_LDFLAGS_$*) -o $@ $^ $(PKG_LIBS)

fuzz-replays: $(FUZZ_REPLAYS)
.SECONDARY: $(FUZZ_NAMES:%=$(B)/tests/fuzz/fuzz_%.o)

# The whole library once more, so that the fuzzer sees all its branches.
FUZZER = $(MAKE) --no-print-directory -s CC=clang SANITIZE=fuzzer-no-link,address,undefined VARIANT=fuzz

fuzz: ## fuzz each decoder for FUZZ_SECONDS=60 (NAMES='json ws': only these)
	@scripts/setup --dev
	@$(FUZZER) fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run $(or $(NAMES),$(FUZZ_NAMES))

fuzz-merge: ## take what fuzzing found new into the corpora of tests/fuzz
	@scripts/setup --dev
	@$(FUZZER) fuzzers
	@tests/fuzz/run --merge $(or $(NAMES),$(FUZZ_NAMES))

FUZZERS := $(FUZZ_NAMES:%=build/fuzz/%)
fuzzers: $(FUZZERS)
$(FUZZERS): build/fuzz/%: $(B)/tests/fuzz/fuzz_%.o $$(FUZZ_HELPERS_$$*) $(LIB)
	$(LINK) -fsanitize=fuzzer $(FUZZ_LDFLAGS_$*) -o $@ $^ $(PKG_LIBS)

.PHONY: fuzz fuzz-merge fuzz-replays fuzzers
