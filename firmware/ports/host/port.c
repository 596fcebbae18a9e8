/* The host: stdin and stdout in the place of a UART, so that the firmware can be tested as a plain program. */
#include "../../port.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mcuml_config.h"

/* POSIX gives clock() a unit of 1 us; that it moves in larger steps is not told. A laptop's time is no board's. */
const port_facts port_about = {"clock() of the host", MCUML_CLOCK_HZ / 1000000u, 1, 1};

void port_init(void)
{
#ifdef _WIN32
    extern int _setmode(int, int);
    _setmode(0, 0x8000);
    _setmode(1, 0x8000);
#endif
}

int port_getc(void)
{
    fflush(stdout);
    return getchar();
}

void port_putc(char c)
{
    putchar(c);
}

uint64_t port_cycles(void)
{
    return (uint64_t)((double)clock() / CLOCKS_PER_SEC * MCUML_CLOCK_HZ);
}

void port_trigger(int level)
{
    (void)level; /* a computer has no pin that anyone listens to */
}

void port_reset(void)
{
    fflush(stdout);
    exit(0);
}
