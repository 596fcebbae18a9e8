/* An STM32's USART (F7, H7, L4, U5) at PORT_USART as a simulator models it: no pins and no clock are set up, so this is not for
 * the real part. Registers: ST RM0385, chapter 31. The counter is DWT's. */
#include "../../port.h"

#include "../../counter.h"

#define USART(offset) (*(volatile uint32_t *)(PORT_USART + (offset)))
#define CR1 USART(0x00)
#define BRR USART(0x0C)
#define ISR USART(0x1C)
#define RDR USART(0x24)
#define TDR USART(0x28)
#define UE_RE_TE 0x0Du
#define RXNE (1u << 5)
#define TXE (1u << 7)

const port_facts port_about = {"DWT_CYCCNT", 1, 0, 1};

void port_init(void)
{
    BRR = 139; /* 115200 baud at the 16 MHz after reset; a simulated wire asks for some rate, not for this one */
    CR1 = UE_RE_TE;
    counter_start();
}

int port_getc(void)
{
    while (!(ISR & RXNE)) {
    }
    return (int)(RDR & 0xFF);
}

void port_putc(char c)
{
    while (!(ISR & TXE)) {
    }
    TDR = (uint8_t)c;
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
