/* Hostile bytes as a frame of draco.proto: nothing is read outside them, the payload lies inside, and what
   decodes encodes to a frame that decodes to the same. */
#define DRACO_IMPLEMENTATION
#define DRACO_GRPC_IMPLEMENTATION
#define DRACO_GRPC_STATIC
#include "transports/draco_grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    draco_grpc_frame f, again;
    uint8_t out[DRACO_GRPC_HEADER];
    /* Only the head is handed over, as the transport does, in memory of just that size. */
    const size_t head = size < DRACO_GRPC_HEADER ? size : DRACO_GRPC_HEADER;
    uint8_t *copy = (uint8_t *)malloc(head ? head : 1);
    if (head) memcpy(copy, data, head);
    const draco_status status = draco_grpc_frame_decode(&f, copy, size);
    free(copy);
    if (status != DRACO_OK) return 0;
    if (f.payload_at > size || f.payload_bytes > size - f.payload_at) abort();
    const size_t n = draco_grpc_frame_encode(&f, out);
    if (n > sizeof out || draco_grpc_frame_decode(&again, out, n + f.payload_bytes) != DRACO_OK) abort();
    f.payload_at = again.payload_at = 0;
    if (memcmp(&f, &again, sizeof f)) abort();

    /* The same bytes spread over slices of a byte buffer, as they come from the network. */
    grpc_slice slices[3];
    const size_t cut = size / 3;
    for (size_t i = 0; i < 3; i++)
        slices[i] = grpc_slice_from_copied_buffer((const char *)data + i * cut, i < 2 ? cut : size - 2 * cut);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(slices, 3);
    if (drg_open(buffer, &again) != DRACO_OK) abort();
    uint8_t *payload = (uint8_t *)malloc(again.payload_bytes + 1);
    drg_copy(buffer, again.payload_at, payload, again.payload_bytes);
    if (again.payload_bytes && memcmp(payload, data + again.payload_at, again.payload_bytes)) abort();
    free(payload);
    grpc_byte_buffer_destroy(buffer);
    for (size_t i = 0; i < 3; i++) grpc_slice_unref(slices[i]);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
static size_t frame_seed(uint64_t i, uint8_t *data, size_t room) {
    draco_grpc_frame f;
    memset(&f, 0, sizeof f);
    f.kind = (uint32_t)(i % 7);
    f.worker = (uint32_t)(i * 37 % 4096);
    f.version = DRACO_GRPC_WIRE;
    f.request = (uint32_t)(i % 8);
    f.round = i * i;
    f.offset = i << 20;
    f.total = f.offset + i;
    f.code = i * 0x9e3779b97f4a7c15u;
    f.step = i / 3;
    f.params = i % 2 ? i : 0;
    f.reply = i % 3;
    f.order = i % 5 ? 0 : i;
    f.payload_bytes = i % 300;
    const size_t n = draco_grpc_frame_encode(&f, data);
    if (n + f.payload_bytes > room) return n;
    memset(data + n, (int)i, f.payload_bytes);
    return n + f.payload_bytes;
}
#define DRACO_FUZZ_SEED frame_seed
#include "fuzz_main.h"
#endif
