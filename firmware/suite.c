/* What MLPerf Tiny's tests make of the bytes that `db` brings and of the model's outputs. docs/MLPERF.md has the table.
 *
 * MCUML_DB_SCORE: float32 values come, which the device quantizes, and the result is how far the output is from them.
 * MCUML_DB_RGB: bytes of 0 to 255 come, of which the device subtracts 128. Neither: the bytes are the model's own. */
#include "suite.h"

#include <string.h>

#include "device.h"
#include "mcuml_config.h"
#include "model.h"
#include "text.h"

#if MCUML_DB_SCORE

static float values[MCUML_DB_BYTES / sizeof(float)];
#define VALUES (sizeof values / sizeof *values)

void suite_store(uint32_t offset, uint8_t byte)
{
    ((uint8_t *)values)[offset] = byte;
}

uint8_t suite_stored(uint32_t offset)
{
    return ((const uint8_t *)values)[offset];
}

/* round(value / scale) + zero point, halves away from zero, within int8. */
static int8_t quantized(float value, const model_tensor *info)
{
    float steps = value / info->scale;
    int32_t whole, result;
    if (!(steps > -512.0f)) {
        return INT8_MIN; /* far below, or no number */
    }
    if (steps > 512.0f) {
        return INT8_MAX;
    }
    whole = (int32_t)steps;
    result = whole + (steps - (float)whole >= 0.5f) - ((float)whole - steps >= 0.5f) + info->zero_point;
    return (int8_t)(result < INT8_MIN ? INT8_MIN : result > INT8_MAX ? INT8_MAX : result);
}

void suite_load(void)
{
    if (model_input_info[0].type == MODEL_FLOAT32) {
        memcpy(device_buffer(), values, sizeof values);
        return;
    }
    for (uint32_t i = 0; i < VALUES; i++) {
        device_buffer()[i] = (uint8_t)quantized(values[i], &model_input_info[0]);
    }
}

void suite_results(void)
{
    float sum = 0;
    for (uint32_t i = 0; i < VALUES; i++) {
        float difference = device_output_value(i) - values[i];
        sum += difference * difference;
    }
    put_text("m-results-[");
    put_fixed3(sum / (float)VALUES);
    put_text("]\r\n");
}

#else

#define SIGN (MCUML_DB_RGB ? 0x80 : 0) /* flipping the top bit of a byte subtracts 128 from it, and adds it again */

void suite_store(uint32_t offset, uint8_t byte)
{
    device_buffer()[offset] = byte ^ SIGN;
}

uint8_t suite_stored(uint32_t offset)
{
    return device_buffer()[offset] ^ SIGN;
}

void suite_load(void)
{
}

void suite_results(void)
{
    device_results();
}

#endif
