/* Text out of the serial port, without stdio. */
#ifndef MCUML_TEXT_H
#define MCUML_TEXT_H

#include <stdint.h>

void put_text(const char *text);
void put_u32(uint32_t value);
void put_u64(uint64_t value);
void put_hex8(uint8_t value);
void put_hex32(uint32_t value);
/* As printf's "%0.3f" does, exactly, for every float. */
void put_fixed3(float value);

#endif
