/* The firmware's port inside a test process: bytes in and out of arrays, and a counter that gives each command the same times. */
#include "port.h"

#define ROOM (1 << 20)

static char out[ROOM];
static uint32_t used;
static int restart;
static uint64_t cycles;
static uint32_t read_since;

void protocol_byte(uint8_t byte);
void protocol_greet(void);
void device_init(void);

const port_facts port_about = {"readings", 64, 0, 1};

void port_init(void)
{
}

int port_getc(void)
{
    return -1;
}

void port_putc(char c)
{
    if (used < ROOM) {
        out[used++] = c;
    }
}

/* Whole microseconds at 64 MHz, another number at each reading within a command, the same ones in each command. */
uint64_t port_cycles(void)
{
    return cycles += 64u * (1000u + 37u * read_since++);
}

void port_reset(void)
{
    restart = 1;
}

void port_trigger(int level)
{
    (void)level;
}

void walk_boot(void);
int walk_feed(const uint8_t *data, uint32_t count);
const char *walk_out(uint32_t *count);

void walk_boot(void)
{
    device_init();
    protocol_greet();
}

/* 1: the device wants to restart; bytes after that are lost. */
int walk_feed(const uint8_t *data, uint32_t count)
{
    while (count-- && !restart) {
        if (*data == '%') {
            read_since = 0;
        }
        protocol_byte(*data++);
    }
    return restart;
}

const char *walk_out(uint32_t *count)
{
    *count = used;
    used = 0;
    return out;
}
