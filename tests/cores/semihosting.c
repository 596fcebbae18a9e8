/* Runs the models of a test on a bare core: inputs from the file in.bin, outputs to out.bin, both through semihosting. */
#include "models.h"
#include <stdint.h>

#define OPEN 0x01
#define WRITE 0x05
#define READ 0x06
#define EXIT 0x18
#define ENDED 0x20026 /* "application exit"; anything else is a failure */

typedef uintptr_t word;

extern int8_t __stack_top[];
void core_start(void);

static __attribute__((noinline)) word host(word operation, word argument)
{
#if defined(__arm__)
    register word r0 __asm("r0") = operation;
    register word r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
#elif defined(__aarch64__)
    register word x0 __asm("x0") = operation;
    register word x1 __asm("x1") = argument;
    __asm volatile("hlt 0xf000" : "+r"(x0) : "r"(x1) : "memory");
    return x0;
#elif defined(__riscv)
    register word a0 __asm("a0") = operation;
    register word a1 __asm("a1") = argument;
    __asm volatile(".balign 16\n\t.option push\n\t.option norvc\n\t"
                   "slli x0, x0, 0x1f\n\tebreak\n\tsrai x0, x0, 7\n\t.option pop"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
    return a0;
#endif
}

static word call3(word operation, word a, word b, word c)
{
    volatile word block[3];
    block[0] = a, block[1] = b, block[2] = c;
    return host(operation, (word)block);
}

static void leave(word reason)
{
    volatile word block[2];
    block[0] = reason, block[1] = 0;
    host(EXIT, sizeof(word) == 8 ? (word)block : reason);
    for (;;) {
    }
}

static uint8_t arena[LARGEST_ARENA] __attribute__((aligned(16)));

static __attribute__((noinline)) void run(void)
{
    word in = call3(OPEN, (word) "in.bin", 1, 6), out = call3(OPEN, (word) "out.bin", 5, 7);
    for (unsigned m = 0; m < sizeof models / sizeof *models; m++) {
        const model *it = &models[m];
        it->init(arena);
        for (int n = 0; n < it->runs; n++) {
            for (int i = 0; i < it->inputs; i++) {
                if (call3(READ, in, (word)it->input(arena, i), it->bytes[i])) {
                    leave(1);
                }
            }
            if (it->invoke(arena)) {
                leave(2);
            }
            for (int i = 0; i < it->outputs; i++) {
                if (call3(WRITE, out, (word)it->output(arena, i), it->bytes[it->inputs + i])) {
                    leave(3);
                }
            }
        }
    }
    leave(ENDED);
}

#if defined(__arm__)
static void fault(void)
{
    leave(4);
}

void core_start(void)
{
#if defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* the floating-point unit, and Helium */
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
    run();
}

typedef void (*handler)(void);
__attribute__((used, section(".vectors"))) const handler vectors[7] = {
    (handler)(word)__stack_top, core_start, fault, fault, fault, fault, fault,
};
#elif defined(__riscv)
__attribute__((noreturn)) static void fault(void)
{
    leave(4);
    __builtin_unreachable();
}

__attribute__((naked, used, section(".vectors"))) void core_start(void)
{
    __asm volatile(".balign 4\n\tla sp, __stack_top\n\tla t0, %0\n\t"
                   ".option push\n\t.option arch, +zicsr\n\tcsrw mtvec, t0\n\t.option pop\n\t"
                   "j %1" ::"i"(fault),
                   "i"(run));
}
#else
__attribute__((used, section(".vectors"))) void core_start(void) /* the operating system has made a stack */
{
    run();
}
#endif
