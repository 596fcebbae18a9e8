/* A processor fault: where and why, in one line that the host decodes, then stop. Frameworks have handlers of their own. */
#include "fault.h"

#if !defined(MCUML_HOSTED) && !defined(__linux__) && (defined(__arm__) || (defined(__riscv) && __riscv_xlen == 32))

#include <stdint.h>

#include "mcuml_build.h"
#include "text.h"

/* In the ELF too: a host looks addresses up in it only where it is this very build. */
const char firmware_build[] = MCUML_BUILD;

static void field(const char *name, uint32_t value)
{
    put_text(name);
    put_hex32(value);
}

static void begin(void)
{
    put_text("\r\ne-[Fault build=");
    put_text(firmware_build);
}

__attribute__((noreturn)) static void end(void)
{
    put_text("]\r\n");
    for (;;) {
    }
}

#if defined(__arm__)

#if __ARM_ARCH_ISA_THUMB >= 2 /* Cortex-M3 and up say why; M0, M0+ and M23 do not */
#define CCR (*(volatile uint32_t *)0xE000ED14u)
#define CFSR (*(volatile uint32_t *)0xE000ED28u)
#define HFSR (*(volatile uint32_t *)0xE000ED2Cu)
#define MMFAR (*(volatile uint32_t *)0xE000ED34u)
#define BFAR (*(volatile uint32_t *)0xE000ED38u)
#define NOT_STACKED (CFSR & (1u << 12 | 1u << 4)) /* STKERR, MSTKERR: the frame could not be written */

void fault_init(void)
{
    CCR |= 1u << 4; /* DIV_0_TRP */
}
#else
#define NOT_STACKED 0

void fault_init(void)
{
}
#endif

/* frame: r0 r1 r2 r3 r12 lr pc xpsr, as the core stacked them, and the registers of the FPU where bit 4 of `how` is 0. */
__attribute__((used, noreturn)) void fault_report(const uint32_t *frame, uint32_t how)
{
    uint32_t sp = (uint32_t)frame + (how & 16 ? 32 : 104);
    begin();
    if (!NOT_STACKED) {
        field(" pc=", frame[6]);
        field(" lr=", frame[5]);
        field(" psr=", frame[7]);
        field(" r0=", frame[0]);
        field(" r1=", frame[1]);
        field(" r2=", frame[2]);
        field(" r3=", frame[3]);
        sp += frame[7] >> 9 & 1 ? 4 : 0; /* a word that aligned the frame */
    }
    field(" sp=", sp);
#if __ARM_ARCH_ISA_THUMB >= 2
    field(" cfsr=", CFSR);
    field(" hfsr=", HFSR);
    field(" mmfar=", MMFAR);
    field(" bfar=", BFAR);
#endif
    end();
}

/* A stack that has overflowed is no place to work: below its end the handler begins at the top again, as nothing returns. */
__attribute__((naked)) void HardFault_Handler(void)
{
    __asm volatile("mov r1, lr\n\t"
                   "movs r2, #4\n\t"
                   "tst r1, r2\n\t"
                   "bne 1f\n\t"
                   "mrs r0, msp\n\t"
                   "b 2f\n\t"
                   "1: mrs r0, psp\n\t"
                   "2: ldr r2, =__stack_bottom\n\t"
                   "cmp r0, r2\n\t"
                   "bhs 3f\n\t"
                   "ldr r2, =__stack_top\n\t"
                   "mov sp, r2\n\t"
                   "3: ldr r2, =fault_report\n\t"
                   "bx r2\n\t"
                   ".ltorg");
}

#else /* RISC-V divides by zero without a trap */

/* The CSRs are an extension of their own since GNU's assembler 2.38. */
#define READ_CSR(name, to) __asm volatile(".option push\n\t.option arch, +zicsr\n\tcsrr %0, " name "\n\t.option pop" : "=r"(to))

void fault_init(void)
{
}

__attribute__((used, noreturn)) void fault_report(uint32_t sp, uint32_t ra)
{
    uint32_t cause, pc, value;
    READ_CSR("mcause", cause);
    READ_CSR("mepc", pc);
    READ_CSR("mtval", value);
    begin();
    field(" pc=", pc);
    field(" ra=", ra);
    field(" sp=", sp);
    field(" mcause=", cause);
    field(" mtval=", value);
    end();
}

/* In the place of the start-up code's: it begins on a stack of its own, as nothing returns. */
__attribute__((naked, aligned(4))) void Default_Handler(void)
{
    __asm volatile("mv a0, sp\n\t"
                   "mv a1, ra\n\t"
                   "la sp, __stack_top\n\t"
                   "j fault_report");
}

#endif

#else
void fault_init(void)
{
}
#endif
