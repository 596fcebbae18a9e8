/* Reset of a 32-bit RISC-V: gp, sp, trap vector, .data and .bss, then main(). The addresses come from the linker script. */
#include <stdint.h>

extern uint32_t __data_load[], __data_start[], __data_end[], __bss_start[], __bss_end[];
extern int main(void);

__attribute__((weak, aligned(4))) void Default_Handler(void)
{
    for (;;) {
    }
}

__attribute__((noinline, noreturn, used)) static void start(void)
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

__attribute__((naked, noreturn, used, section(".vectors"))) void Reset_Handler(void)
{
    __asm volatile(".option push\n\t"
                   ".option norelax\n\t" /* gp is not set yet */
                   "la gp, __global_pointer\n\t"
                   ".option pop\n\t"
                   "la sp, __stack_top\n\t"
                   "la t0, Default_Handler\n\t"
                   ".option push\n\t"
                   ".option arch, +zicsr\n\t" /* GNU's assembler no longer counts it among the base instructions */
                   "csrw mtvec, t0\n\t"
                   ".option pop\n\t"
                   "j %0" ::"i"(start));
}
