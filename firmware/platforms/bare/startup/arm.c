/* Reset of a Cortex-M: vector table, FPU, .data and .bss, then main(). The addresses come from the linker script. */
#include <stdint.h>

extern uint32_t __data_load[], __data_start[], __data_end[], __bss_start[], __bss_end[], __stack_top[];
extern int main(void);
extern void (*const __vectors[])(void);

#define SCB_VTOR (*(volatile uint32_t *)0xE000ED08u)
#define SCB_CPACR (*(volatile uint32_t *)0xE000ED88u)

static void __attribute__((noinline, noreturn)) start(void)
{
    const uint32_t *from = __data_load;
    for (uint32_t *to = __data_start; to < __data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = __bss_start; to < __bss_end;) {
        *to++ = 0;
    }
    main();
    for (;;) {
    }
}

/* Before any function that may touch a floating-point register: hence apart from start(), and small. */
void __attribute__((noreturn)) Reset_Handler(void)
{
    SCB_VTOR = (uint32_t)__vectors; /* a bootloader may have left its own */
#if defined(__ARM_FP)
    SCB_CPACR |= 0xFu << 20; /* full access to coprocessors 10 and 11 */
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
    start();
}

void __attribute__((weak)) Default_Handler(void)
{
    for (;;) {
    }
}

void NMI_Handler(void) __attribute__((weak, alias("Default_Handler")));
void HardFault_Handler(void) __attribute__((weak, alias("Default_Handler")));
void MemManage_Handler(void) __attribute__((weak, alias("Default_Handler")));
void BusFault_Handler(void) __attribute__((weak, alias("Default_Handler")));
void UsageFault_Handler(void) __attribute__((weak, alias("Default_Handler")));
void SVC_Handler(void) __attribute__((weak, alias("Default_Handler")));
void DebugMon_Handler(void) __attribute__((weak, alias("Default_Handler")));
void PendSV_Handler(void) __attribute__((weak, alias("Default_Handler")));
void SysTick_Handler(void) __attribute__((weak, alias("Default_Handler")));

#define NONE 0
/* No peripheral interrupt is enabled, so the table ends after the core's own sixteen entries. */
__attribute__((section(".vectors"), used)) void (*const __vectors[16])(void) = {
    (void (*)(void))__stack_top, Reset_Handler, NMI_Handler, HardFault_Handler, MemManage_Handler, BusFault_Handler,
    UsageFault_Handler, NONE, NONE, NONE, NONE, SVC_Handler, DebugMon_Handler, NONE, PendSV_Handler, SysTick_Handler,
};
