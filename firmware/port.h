/* What a board must provide: bytes in, bytes out, a cycle counter, a reset, a pin. One folder under ports/ per implementation. */
#ifndef MCUML_PORT_H
#define MCUML_PORT_H

#include <stdint.h>

void port_init(void);
/* Waits for a byte; -1 when none will ever come (the host port's end of input). */
int port_getc(void);
void port_putc(char c);
/* Core cycles since an arbitrary moment. */
uint64_t port_cycles(void);
void port_reset(void);
/* The pin by which an energy meter learns of a timestamp: high from port_init on, its falling edge is the moment. */
void port_trigger(int level);

#endif
