/* The virtual board: a byte port, a cycle counter, a reset line and a pin in MMIO. See docs/PROTOCOL.md, "The virtual board". */
#include "../../port.h"

#define REG(offset) (*(volatile uint32_t *)(0x4F000000u + (offset)))
#define UART_DATA REG(0x00)
#define UART_RX_READY REG(0x04)
#define CYCLES_LO REG(0x08)
#define CYCLES_HI REG(0x0C)
#define RESET REG(0x10)
#define IDLE REG(0x14)
#define TRIGGER REG(0x18)

const port_facts port_about = {"the virtual board's cycle model", 1, 0, 1};

void port_init(void)
{
    TRIGGER = 1;
}

int port_getc(void)
{
    while (!UART_RX_READY) {
        IDLE = 1;
    }
    return (int)(UART_DATA & 0xFF);
}

void port_putc(char c)
{
    UART_DATA = (uint8_t)c;
}

/* Not inlined: every reading then costs the same, and the difference of two is exact. */
__attribute__((noinline)) uint64_t port_cycles(void)
{
    uint32_t low = CYCLES_LO; /* latches the high word */
    return ((uint64_t)CYCLES_HI << 32) | low;
}

void port_trigger(int level)
{
    TRIGGER = level != 0;
}

void port_reset(void)
{
    RESET = 1;
    for (;;) {
    }
}
