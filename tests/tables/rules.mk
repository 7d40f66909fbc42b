# What the server's tables of routes and events say, as JSON, for the tests of web/openapi.json and
# web/asyncapi.json.
$(B)/tables: $(B)/tests/tables/print.o $(LIB)
	$(LINK) -o $@ $^ $(PKG_LIBS)

test-binaries: $(B)/tables
