/* STM32Cube's HAL on the families F1, F4, F7, H7 and L4, at MCUML_CLOCK_HZ with MCUML_WAIT_STATES. The board's file says
 * PORT_UART (LPUART1), PORT_UART_CLOCK (the HAL's macro that starts its clock), PORT_TX_PORT and PORT_TX_PIN (G and 7),
 * PORT_RX_PORT, PORT_RX_PIN, PORT_AF (8) and, for energy meters, PORT_TRIGGER_PORT and PORT_TRIGGER_PIN. */
#include "../../port.h"

#include "../../counter.h"
#include "mcuml_config.h"

#if defined(STM32F1)
#include "stm32f1xx_hal.h"
#elif defined(STM32F4)
#include "stm32f4xx_hal.h"
#elif defined(STM32F7)
#include "stm32f7xx_hal.h"
#elif defined(STM32H7)
#include "stm32h7xx_hal.h"
#elif defined(STM32L4)
#include "stm32l4xx_hal.h"
#else
#error "This port knows the STM32 families F1, F4, F7, H7 and L4."
#endif

#define JOIN(a, b, c) a##b##c
#define EXPANDED(a, b, c) JOIN(a, b, c)
#define GPIO(port) EXPANDED(GPIO, port, )
#define GPIO_CLOCK(port) EXPANDED(__HAL_RCC_GPIO, port, _CLK_ENABLE)()
#define PIN(number) ((uint16_t)(1u << (number)))
#define MHZ (MCUML_CLOCK_HZ / 1000000u)

const port_facts port_about = {"DWT_CYCCNT", 1, 1, 0}; /* the HAL's tick of 1 ms interrupts an inference */

static UART_HandleTypeDef uart;

/* Also what HAL_Delay and all of the HAL's time-outs run on. */
void SysTick_Handler(void)
{
    HAL_IncTick();
}

static void stop(void)
{
    for (;;) {
    }
}

/* The PLL from an oscillator that needs no part on the board, but on the F1, whose inner one does not reach 72 MHz. */
static void start_clock(void)
{
    RCC_OscInitTypeDef osc = {0};
    RCC_ClkInitTypeDef clock = {0};
    osc.PLL.PLLState = RCC_PLL_ON;
    clock.ClockType = RCC_CLOCKTYPE_SYSCLK | RCC_CLOCKTYPE_HCLK | RCC_CLOCKTYPE_PCLK1 | RCC_CLOCKTYPE_PCLK2;
    clock.SYSCLKSource = RCC_SYSCLKSOURCE_PLLCLK;
    clock.AHBCLKDivider = RCC_SYSCLK_DIV1;
    clock.APB1CLKDivider = RCC_HCLK_DIV4;
    clock.APB2CLKDivider = RCC_HCLK_DIV2;
#if defined(STM32F1)
#if MCUML_CLOCK_HZ != 72000000
#error "On an STM32F1 this port runs at 72 MHz, from a crystal of 8 MHz."
#endif
    osc.OscillatorType = RCC_OSCILLATORTYPE_HSE;
    osc.HSEState = RCC_HSE_ON;
    osc.HSEPredivValue = RCC_HSE_PREDIV_DIV1;
    osc.PLL.PLLSource = RCC_PLLSOURCE_HSE;
    osc.PLL.PLLMUL = RCC_PLL_MUL9;
#elif defined(STM32L4)
    HAL_PWREx_ControlVoltageScaling(MHZ > 80 ? PWR_REGULATOR_VOLTAGE_SCALE1_BOOST : PWR_REGULATOR_VOLTAGE_SCALE1);
    osc.OscillatorType = RCC_OSCILLATORTYPE_MSI;
    osc.MSIState = RCC_MSI_ON;
    osc.MSIClockRange = RCC_MSIRANGE_6; /* 4 MHz */
    osc.PLL.PLLSource = RCC_PLLSOURCE_MSI;
    osc.PLL.PLLM = 1;
    osc.PLL.PLLN = MHZ / 2;
    osc.PLL.PLLP = RCC_PLLP_DIV2;
    osc.PLL.PLLQ = RCC_PLLQ_DIV2;
    osc.PLL.PLLR = RCC_PLLR_DIV2;
#else
    osc.OscillatorType = RCC_OSCILLATORTYPE_HSI;
    osc.HSIState = RCC_HSI_ON;
    osc.HSICalibrationValue = RCC_HSICALIBRATION_DEFAULT;
    osc.PLL.PLLSource = RCC_PLLSOURCE_HSI;
    osc.PLL.PLLN = MHZ; /* of 2 MHz, halved again */
    osc.PLL.PLLQ = 9;
#if defined(STM32H7)
    HAL_PWREx_ConfigSupply(PWR_LDO_SUPPLY);
#ifdef PWR_REGULATOR_VOLTAGE_SCALE0
    if (MHZ > 400) {
        __HAL_PWR_VOLTAGESCALING_CONFIG(PWR_REGULATOR_VOLTAGE_SCALE0);
    } else
#endif
    {
        __HAL_PWR_VOLTAGESCALING_CONFIG(PWR_REGULATOR_VOLTAGE_SCALE1);
    }
    while (!__HAL_PWR_GET_FLAG(PWR_FLAG_VOSRDY)) {
    }
    osc.PLL.PLLM = 32; /* HSI is 64 MHz */
    osc.PLL.PLLP = 2;
    osc.PLL.PLLR = 2;
    osc.PLL.PLLRGE = RCC_PLL1VCIRANGE_1;
    osc.PLL.PLLVCOSEL = RCC_PLL1VCOWIDE;
    clock.ClockType |= RCC_CLOCKTYPE_D1PCLK1 | RCC_CLOCKTYPE_D3PCLK1;
    clock.SYSCLKDivider = RCC_SYSCLK_DIV1;
    clock.AHBCLKDivider = RCC_HCLK_DIV2; /* bus and flash at half of the core's clock */
    clock.APB1CLKDivider = RCC_APB1_DIV2;
    clock.APB2CLKDivider = RCC_APB2_DIV2;
    clock.APB3CLKDivider = RCC_APB3_DIV2;
    clock.APB4CLKDivider = RCC_APB4_DIV2;
#else
    __HAL_RCC_PWR_CLK_ENABLE();
    __HAL_PWR_VOLTAGESCALING_CONFIG(PWR_REGULATOR_VOLTAGE_SCALE1);
    osc.PLL.PLLM = 8; /* HSI is 16 MHz */
    osc.PLL.PLLP = RCC_PLLP_DIV2;
#if defined(RCC_PLLR_SUPPORT) || defined(RCC_PLLCFGR_PLLR)
    osc.PLL.PLLR = 2;
#endif
#endif
#endif
    if (HAL_RCC_OscConfig(&osc) != HAL_OK) {
        stop();
    }
#if defined(PWR_CR_ODEN) || defined(PWR_CR1_ODEN)
    if (MHZ > 168 && HAL_PWREx_EnableOverDrive() != HAL_OK) {
        stop();
    }
#endif
    if (HAL_RCC_ClockConfig(&clock, MCUML_WAIT_STATES) != HAL_OK) {
        stop();
    }
}

