/* A processor fault: where and why, in one line that the host decodes (docs/PROTOCOL.md, "Faults"), then stop. */
#ifndef MCUML_FAULT_H
#define MCUML_FAULT_H

/* Lets the core tell what it would pass over: integer division by zero, where it has a switch for that. */
void fault_init(void);

#endif
