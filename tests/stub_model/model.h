/* A stand-in for generated code: one int8 input of 16, one int8 output of 4; layer 0 sums, layer 1 halves. */
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#define MODEL_ARENA_BYTES 32
#define MODEL_ARENA_ALIGN 16
#define MODEL_INPUTS 1
#define MODEL_OUTPUTS 1
#define MODEL_LAYERS 2

typedef enum {
    MODEL_FLOAT32 = 0, MODEL_INT8, MODEL_UINT8, MODEL_INT16, MODEL_UINT16, MODEL_INT32, MODEL_UINT32, MODEL_INT64, MODEL_BOOL, MODEL_UINT64
} model_type;

typedef struct {
    const char *name;
    model_type type;
    int32_t rank;
    int32_t dims[8];
    uint32_t bytes;
    float scale;
    int32_t zero_point;
} model_tensor;

extern const model_tensor model_input_info[MODEL_INPUTS], model_output_info[MODEL_OUTPUTS];
void model_init(void *arena);
void *model_input(void *arena, int index);
const void *model_output(const void *arena, int index);
int model_invoke(void *arena);
void model_layer_done(int index);

#endif
