# Confab's build. `make help` lists what there is.
.DEFAULT_GOAL := all
SHELL := /bin/bash
.DELETE_ON_ERROR:
comma := ,

CC ?= cc
# SANITIZE=address,undefined builds a checked variant beside the release one.
SANITIZE ?=
VARIANT := $(if $(SANITIZE),$(subst $(comma),-,$(SANITIZE)),release)
B := build/$(VARIANT)

PACKAGES := hiredis libevent_core libjwt jansson libsodium openssl libmagic
# Vendor headers as system headers: their warnings are not ours.
PKG_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null))
PKG_LIBS := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lwslay -lpthread

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wformat=2 -Wundef -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wcast-qual -Wvla -Wnull-dereference \
	-Wimplicit-fallthrough
WARN_GCC := -Wduplicated-cond -Wlogical-op
IS_CLANG := $(shell $(CC) --version 2>/dev/null | grep -qi clang && echo yes)

BASE := -std=c11 -D_GNU_SOURCE -I. $(PKG_CFLAGS) $(WARN) $(if $(IS_CLANG),,$(WARN_GCC)) \
	-fno-common -fvisibility=hidden -fstack-protector-strong -g -MMD -MP $(if $(WERROR),-Werror)
ifeq ($(SANITIZE),)
BASE += -O2 -D_FORTIFY_SOURCE=2
else
BASE += -O1 -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
SAN_LDFLAGS := -fsanitize=$(SANITIZE)
endif
COMPILE = $(CC) $(BASE) $(CFLAGS)
LINK = $(CC) $(SAN_LDFLAGS) $(LDFLAGS)

LIB_SOURCES := $(filter-out master/main.c,$(wildcard common/*.c worker/*.c worker/*/*.c master/*.c))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(B)/%.o)
LIB := $(B)/libconfab.a
# What the conformance server has of its own takes the place of the library's tables.
ECHO_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard tests/conformance/*.c))
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))

all: build/confab web ## build the server: build/confab, and its page

build/confab: $(B)/confab
	@ln -sf $(VARIANT)/confab $@

$(B)/confab: $(B)/master/main.o $(LIB) $(B)/functions.lua
	$(LINK) -o $@ $(B)/master/main.o $(LIB) $(PKG_LIBS)

conformance: $(B)/confab-conformance ## build the server for protocol test suites
$(B)/confab-conformance: $(B)/master/main.o $(ECHO_OBJECTS) $(LIB) $(B)/functions.lua
	$(LINK) -o $@ $(B)/master/main.o $(ECHO_OBJECTS) $(LIB) $(PKG_LIBS)

$(LIB): $(LIB_OBJECTS)
	@rm -f $@
	@ar rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

# One library of Redis functions, out of one file per noun.
$(B)/functions.lua: scripts/functions/assemble $(sort $(wildcard scripts/functions/*.lua))
	@mkdir -p $(@D)
	scripts/functions/assemble $(filter %.lua,$^) > $@

$(B)/unit/%: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $< $(SAN_LDFLAGS) $(LDFLAGS) $(LIB) $(PKG_LIBS) -lcmocka

unit-binaries: $(UNIT)

# The page; without npm there is none, and the next make tries again.
web: build/web/.built ## build the page and the other files that the server serves
build/web/.built: scripts/build-web $(shell find web -type f -not -path '*/node_modules/*' 2>/dev/null)
	@scripts/build-web $(@D)

run: ## install what is missing, build, and serve a chat
	@scripts/setup
	@$(MAKE) --no-print-directory -s all
	@exec build/confab $(ARGS)

# Tests run on the checked variant unless SANITIZE= is given empty.
TEST_SANITIZE := $(if $(filter command line environment,$(origin SANITIZE)),$(SANITIZE),address,undefined)

test: ## run all tests, under ASan and UBSan (SANITIZE= for the release build)
	@scripts/setup --test
	@$(MAKE) --no-print-directory -s SANITIZE=$(TEST_SANITIZE) test-binaries
	@SANITIZE=$(TEST_SANITIZE) scripts/test

test-binaries: $(B)/confab $(B)/confab-conformance $(UNIT) fuzz-replays web
	@ln -sf $(VARIANT)/confab build/confab

test-unit test-functions test-wire test-e2e test-faults test-fuzz: test-%: ## run one suite
	@scripts/setup --test
	@$(MAKE) --no-print-directory -s SANITIZE=$(TEST_SANITIZE) test-binaries
	@SANITIZE=$(TEST_SANITIZE) scripts/test $*

faults: ## run the faults at their whole size, checked and as released (three quarters of an hour)
	@scripts/setup --test
	@$(MAKE) --no-print-directory -s SANITIZE=address,undefined test-binaries
	@$(MAKE) --no-print-directory -s all build/release/tables build/release/clock.so
	@FULL=1 CONFAB_VARIANT=address-undefined scripts/test faults
	@FULL=1 CONFAB_VARIANT=release scripts/test faults

asan: ; @$(MAKE) SANITIZE=address,undefined ## build the checked variant
tsan: ; @$(MAKE) SANITIZE=thread ## build with the thread sanitizer

layers: ## check that includes point one way
	@scripts/check-layers

lint: ## compile with -Werror, check layers and columns, shellcheck, luacheck, cppcheck, clang-tidy
	@scripts/setup --dev
	@scripts/lint

format: ## format the lines of C that changed since the last commit
	@git clang-format --extensions c,h

sample: all ## write confab.conf anew from the table of directives
	@build/confab --print-conf > confab.conf

clean: ## remove what was built
	rm -rf build

help: ## this list
	@awk -F '## ' '/^[a-z][a-z -]*:.*## / { split($$1, t, ":"); printf "  make %-34s %s\n", t[1], $$2 }' $(MAKEFILE_LIST)

-include tests/bench/rules.mk
-include tests/fuzz/rules.mk
-include tests/tables/rules.mk
-include tests/faults/rules.mk
-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: all asan clean conformance faults format help layers lint run sample test test-binaries tsan unit-binaries web
