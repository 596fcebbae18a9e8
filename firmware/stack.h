/* How deep the stack went: paint it, let the program run, see how far the paint is gone. */
#ifndef MCUML_STACK_H
#define MCUML_STACK_H

#include <stdint.h>

/* Paint everything below the caller's frame. */
void stack_paint(void);
/* Bytes of stack that the linker script set aside; 0 where that is not known (the host, a vendor's framework). */
uint32_t stack_size(void);
/* Most bytes in use since the last stack_paint; of a bigger stack its upper 64 KB are watched. */
uint32_t stack_used(void);

#endif
