/* Arm's FPGA images as QEMU models them: the CMSDK APB UART at MCUML_UART, and SysTick as a clock that counts instructions.
 *
 * Registers of the UART: Arm DDI 0479, "CMSDK APB UART". QEMU run with -icount advances its clock by a fixed time per
 * instruction, so SysTick's ticks are instructions (link/qemu.py converts them); without it they are only time. */
#include "../../port.h"

#include "mcuml_config.h"

#define UART(offset) (*(volatile uint32_t *)(MCUML_UART + (offset)))
#define UART_DATA UART(0x00)
#define UART_STATE UART(0x04)
#define UART_CTRL UART(0x08)
#define UART_BAUDDIV UART(0x10)
#define TX_FULL 1u
#define RX_FULL 2u
#define TX_AND_RX_ENABLE 3u
#define SMALLEST_DIVIDER 16u

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define SYST_BITS 24
#define SYST_LAST ((1u << SYST_BITS) - 1)
#define CORE_CLOCK_INTERRUPT_ENABLE 7u
#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0Cu)
#define AIRCR_SYSRESETREQ 0x05FA0004u

static volatile uint32_t wraps;

const port_facts port_about = {"SysTick", 1, 1, 1};

void SysTick_Handler(void);

void SysTick_Handler(void)
{
    wraps++;
}

void port_init(void)
{
    UART_BAUDDIV = SMALLEST_DIVIDER; /* a simulated wire needs no baud rate, but this one must have one */
    UART_CTRL = TX_AND_RX_ENABLE;
    SYST_RVR = SYST_LAST;
    SYST_CVR = 0;
    SYST_CSR = CORE_CLOCK_INTERRUPT_ENABLE;
}

int port_getc(void)
{
    while (!(UART_STATE & RX_FULL)) {
    }
    return (int)(UART_DATA & 0xFF);
}

void port_putc(char c)
{
    while (UART_STATE & TX_FULL) {
    }
    UART_DATA = (uint8_t)c;
}

/* Not inlined: every reading then takes the same instructions. */
__attribute__((noinline)) uint64_t port_cycles(void)
{
    uint32_t high, left;
    do { /* a wrap between the two readings would give a clock that runs backwards */
        high = wraps;
        left = SYST_CVR;
    } while (high != wraps);
    return ((uint64_t)high << SYST_BITS) + (SYST_LAST - left);
}

void port_reset(void)
{
    SCB_AIRCR = AIRCR_SYSRESETREQ;
    for (;;) {
    }
}

/* A simulated board has no energy meter. */
void port_trigger(int level)
{
    (void)level;
}
