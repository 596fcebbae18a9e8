/* A stand-in for generated code: see model.h. It overwrites its input, as in-place kernels do. STUB_FAULT chooses a defect,
 * 7 the one that the first byte of the input says. */
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

#if STUB_FAULT
static volatile int depth;
static int recurse(int n)
{
    volatile uint8_t big[256];
    big[n & 255] = (uint8_t)n;
    return depth ? 0 : recurse(n + 1) + big[n & 255];
}

/* Inlined, so that faults are in model_invoke. */
static inline __attribute__((always_inline)) int defect(int which, int8_t *output)
{
    volatile int zero = 0;
    switch (which) {
    case 1:
        *(volatile int *)0x90000000 = 1; /* nothing is mapped there */
        break;
    case 2:
        for (volatile int forever = 1; forever;) {
        }
        break;
    case 3:
        return recurse(1);
    case 4:
#ifdef __riscv
        __asm volatile("unimp");
#elif defined(__arm__)
        __asm volatile("udf #7");
#endif
        break;
    case 5:
        *(volatile int *)4 = 1; /* flash, or nothing: not to be written */
        break;
    case 6:
        output[0] = (int8_t)(output[1] / zero);
        break;
    }
    return 0;
}
#endif

int model_invoke(void *arena)
{
    int8_t *input = arena, *output = input + 16, first = *input;
    (void)first;
    for (int o = 0; o < 4; o++) {
        int sum = 0;
        for (int i = 0; i < 4; i++) {
            sum += input[4 * o + i];
        }
        output[o] = (int8_t)(sum / 4);
    }
    LAYER_DONE(0);
    memset(input, 0, 16);
#if STUB_FAULT
    if (defect(STUB_FAULT == 7 ? first : STUB_FAULT, output)) {
        return 1;
    }
#endif
    for (int o = 0; o < 4; o++) {
        output[o] = (int8_t)(output[o] / 2);
    }
    LAYER_DONE(1);
    return 0;
}
