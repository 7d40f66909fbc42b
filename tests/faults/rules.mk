# What the tests of the wall clock preload. It is loaded before any sanitizer, and so has none.
$(B)/clock.so: tests/faults/clock.c
	@mkdir -p $(@D)
	$(filter-out -fsanitize=% -fno-sanitize-%,$(COMPILE)) -fPIC -shared -o $@ $< $(LDFLAGS)

test-binaries: $(B)/clock.so
