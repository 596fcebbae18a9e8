/* The commands of MLPerf Tiny's serial API, to the byte, so that the official runner can drive this device. */
#include <string.h>

#include "device.h"
#include "mcuml_config.h"
#include "port.h"
#include "protocol.h"
#include "suite.h"
#include "text.h"

static uint32_t expected, loaded;

/* Performance mode says the time; energy mode prints nothing, for the meter listens to the pin alone. */
static void timestamp(void)
{
#if MCUML_ENERGY_MODE
    const uint32_t low = MCUML_CLOCK_HZ / 1000000u * MCUML_TRIGGER_US;
    uint64_t began;
    port_trigger(0);
    began = port_cycles();
    /* Where the counter stands still, the number of its readings bounds the wait. */
    for (uint32_t readings = 0; readings < low && port_cycles() - began < low; readings++) {
    }
    port_trigger(1);
#else
    put_text("m-lap-us-");
    put_u32((uint32_t)(port_cycles() * 1000000u / MCUML_CLOCK_HZ));
    put_text("\r\n");
#endif
}

static void line(const char *start, uint32_t value, const char *end)
{
    put_text(start);
    put_u32(value);
    put_text(end);
}

/* As C's atol: leading digits, 0 where there are none; a minus sign makes it negative. */
static int64_t leading_number(const char *word)
{
    int negative = *word == '-';
    int64_t sum = 0;
    for (word += negative || *word == '+'; *word >= '0' && *word <= '9' && sum < 0xFFFFFFFF; word++) {
        sum = sum * 10 + (*word - '0');
    }
    sum = sum > 0xFFFFFFFF ? 0xFFFFFFFF : sum;
    return negative ? -sum : sum;
}

static void db_load(void)
{
    const char *word = next_word();
    int64_t bytes;
    if (!word) {
        error_text("Command 'db load' requires the # of bytes");
        return;
    }
    bytes = leading_number(word);
    if (bytes <= 0) {
        error_text("Command 'db load' must be >0 bytes");
    } else if (bytes > MCUML_DB_BYTES) {
        line("Supplied buffer size ", (uint32_t)bytes, " exceeds maximum of "); /* no e-, no CR: as the official one */
        line("", MCUML_DB_BYTES, "\n");
    } else {
        expected = (uint32_t)bytes;
        loaded = 0;
        line("m-[Expecting ", expected, " bytes]\r\n");
    }
}

static void db_print(void)
{
    for (uint32_t i = 0; i < expected; i++) {
        put_text(i % 8 ? "-" : "m-buffer-");
        put_hex8(suite_stored(i));
        if (i % 8 == 7 || i + 1 == expected) {
            put_text("\r\n");
        }
    }
    if (expected % 8) {
        put_text("\r\n"); /* an empty line: so does the official firmware */
    }
}

static void db_hex(char *word)
{
    int bytes = parse_hex(word);
    if (bytes < 0 || loaded == expected) {
        return; /* what is beyond the expected bytes is ignored */
    }
    for (int i = 0; i < bytes && loaded < expected; i++) {
        suite_store(loaded++, (uint8_t)word[i]);
    }
    if (loaded == expected) {
        put_text("m-load-done\r\n");
    }
}

static void db(void)
{
    char *word = next_word();
    if (!word) {
        error_text("Command 'db' requires a subcommand");
    } else if (!strcmp(word, "load")) {
        db_load();
    } else if (!strcmp(word, "print")) {
        db_print();
    } else {
        db_hex(word);
    }
}

static int repeat(uint32_t count)
{
    while (count--) {
        if (device_infer(0)) {
            error_text("model_invoke failed");
            return -1;
        }
    }
    return 0;
}

static void infer(void)
{
    const char *word = next_word();
    int64_t iterations = 1, warmups = MCUML_DEFAULT_WARMUPS;
    if (word) {
        iterations = leading_number(word);
        word = next_word();
    }
    if (word) {
        warmups = leading_number(word);
    }
    if (iterations <= 0) {
        error_text("Inference iterations must be >0");
        return;
    }
    if (warmups < 0) {
        error_text("Inference warmup must be >=0");
        return;
    }
    suite_load();
    line("m-warmup-start-", (uint32_t)warmups, "\r\n");
    if (repeat((uint32_t)warmups)) {
        return;
    }
    put_text("m-warmup-done\r\n");
    line("m-infer-start-", (uint32_t)iterations, "\r\n");
    timestamp();
    if (repeat((uint32_t)iterations)) {
        return;
    }
    timestamp();
    put_text("m-infer-done\r\n");
    suite_results();
}

static void help(void)
{
    put_text(MCUML_PROFILE "\r\n"
             "\r\n"
             "help         : Print this information\r\n"
             "name         : Print the name of the device\r\n"
             "profile      : Print the firmware's profile and the model's name\r\n"
             "timestamp    : Print the time in microseconds, or pulse the trigger pin\r\n"
             "db load N    : Expect N bytes of input\r\n"
             "db HH[HH]*   : Load bytes until N are there\r\n"
             "db print     : Print the input bytes\r\n"
             "infer N [W]  : Load the input, warm up W (10) times, run N times\r\n"
             "results      : Print the output scores\r\n"
             "mcuml SUBCMD : " MCUML_FIRMWARE_VERSION ": id, key, mem, put, crc, run, get, layers, reset\r\n");
}

void protocol_greet(void)
{
    put_text(MCUML_ENERGY_MODE ? "m-timestamp-mode-energy\r\n" : "m-timestamp-mode-performance\r\n");
    timestamp();
    put_text("m-init-done\r\nm-ready\r\n");
}

int mlperf_command(const char *word)
{
    if (!strcmp(word, "name")) {
        put_text("m-name-dut-[" MCUML_VENDOR "]\r\n");
    } else if (!strcmp(word, "profile")) {
        put_text("m-profile-[" MCUML_PROFILE "]\r\nm-model-[" MCUML_PROFILE_MODEL "]\r\n");
    } else if (!strcmp(word, "help")) {
        help();
    } else if (!strcmp(word, "timestamp")) {
        timestamp();
    } else if (!strcmp(word, "db")) {
        db();
    } else if (!strcmp(word, "infer")) {
        infer();
    } else if (!strcmp(word, "results")) {
        suite_results();
    } else {
        return 0;
    }
    return 1;
}
