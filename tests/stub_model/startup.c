/* Reset for the tests' virtual board. */
#include <stdint.h>

extern uint32_t __stack_top[], data_start[], data_end[], data_load[], bss_start[], bss_end[];
int main(void);
void HardFault_Handler(void);

void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm volatile("dsb\nisb");
    for (uint32_t *d = data_start, *s = data_load; d < data_end;) {
        *d++ = *s++;
    }
    for (uint32_t *d = bss_start; d < bss_end;) {
        *d++ = 0;
    }
    main();
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) const void *const vectors[] = {__stack_top, (void *)reset, 0, (void *)HardFault_Handler};
