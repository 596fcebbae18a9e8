/* The model on the device: its arena, the input buffer that survives inference, and the outputs as one run of bytes. */
#ifndef MCUML_DEVICE_H
#define MCUML_DEVICE_H

#include <stdint.h>

void device_init(void);
/* The input buffer: all inputs of the model, one after another. */
uint8_t *device_buffer(void);
/* One inference on the buffer's bytes; `cycles` (may be 0) receives those of model_invoke alone. 0 = done. */
int device_infer(uint64_t *cycles);
/* Inferences since the device started, failed ones too. */
uint32_t device_inferences(void);
uint32_t device_output_bytes(void);
uint8_t device_output_byte(uint32_t offset);
/* Element `index` of the first output, dequantized. */
float device_output_value(uint32_t index);
/* Prints "m-results-[...]": every output element, dequantized. */
void device_results(void);
/* One profiled inference; prints "m-layer-[index,cycles]" for each layer. 0 = done, -1 = firmware built without layers. */
int device_layers(void);

#endif
