/* QEMU's RISC-V machine `virt`: a 16550 UART, mcycle, and the test device that resets the machine.
 *
 * Addresses: QEMU hw/riscv/virt.c. With -icount shift=0 mcycle counts instructions; without it, the computer's own clock. */
#include "../../port.h"

#include "mcuml_config.h"

#define UART(offset) (*(volatile uint8_t *)(MCUML_UART + (offset)))
#define UART_DATA UART(0)
#define UART_LINE_STATUS UART(5)
#define RX_READY 0x01u
#define TX_EMPTY 0x20u
#define TEST_DEVICE (*(volatile uint32_t *)0x100000u)
#define TEST_RESET 0x7777u

const port_facts port_about = {"mcycle", 1, 0, 1};

void port_init(void)
{
}

int port_getc(void)
{
    while (!(UART_LINE_STATUS & RX_READY)) {
    }
    return UART_DATA;
}

void port_putc(char c)
{
    while (!(UART_LINE_STATUS & TX_EMPTY)) {
    }
    UART_DATA = (uint8_t)c;
}

static uint32_t counter_low(void)
{
    uint32_t value;
    __asm volatile(".option push\n\t.option arch, +zicsr\n\tcsrr %0, mcycle\n\t.option pop" : "=r"(value));
    return value;
}

static uint32_t counter_high(void)
{
    uint32_t value;
    __asm volatile(".option push\n\t.option arch, +zicsr\n\tcsrr %0, mcycleh\n\t.option pop" : "=r"(value));
    return value;
}

__attribute__((noinline)) uint64_t port_cycles(void)
{
    uint32_t high, low;
    do {
        high = counter_high();
        low = counter_low();
    } while (high != counter_high());
    return (uint64_t)high << 32 | low;
}

void port_reset(void)
{
    TEST_DEVICE = TEST_RESET;
    for (;;) {
    }
}

/* A simulated board has no energy meter. */
void port_trigger(int level)
{
    (void)level;
}
