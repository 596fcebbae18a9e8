/* An STM32's USART at PORT_USART as a simulator models it: no pins and no clock are set up, so this is not for the real part.
 * Registers: ST RM0385, chapter 31 (F7, H7, L4, U5); with PORT_USART_OLD, RM0390, chapter 25 (F1, F2, F4). The counter is DWT's. */
#include "../../port.h"

#include "../../counter.h"

#define USART(offset) (*(volatile uint32_t *)(PORT_USART + (offset)))
#ifdef PORT_USART_OLD
#define STATUS USART(0x00)
#define RECEIVED USART(0x04)
#define TO_SEND USART(0x04)
#define BRR USART(0x08)
#define CR1 USART(0x0C)
#define UE_TE_RE 0x200Cu
#else
#define CR1 USART(0x00)
#define BRR USART(0x0C)
#define STATUS USART(0x1C)
#define RECEIVED USART(0x24)
#define TO_SEND USART(0x28)
#define UE_TE_RE 0x000Du
#endif
#define RXNE (1u << 5)
#define TXE (1u << 7)

const port_facts port_about = {"DWT_CYCCNT", 1, 0, 1};

void port_init(void)
{
    BRR = 139; /* 115200 baud at the 16 MHz after reset; a simulated wire asks for some rate, not for this one */
    CR1 = UE_TE_RE;
    counter_start();
}

int port_getc(void)
{
    while (!(STATUS & RXNE)) {
    }
    return (int)(RECEIVED & 0xFF);
}

void port_putc(char c)
{
    while (!(STATUS & TXE)) {
    }
    TO_SEND = (uint8_t)c;
}

uint64_t port_cycles(void)
{
    return counter_widen(counter_now());
}

void port_reset(void)
{
    *(volatile uint32_t *)0xE000ED0Cu = 0x05FA0004u; /* AIRCR.SYSRESETREQ */
    for (;;) {
    }
}

/* A simulated board has no energy meter. */
void port_trigger(int level)
{
    (void)level;
}