static void start_pin(GPIO_TypeDef *port, uint16_t pin, uint32_t mode)
{
    GPIO_InitTypeDef gpio = {.Pin = pin, .Mode = mode, .Pull = GPIO_PULLUP, .Speed = GPIO_SPEED_FREQ_HIGH};
#ifdef PORT_AF
    gpio.Alternate = PORT_AF;
#endif
    HAL_GPIO_Init(port, &gpio);
}

static void start_uart(void)
{
#if defined(STM32L4) && defined(PWR_CR2_IOSV)
    __HAL_RCC_PWR_CLK_ENABLE();
    HAL_PWREx_EnableVddIO2(); /* port G has a supply of its own */
#endif
    GPIO_CLOCK(PORT_TX_PORT);
    GPIO_CLOCK(PORT_RX_PORT);
    PORT_UART_CLOCK();
    start_pin(GPIO(PORT_TX_PORT), PIN(PORT_TX_PIN), GPIO_MODE_AF_PP);
#if defined(STM32F1)
    start_pin(GPIO(PORT_RX_PORT), PIN(PORT_RX_PIN), GPIO_MODE_INPUT);
#else
    start_pin(GPIO(PORT_RX_PORT), PIN(PORT_RX_PIN), GPIO_MODE_AF_PP);
#endif
    uart.Instance = PORT_UART;
    uart.Init.BaudRate = MCUML_BAUD;
    uart.Init.WordLength = UART_WORDLENGTH_8B;
    uart.Init.StopBits = UART_STOPBITS_1;
    uart.Init.Parity = UART_PARITY_NONE;
    uart.Init.Mode = UART_MODE_TX_RX;
    uart.Init.HwFlowCtl = UART_HWCONTROL_NONE;
    if (HAL_UART_Init(&uart) != HAL_OK) {
        stop();
    }
}

void port_init(void)
{
#if __ARM_ARCH_PROFILE == 'M' && defined(__ICACHE_PRESENT) && __ICACHE_PRESENT
    SCB_EnableICache();
    SCB_EnableDCache();
#endif
    HAL_Init();
    start_clock();
    start_uart();
#ifdef PORT_TRIGGER_PORT
    GPIO_CLOCK(PORT_TRIGGER_PORT);
    port_trigger(1);
    start_pin(GPIO(PORT_TRIGGER_PORT), PIN(PORT_TRIGGER_PIN), GPIO_MODE_OUTPUT_PP);
#endif
    counter_start();
}

int port_getc(void)
{
    uint8_t byte;
    while (HAL_UART_Receive(&uart, &byte, 1, HAL_MAX_DELAY) != HAL_OK) {
        __HAL_UART_CLEAR_OREFLAG(&uart); /* else an overrun would stop reception for good */
    }
    return byte;
}

void port_putc(char c)
{
    HAL_UART_Transmit(&uart, (uint8_t *)&c, 1, HAL_MAX_DELAY);
}

uint64_t port_cycles(void)
{
    return counter_widen(counter_now());
}

void port_reset(void)
{
    NVIC_SystemReset();
}

void port_trigger(int level)
{
#ifdef PORT_TRIGGER_PORT
    HAL_GPIO_WritePin(GPIO(PORT_TRIGGER_PORT), PIN(PORT_TRIGGER_PIN), level ? GPIO_PIN_SET : GPIO_PIN_RESET);
#else
    (void)level;
#endif
}

int main(void)
{
    return firmware_main();
}
