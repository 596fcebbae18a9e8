/* How deep the stack went: paint it, let the program run, see how far the paint is gone. */
#include "stack.h"

#if defined(__linux__) || defined(__APPLE__) || defined(_WIN32) || defined(MCUML_HOSTED)

void stack_paint(void)
{
}
uint32_t stack_size(void)
{
    return 0;
}
uint32_t stack_used(void)
{
    return 0;
}

#else

#define PAINT 0xA5A5A5A5u
#define OWN_FRAME 16 /* words below the frame address that this function itself may use */
#define MOST 0x4000  /* words that are painted and searched: on a part with megabytes of RAM more would take seconds */

extern uint32_t __stack_bottom[], __stack_top[]; /* from the linker script */

/* The first word that is painted. */
static volatile uint32_t *first(void)
{
    return __stack_top - __stack_bottom > MOST ? __stack_top - MOST : __stack_bottom;
}

__attribute__((noinline)) void stack_paint(void)
{
    volatile uint32_t *p = first(), *end = (uint32_t *)__builtin_frame_address(0) - OWN_FRAME;
    while (p < end) {
        *p++ = PAINT;
    }
}

uint32_t stack_size(void)
{
    return (uint32_t)((uint8_t *)__stack_top - (uint8_t *)__stack_bottom);
}

uint32_t stack_used(void)
{
    volatile uint32_t *p = first();
    while (p < __stack_top && *p == PAINT) {
        p++;
    }
    return (uint32_t)((uint8_t *)__stack_top - (uint8_t *)p);
}

#endif
