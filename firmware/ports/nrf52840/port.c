/* An nRF52840 without any framework: its UART, with bytes out at PORT_TX and in at PORT_RX, and DWT's cycle counter. Pins are
 * told as 32 * port + number; PORT_TRIGGER, for energy meters, may be left out. */
#include "../../port.h"

#include "../../counter.h"
#include "mcuml_config.h"

#define REG(address) (*(volatile uint32_t *)(address))
#define UART(offset) REG(0x40002000u + (offset))
#define START_RX UART(0x000)
#define START_TX UART(0x008)
#define RECEIVED UART(0x108)
#define SENT UART(0x11C)
#define ENABLE UART(0x500)
#define PIN_TX UART(0x50C)
#define PIN_RX UART(0x514)
#define RXD UART(0x518)
#define TXD UART(0x51C)
#define BAUD UART(0x524)
#define START_CRYSTAL REG(0x40000000u)
#define CRYSTAL_RUNS REG(0x40000100u)
#define CODE_CACHE REG(0x4001E540u)
#define GPIO(pin, offset) REG(0x50000000u + 0x300u * ((pin) / 32) + (offset))
#define OUT_SET 0x508
#define OUT_CLEAR 0x50C
#define MAKE_OUTPUT 0x518
#define BIT(pin) (1u << ((pin) % 32))

#if MCUML_BAUD != 115200
#error "This port speaks 115200 baud."
#endif
#define BAUD_115200 0x01D7E000u

const port_facts port_about = {"DWT_CYCCNT", 1, 0, 0};

void port_init(void)
{
    CRYSTAL_RUNS = 0; /* the oscillator that runs after reset is not exact enough for a UART, nor for a clock that cycles are told by */
    START_CRYSTAL = 1;
    while (!CRYSTAL_RUNS) {
    }
    CODE_CACHE = 1;
    counter_start();
    port_trigger(1);
#ifdef PORT_TRIGGER
    GPIO(PORT_TRIGGER, MAKE_OUTPUT) = BIT(PORT_TRIGGER);
#endif
    GPIO(PORT_TX, OUT_SET) = BIT(PORT_TX); /* an idle line is high, also before the UART takes it over */
    GPIO(PORT_TX, MAKE_OUTPUT) = BIT(PORT_TX);
    PIN_TX = PORT_TX;
    PIN_RX = PORT_RX;
    BAUD = BAUD_115200;
    ENABLE = 4;
    RECEIVED = 0;
    START_RX = 1;
    START_TX = 1;
}

int port_getc(void)
{
    while (!RECEIVED) {
    }
    RECEIVED = 0;
    return (int)(RXD & 0xFF);
}

void port_putc(char c)
{
    SENT = 0;
    TXD = (uint8_t)c;
    while (!SENT) {
    }
}

uint64_t port_cycles(void)
{
    return counter_widen(counter_now());
}

void port_reset(void)
{
    REG(0xE000ED0Cu) = 0x05FA0004u; /* AIRCR.SYSRESETREQ */
    for (;;) {
    }
}

void port_trigger(int level)
{
#ifdef PORT_TRIGGER
    GPIO(PORT_TRIGGER, level ? OUT_SET : OUT_CLEAR) = BIT(PORT_TRIGGER);
#else
    (void)level;
#endif
}
