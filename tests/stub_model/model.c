/* A stand-in for generated code: see model.h. It overwrites its input, as in-place kernels do. STUB_FAULT chooses a defect. */
#include "model.h"

#include <string.h>

const model_tensor model_input_info[MODEL_INPUTS] = {{"input", MODEL_INT8, 1, {16}, 16, 0.5f, 0}};
const model_tensor model_output_info[MODEL_OUTPUTS] = {{"output", MODEL_INT8, 1, {4}, 4, 0.00390625f, -128}};

#ifdef MODEL_PROFILE
#define LAYER_DONE(index) model_layer_done(index)
#else
#define LAYER_DONE(index) ((void)0)
#endif

void model_init(void *arena)
{
    memset(arena, 0, MODEL_ARENA_BYTES);
}

void *model_input(void *arena, int index)
{
    return (uint8_t *)arena + 16 * index;
}

const void *model_output(const void *arena, int index)
{
    return (const uint8_t *)arena + 16 + index;
}

#if STUB_FAULT == 3
static volatile int depth;
static int recurse(int n)
{
    volatile uint8_t big[256];
    big[n & 255] = (uint8_t)n;
    return depth ? 0 : recurse(n + 1) + big[n & 255];
}
#endif

int model_invoke(void *arena)
{
    int8_t *input = arena, *output = input + 16;
    for (int o = 0; o < 4; o++) {
        int sum = 0;
        for (int i = 0; i < 4; i++) {
            sum += input[4 * o + i];
        }
        output[o] = (int8_t)(sum / 4);
    }
    LAYER_DONE(0);
    memset(input, 0, 16);
#if STUB_FAULT == 1
    *(volatile int *)0x90000000 = 1; /* nothing is mapped there */
#elif STUB_FAULT == 2
    for (volatile int forever = 1; forever;) {
    }
#elif STUB_FAULT == 3
    return recurse(1);
#elif STUB_FAULT == 4
    __asm volatile("udf #7");
#elif STUB_FAULT == 5
    *(volatile int *)4 = 1; /* flash, or nothing: not to be written */
#endif
    for (int o = 0; o < 4; o++) {
        output[o] = (int8_t)(output[o] / 2);
    }
    LAYER_DONE(1);
    return 0;
}
