/* A Cortex-M fault: say where, in one line that the host parses, then stop. Frameworks have handlers of their own. */
#if defined(__arm__) && !defined(MCUML_HOSTED)

#include <stdint.h>

#include "text.h"

static void field(const char *name, uint32_t value)
{
    put_text(name);
    put_hex32(value);
}

/* frame: r0 r1 r2 r3 r12 lr pc xpsr, as the core stacked them. */
__attribute__((used, noreturn)) void fault_report(const uint32_t *frame)
{
    put_text("\r\n");
    field("e-[Fault pc=", frame[6]);
    field(" lr=", frame[5]);
    field(" r0=", frame[0]);
    field(" r1=", frame[1]);
    field(" r2=", frame[2]);
    field(" r3=", frame[3]);
    field(" cfsr=", *(volatile uint32_t *)0xE000ED28);
    field(" bfar=", *(volatile uint32_t *)0xE000ED38);
    put_text("]\r\n");
    for (;;) {
    }
}

__attribute__((naked)) void HardFault_Handler(void)
{
    __asm volatile("mov r0, lr\n"
                   "movs r1, #4\n"
                   "tst r0, r1\n"
                   "bne 1f\n"
                   "mrs r0, msp\n"
                   "b 2f\n"
                   "1: mrs r0, psp\n"
                   "2: ldr r1, =fault_report\n"
                   "bx r1\n");
}

#else
typedef int fault_is_for_bare_arm_only;
#endif
