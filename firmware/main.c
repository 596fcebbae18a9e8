/* The firmware: paint the stack, start the model, then answer bytes for ever. */
#include "device.h"
#include "fault.h"
#include "port.h"
#include "protocol.h"
#include "stack.h"

/* A vendor's framework has a main() of its own, or calls app_main() or setup(): its port then starts this one. */
#ifdef MCUML_HOSTED
int firmware_main(void)
#else
int main(void)
#endif
{
    int byte;
    stack_paint();
    fault_init();
    port_init();
    device_init();
    protocol_greet();
    while ((byte = port_getc()) >= 0) {
        protocol_byte((uint8_t)byte);
    }
    return 0;
}
