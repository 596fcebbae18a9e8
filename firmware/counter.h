/* Cycle counters of 32 bits, for ports: the core's own on Armv7-M and Armv8-M (DWT), and how 32 bits become 64. */
#ifndef MCUML_COUNTER_H
#define MCUML_COUNTER_H

#include <stdint.h>

#if defined(__ARM_ARCH) && __ARM_ARCH_PROFILE == 'M' && (__ARM_ARCH == 7 || defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__))
#define COUNTER_HAS_DWT 1

/* Starts the counter without setting it: a framework may be using it too. */
static inline void counter_start(void)
{
    *(volatile uint32_t *)0xE000EDFCu |= 1u << 24; /* DEMCR.TRCENA: the counter's clock */
#if __ARM_ARCH == 7
    *(volatile uint32_t *)0xE0001FB0u = 0xC5ACCE55u; /* LAR: on a Cortex-M7 the DWT is locked */
#endif
    *(volatile uint32_t *)0xE0001000u |= 1u; /* DWT_CTRL.CYCCNTENA */
}

static inline uint32_t counter_now(void)
{
    return *(volatile uint32_t *)0xE0001004u;
}
#endif

/* 64 bits from a counter of 32, which has to be read once in each of its rounds: every 7 s at 600 MHz. device_infer reads it
 * before and after each inference, so that only a single inference longer than a round would be told too short. */
static inline uint64_t counter_widen(uint32_t now)
{
    static uint64_t sum;
    sum += (uint32_t)(now - (uint32_t)sum);
    return sum;
}

#endif
