/* Arduino: any core that has Serial, micros() and digitalWrite(). The board's file may say PORT_SERIAL (another port than
 * Serial) and PORT_TRIGGER_PIN (without it no pin is touched). */
#include <Arduino.h>

extern "C" {
#include "../../counter.h"
#include "../../port.h"
#include "mcuml_config.h"
}

#ifndef PORT_SERIAL
#define PORT_SERIAL Serial
#endif

/* Declared extern in port.h: a constant of C++ is local otherwise. The framework's ticks interrupt an inference. */
#if defined(COUNTER_HAS_DWT)
const port_facts port_about = {"DWT_CYCCNT", 1, 1, 0};
#elif defined(ESP_PLATFORM)
const port_facts port_about = {"the core's cycle counter", 1, 1, 0};
#else
const port_facts port_about = {"micros() of the Arduino core", MCUML_CLOCK_HZ / 1000000u, 1, 0};
#endif

/* Over USB each write is a packet, so that single characters would be a thousand times slower: they go out by lines. */
static uint8_t held[64];
static size_t used;

static void flush(void)
{
    size_t sent = 0;
    /* With no host listening, some cores take nothing: what a host missed it asks for again. */
    for (int tries = 0; sent < used && tries < 100; tries++) {
        sent += PORT_SERIAL.write(held + sent, used - sent);
        if (sent < used) {
            delay(1);
        }
    }
    PORT_SERIAL.flush();
    used = 0;
}

extern "C" {

void port_init(void)
{
#ifdef PORT_TRIGGER_PIN
    pinMode(PORT_TRIGGER_PIN, OUTPUT);
    digitalWrite(PORT_TRIGGER_PIN, HIGH);
#endif
#ifdef COUNTER_HAS_DWT
    counter_start();
#endif
#ifdef ESP_PLATFORM
    disableCore0WDT(); /* on a single core a long measurement keeps the idle task from running, which is watched */
#endif
    PORT_SERIAL.begin(MCUML_BAUD);
}

int port_getc(void)
{
    int byte;
    flush();
    while ((byte = PORT_SERIAL.read()) < 0) {
        yield(); /* lets the USB stack and an operating system's idle task run */
    }
    return byte;
}

void port_putc(char c)
{
    held[used++] = (uint8_t)c;
    if (c == '\n' || used == sizeof held) {
        flush();
    }
}

uint64_t port_cycles(void)
{
#if defined(COUNTER_HAS_DWT)
    return counter_widen(counter_now());
#elif defined(ESP_PLATFORM)
    return counter_widen(ESP.getCycleCount());
#else
    /* No cycle counter, as on a Cortex-M0+: microseconds, told in cycles. */
    return counter_widen((uint32_t)micros()) * (MCUML_CLOCK_HZ / 1000000u);
#endif
}

void port_reset(void)
{
    flush();
    delay(20); /* the last line is still on its way */
#if defined(ESP_PLATFORM)
    ESP.restart();
#else
    *(volatile uint32_t *)0xE000ED0Cu = 0x05FA0004u; /* AIRCR.SYSRESETREQ, the same on every Cortex-M */
#endif
    for (;;) {
    }
}

void port_trigger(int level)
{
#ifdef PORT_TRIGGER_PIN
    digitalWrite(PORT_TRIGGER_PIN, level ? HIGH : LOW);
#else
    (void)level;
#endif
}
}

void setup()
{
    firmware_main();
}

void loop()
{
}
