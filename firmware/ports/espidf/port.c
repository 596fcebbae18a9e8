/* ESP-IDF 5: the console's UART or, where the board's file says PORT_USB_SERIAL_JTAG, the chip's own USB serial port.
 * PORT_TRIGGER_PIN is a GPIO's number; without it no pin is touched. */
#include "../../port.h"

#include "../../counter.h"
#include "esp_cpu.h"
#include "esp_system.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "mcuml_config.h"

#ifdef PORT_USB_SERIAL_JTAG
#include "driver/usb_serial_jtag.h"
#else
#include "driver/uart.h"
#define PORT_UART UART_NUM_0
#endif
#ifdef PORT_TRIGGER_PIN
#include "driver/gpio.h"
#endif

const port_facts port_about = {"the core's cycle counter", 1, 1, 0};

#define RECEIVE_BYTES 2048 /* a long command arrives while the one before is at work */

void port_init(void)
{
#ifdef PORT_USB_SERIAL_JTAG
    usb_serial_jtag_driver_config_t config = {.tx_buffer_size = 256, .rx_buffer_size = RECEIVE_BYTES};
    usb_serial_jtag_driver_install(&config);
#else
    const uart_config_t config = {
        .baud_rate = MCUML_BAUD,
        .data_bits = UART_DATA_8_BITS,
        .parity = UART_PARITY_DISABLE,
        .stop_bits = UART_STOP_BITS_1,
        .flow_ctrl = UART_HW_FLOWCTRL_DISABLE,
        .source_clk = UART_SCLK_DEFAULT,
    };
    uart_driver_install(PORT_UART, RECEIVE_BYTES, 0, 0, NULL, 0);
    uart_param_config(PORT_UART, &config);
#endif
#ifdef PORT_TRIGGER_PIN
    gpio_reset_pin((gpio_num_t)PORT_TRIGGER_PIN);
    gpio_set_direction((gpio_num_t)PORT_TRIGGER_PIN, GPIO_MODE_OUTPUT);
    gpio_set_level((gpio_num_t)PORT_TRIGGER_PIN, 1);
#endif
}

int port_getc(void)
{
    uint8_t byte;
#ifdef PORT_USB_SERIAL_JTAG
    while (usb_serial_jtag_read_bytes(&byte, 1, portMAX_DELAY) != 1) {
    }
#else
    while (uart_read_bytes(PORT_UART, &byte, 1, portMAX_DELAY) != 1) {
    }
#endif
    return byte;
}

void port_putc(char c)
{
#ifdef PORT_USB_SERIAL_JTAG
    usb_serial_jtag_write_bytes(&c, 1, pdMS_TO_TICKS(100)); /* nobody may be listening */
#else
    uart_write_bytes(PORT_UART, &c, 1);
#endif
}

uint64_t port_cycles(void)
{
    return counter_widen(esp_cpu_get_cycle_count());
}

void port_reset(void)
{
    vTaskDelay(pdMS_TO_TICKS(20)); /* the last line is still on its way */
    esp_restart();
}

void port_trigger(int level)
{
#ifdef PORT_TRIGGER_PIN
    gpio_set_level((gpio_num_t)PORT_TRIGGER_PIN, level != 0);
#else
    (void)level;
#endif
}

void app_main(void)
{
    firmware_main();
}
