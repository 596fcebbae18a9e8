"""The ports for vendors' frameworks, on this computer, above stand-ins that declare what they use of each framework and pass
bytes to stdin and stdout. What a framework itself declares was compared by compiling against it (docs/BOARDS.md)."""

import subprocess
import sys

import pytest

from device import FIRMWARE, SHA256, STUB
from mcuml.render import render_file
from mcuml.run.firmware import config_header

ZIG = (sys.executable, "-m", "ziglang", "cc")  # of C++ too: with its library it would take minutes
ARDUINO = {
    "Arduino.h": """
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#define OUTPUT 1
#define HIGH 1
#define LOW 0
struct Wire {
    void begin(unsigned long baud) { fprintf(stderr, "baud %lu\\n", baud); }
    int read() { int c = getchar(); if (c == EOF) exit(0); return c; }
    size_t write(const uint8_t *from, size_t n) { /* five at a time, as a full USB buffer takes them */
        fprintf(stderr, "write %zu\\n", n);
        n = n < 5 ? n : 5;
        return fwrite(from, 1, n, stdout);
    }
    void flush() { fflush(stdout); }
};
extern Wire Serial;
void delay(unsigned long ms);
unsigned long micros();
void yield();
void pinMode(int pin, int mode);
void digitalWrite(int pin, int level);
void setup();
void loop();
""",
    "main.cpp": """
#include "Arduino.h"
Wire Serial;
void delay(unsigned long) {}
unsigned long micros() { static unsigned long now; return now += 3; }
void yield() {}
void pinMode(int pin, int) { fprintf(stderr, "output %d\\n", pin); }
void digitalWrite(int pin, int level) { fprintf(stderr, "pin %d %d\\n", pin, level); }
int main() { setup(); }
""",
}
IDF = {
    "esp_cpu.h": "#include <stdint.h>\nuint32_t esp_cpu_get_cycle_count(void);\n",
    "esp_system.h": "void esp_restart(void);\n",
    "freertos/FreeRTOS.h": "#define portMAX_DELAY 0xFFFFFFFFu\n#define pdMS_TO_TICKS(ms) (ms)\n",
    "freertos/task.h": "void vTaskDelay(unsigned ticks);\n",
    "driver/gpio.h": """
typedef int gpio_num_t;
enum { GPIO_MODE_OUTPUT = 2 };
int gpio_reset_pin(gpio_num_t pin);
int gpio_set_direction(gpio_num_t pin, int mode);
int gpio_set_level(gpio_num_t pin, unsigned level);
""",
    "driver/uart.h": """
#include <stddef.h>
enum { UART_NUM_0, UART_DATA_8_BITS = 3, UART_PARITY_DISABLE = 0, UART_STOP_BITS_1 = 1, UART_HW_FLOWCTRL_DISABLE = 0 };
enum { UART_SCLK_DEFAULT = 4 };
typedef struct { int baud_rate, data_bits, parity, stop_bits, flow_ctrl, source_clk; } uart_config_t;
int uart_driver_install(int uart, int rx, int tx, int queue_size, void *queue, int flags);
int uart_param_config(int uart, const uart_config_t *config);
int uart_read_bytes(int uart, void *to, unsigned n, unsigned ticks);
int uart_write_bytes(int uart, const void *from, size_t n);
""",
    "driver/usb_serial_jtag.h": """
#include <stddef.h>
typedef struct { unsigned tx_buffer_size, rx_buffer_size; } usb_serial_jtag_driver_config_t;
int usb_serial_jtag_driver_install(usb_serial_jtag_driver_config_t *config);
int usb_serial_jtag_read_bytes(void *to, unsigned n, unsigned ticks);
int usb_serial_jtag_write_bytes(const void *from, size_t n, unsigned ticks);
""",
    "main.c": """
#include <stdio.h>
#include <stdlib.h>
#include "driver/gpio.h"
#include "driver/uart.h"
#include "driver/usb_serial_jtag.h"
#include "esp_cpu.h"
uint32_t esp_cpu_get_cycle_count(void) { static uint32_t now; return now += 0x60000000u; } /* wraps at each third */
void esp_restart(void) { exit(0); }
void vTaskDelay(unsigned ticks) { (void)ticks; }
int gpio_reset_pin(gpio_num_t pin) { return pin; }
int gpio_set_direction(gpio_num_t pin, int mode) { (void)mode; return fprintf(stderr, "output %d\\n", pin); }
int gpio_set_level(gpio_num_t pin, unsigned level) { return fprintf(stderr, "pin %d %u\\n", pin, level); }
static int take(void *to) { int c = getchar(); if (c == EOF) exit(0); *(char *)to = (char)c; return 1; }
static int give(const void *from, size_t n) { fwrite(from, 1, n, stdout); return fflush(stdout); }
int uart_driver_install(int a, int b, int c, int d, void *e, int f) { return a + b + c + d + f + (e != 0); }
int uart_param_config(int a, const uart_config_t *c) { (void)a; return fprintf(stderr, "baud %d\\n", c->baud_rate); }
int uart_read_bytes(int a, void *to, unsigned n, unsigned t) { (void)a; (void)n; (void)t; return take(to); }
int uart_write_bytes(int a, const void *from, size_t n) { (void)a; return give(from, n); }
int usb_serial_jtag_driver_install(usb_serial_jtag_driver_config_t *c) { return fprintf(stderr, "usb %u\\n", c->rx_buffer_size); }
int usb_serial_jtag_read_bytes(void *to, unsigned n, unsigned t) { (void)n; (void)t; return take(to); }
int usb_serial_jtag_write_bytes(const void *from, size_t n, unsigned t) { (void)t; return give(from, n); }
void app_main(void);
int main(void) { app_main(); return 0; }
""",
}
CASES = {  # port, its file, the stand-ins, definitions of a board's file, what port_init must have told the framework
    "arduino": ("arduino", "port.cpp", ARDUINO, ["PORT_TRIGGER_PIN=7"], ["baud 115200", "output 7", "pin 7 1"]),
    "arduino without a pin": ("arduino", "port.cpp", ARDUINO, [], ["baud 115200"]),
    "espidf": ("espidf", "port.c", IDF, ["PORT_TRIGGER_PIN=4"], ["baud 115200", "output 4", "pin 4 1"]),
    "espidf over USB": ("espidf", "port.c", IDF, ["PORT_USB_SERIAL_JTAG"], ["usb "]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_firmware_speaks_through_a_framework(case, tmp_path):
    port, file, stand_ins, defines, wanted = CASES[case]
    about = {"board": "stub", "vendor": "mcuml", "clock_hz": 64_000_000, "model_id": "stub01", "input_bytes": 16}
    written = {
        **stand_ins,
        "mcuml_config.h": config_header(**about, model_sha256=SHA256),
        "mcuml_build.h": render_file("mcuml_build.h.j2", version="0", port=port, build="b" * 16),
    }
    for name, text in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    sources = [*sorted(FIRMWARE.glob("*.c")), STUB / "model.c", FIRMWARE / "ports" / port / file,
               *(name for name in stand_ins if name.startswith("main."))]  # fmt: skip
    plain = ["-fno-sanitize=all", "-fno-exceptions", "-fno-rtti"] if file.endswith("cpp") else ["-fno-sanitize=all"]
    own = ["-DMCUML_HOSTED", *(f"-D{word}" for word in defines), f"-I{tmp_path}", f"-I{STUB}", f"-I{FIRMWARE}"]
    command = [*ZIG, *plain, "-Wall", "-Wextra", "-Werror", "-Wno-unused-command-line-argument", *own, *sources, "-o", "program"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([tmp_path / "program"], input="name%mcuml id%mcuml run 3%", capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    for line in ("m-ready", "m-name-", f'"port":"{port}"', '"simulated":0'):
        assert line in done.stdout, done.stdout
    cycles = [int(line[len("m-cycles-[") : -1]) for line in done.stdout.split() if line.startswith("m-cycles-[")]
    step = 3 * 64 if port == "arduino" else 0x6000_0000  # between two readings of the stand-in's counter
    assert cycles == [step] * 3, "32 bits did not become 64"
    assert all(line in done.stderr for line in wanted), done.stderr
    assert ("pin" in done.stderr) == any("TRIGGER" in word for word in defines)
    if port == "arduino":
        sizes = [int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("write")]
        assert max(sizes) > 20, "characters go out one by one"
