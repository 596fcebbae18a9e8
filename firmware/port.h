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

/* What `mcuml id` tells of the port. counter: what port_cycles reads, without quotes or backslashes; step: cycles between two
 * readings that it can tell apart; interrupts: 1 where others' interrupts run during an inference, and their cycles count in it;
 * simulated: 1 where the clock is a simulator's, so that no figure of it is a measured one. Each port defines one port_about. */
typedef struct {
    const char *counter;
    uint32_t step;
    uint8_t interrupts;
    uint8_t simulated;
} port_facts;
extern const port_facts port_about;

/* What a port with a framework beneath it (built with MCUML_HOSTED) calls when that is ready; does not return. */
int firmware_main(void);

#endif
