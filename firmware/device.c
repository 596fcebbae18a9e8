/* The model on the device: its arena, the input buffer that survives inference, and the outputs as one run of bytes. */
#include "device.h"

#include <string.h>

#include "mcuml_config.h"
#include "model.h"
#include "port.h"
#include "stack.h"
#include "text.h"

static uint8_t arena[MODEL_ARENA_BYTES] __attribute__((aligned(MODEL_ARENA_ALIGN)));
static uint8_t buffer[MCUML_INPUT_BYTES];

#ifdef MODEL_PROFILE
static uint64_t layer_cycles[MODEL_LAYERS ? MODEL_LAYERS : 1], last_done;

/* A layer in a loop is done many times, one in a branch perhaps never. */
void model_layer_done(int index)
{
    layer_cycles[index] += port_cycles() - last_done;
    last_done = port_cycles(); /* what this function takes is no layer's */
}
#endif

void device_init(void)
{
    model_init(arena);
}

uint8_t *device_buffer(void)
{
    return buffer;
}

/* In-place kernels may overwrite the input where it lies in the arena, so it is written before every inference. */
static void load_inputs(void)
{
    const uint8_t *from = buffer;
    for (int i = 0; i < MODEL_INPUTS; i++) {
        uint32_t bytes = model_input_info[i].bytes;
        memcpy(model_input(arena, i), from, bytes);
        from += bytes;
    }
}

static uint32_t inferences;

uint32_t device_inferences(void)
{
    return inferences;
}

int device_infer(uint64_t *cycles)
{
    uint64_t before;
    int status;
    inferences++;
    model_init(arena); /* each inference of a measurement starts from the same state */
    load_inputs();
    before = port_cycles();
    status = model_invoke(arena);
    if (cycles) {
        *cycles = port_cycles() - before;
    }
    return status;
}

uint32_t device_output_bytes(void)
{
    uint32_t bytes = 0;
    for (int i = 0; i < MODEL_OUTPUTS; i++) {
        bytes += model_output_info[i].bytes;
    }
    return bytes;
}

uint8_t device_output_byte(uint32_t offset)
{
    int i = 0;
    while (i < MODEL_OUTPUTS - 1 && offset >= model_output_info[i].bytes) {
        offset -= model_output_info[i++].bytes;
    }
    return ((const uint8_t *)model_output(arena, i))[offset];
}

static int element_bytes(model_type type)
{
    switch (type) {
    case MODEL_INT8:
    case MODEL_UINT8:
    case MODEL_BOOL:
        return 1;
    case MODEL_INT16:
    case MODEL_UINT16:
        return 2;
    case MODEL_INT64:
    case MODEL_UINT64:
        return 8;
    default:
        return 4;
    }
}

static float element(const model_tensor *info, const uint8_t *at)
{
    float stored = 0;
    switch (info->type) {
    case MODEL_INT8:
        stored = (float)((int32_t) * (const int8_t *)at - info->zero_point);
        break;
    case MODEL_UINT8:
    case MODEL_BOOL:
        stored = (float)((int32_t)*at - info->zero_point);
        break;
    case MODEL_INT16: {
        int16_t v;
        memcpy(&v, at, sizeof v);
        stored = (float)((int32_t)v - info->zero_point);
        break;
    }
    case MODEL_UINT16: {
        uint16_t v;
        memcpy(&v, at, sizeof v);
        stored = (float)((int32_t)v - info->zero_point);
        break;
    }
    case MODEL_INT32:
    case MODEL_INT64: { /* indices and counts: the low word says it */
        int32_t v;
        memcpy(&v, at, sizeof v);
        stored = (float)v;
        break;
    }
    case MODEL_UINT32:
    case MODEL_UINT64: {
        uint32_t v;
        memcpy(&v, at, sizeof v);
        stored = (float)v;
        break;
    }
    case MODEL_FLOAT32:
        memcpy(&stored, at, sizeof stored);
        return stored;
    }
    return info->scale != 0 ? stored * info->scale : stored;
}

float device_output_value(uint32_t index)
{
    const model_tensor *info = &model_output_info[0];
    return element(info, (const uint8_t *)model_output(arena, 0) + index * (uint32_t)element_bytes(info->type));
}

void device_results(void)
{
    int first = 1;
    put_text("m-results-[");
    for (int o = 0; o < MODEL_OUTPUTS; o++) {
        const model_tensor *info = &model_output_info[o];
        const uint8_t *at = model_output(arena, o), *end = at + info->bytes;
        for (; at < end; at += element_bytes(info->type)) {
            put_text(first ? "" : ",");
            first = 0;
            put_fixed3(element(info, at));
        }
    }
    put_text("]\r\n");
}

int device_layers(void)
{
#ifdef MODEL_PROFILE
    int status;
    inferences++;
    load_inputs();
    memset(layer_cycles, 0, sizeof layer_cycles);
    last_done = port_cycles();
    status = model_invoke(arena);
    for (int i = 0; i < MODEL_LAYERS; i++) {
        put_text("m-layer-[");
        put_u32((uint32_t)i);
        put_text(",");
        put_u64(layer_cycles[i]);
        put_text("]\r\n");
    }
    return status;
#else
    return -1;
#endif
}
