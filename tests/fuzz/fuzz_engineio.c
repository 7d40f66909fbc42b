/* Engine.IO payloads and packets: what was read can be written, and reads the same again. */
#include "tests/fuzz/fuzz.h"
#include "worker/engineio/codec.h"

/* Reads all packets of a payload and writes them to `out`; what eio_payload_next said last. */
static int copy(struct str payload, struct buf *out, size_t *packets)
{
	struct buf scratch = { 0 };
	struct eio_packet packet;
	bool first = true;
	int n;

	for (*packets = 0; (n = eio_payload_next(&payload, &first, &scratch, &packet)) == 1;
	     ++*packets) {
		CHECK((packet.type >= EIO_OPEN && packet.type <= EIO_NOOP) ||
		      packet.type == EIO_BINARY);
		CHECK(packet.type == EIO_BINARY || utf8_valid(packet.data));
		eio_payload_add(out, packet.type, packet.data);
	}
	CHECK(n == 0 || n == -1);
	CHECK(n == -1 || *packets > 0);
	buf_fini(&scratch);
	return n;
}

static void check_payload(struct str s)
{
	struct buf once = { 0 }, twice = { 0 };
	size_t packets, again;

	if (copy(s, &once, &packets) == 0) {
		CHECK(copy(buf_view(&once), &twice, &again) == 0);
		CHECK(packets == again && str_eq(buf_view(&once), buf_view(&twice)));
	}
	buf_fini(&once);
	buf_fini(&twice);
}

static void check_packet(struct str s)
{
	struct eio_packet packet;

	if (!eio_decode(s, &packet))
		return;
	CHECK(packet.type >= EIO_OPEN && packet.type <= EIO_NOOP);
	CHECK(packet.data.len == s.len - 1);
}

/* Any bytes at all can be sent as binary. */
static void check_binary(struct str s)
{
	struct buf payload = { 0 }, scratch = { 0 };
	struct eio_packet packet;
	bool first = true;

	eio_payload_add(&payload, EIO_BINARY, s);
	struct str rest = buf_view(&payload);
	CHECK(eio_payload_next(&rest, &first, &scratch, &packet) == 1);
	CHECK(packet.type == EIO_BINARY && str_eq(packet.data, s));
	CHECK(eio_payload_next(&rest, &first, &scratch, &packet) == 0);
	buf_fini(&payload);
	buf_fini(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct str s = fuzz_str(bytes, len);

	check_payload(s);
	check_packet(s);
	check_binary(s);
	return 0;
}
