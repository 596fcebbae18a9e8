/* mcuml's own commands: who the device is, checked transfer, cycles of model_invoke alone, memory. */
#include <string.h>

#include "check.h"
#include "device.h"
#include "mcuml_build.h"
#include "mcuml_config.h"
#include "model.h"
#include "port.h"
#include "protocol.h"
#include "stack.h"
#include "text.h"

static uint32_t session_key; /* 0 after a reset: a host sees by it that the device has forgotten what it held */

uint32_t extension_key(void)
{
    return session_key;
}

static void number(const char *key, uint32_t value)
{
    put_text(key);
    put_u32(value);
}

static void tensors(const model_tensor *info, int count)
{
    for (int i = 0; i < count; i++) {
        number(i ? "," : "[", info[i].bytes);
    }
    put_text("]");
}

static void identity(void)
{
    put_text("m-id-[{\"protocol\":");
    put_u32(MCUML_PROTOCOL_VERSION);
    put_text(",\"mcuml\":\"" MCUML_VERSION "\",\"board\":\"" MCUML_BOARD "\",\"model\":\"" MCUML_MODEL_ID
             "\",\"sha256\":\"" MCUML_MODEL_SHA256 "\"");
    number(",\"clock_hz\":", MCUML_CLOCK_HZ);
    put_text(",\"inputs\":");
    tensors(model_input_info, MODEL_INPUTS);
    put_text(",\"outputs\":");
    tensors(model_output_info, MODEL_OUTPUTS);
    number(",\"chunk\":", MCUML_CHUNK_BYTES);
    put_text(",\"port\":\"" MCUML_PORT "\",\"build\":\"" MCUML_BUILD "\",\"counter\":\"");
    put_text(port_about.counter);
    number("\",\"step\":", port_about.step);
    number(",\"interrupts\":", port_about.interrupts);
    number(",\"simulated\":", port_about.simulated);
    put_text("}]\r\n");
}

static void memory(void)
{
    number("m-mem-[{\"arena\":", MODEL_ARENA_BYTES);
    number(",\"buffer\":", MCUML_INPUT_BYTES);
    number(",\"stack\":", stack_size());
    number(",\"stack_used\":", stack_used());
#ifdef MODEL_INTERPRETED
    number(",\"arena_used\":", model_arena_used());
#endif
    put_text("}]\r\n");
}

/* 8 hex digits, most significant first. */
static int parse_crc(char *word, uint32_t *crc)
{
    if (!word || parse_hex(word) != 4) {
        return 0;
    }
    *crc = 0;
    for (int i = 0; i < 4; i++) {
        *crc = *crc << 8 | (uint8_t)word[i];
    }
    return 1;
}

static void key(void)
{
    uint32_t told;
    if (!parse_crc(next_word(), &told)) {
        error_text("Command 'mcuml key' requires 8 hex digits");
        return;
    }
    session_key = told;
    put_text("m-key-[");
    put_hex32(told);
    put_text("]\r\n");
}

static void put(void)
{
    const char *where = next_word();
    char *hex = next_word(), *sum = next_word();
    uint32_t offset, wanted, crc;
    int bytes;
    if (!parse_u32(where, &offset) || !hex || !sum) {
        error_text("Command 'mcuml put' requires OFFSET HEX CRC");
        return;
    }
    bytes = parse_hex(hex);
    if (bytes < 0) {
        return;
    }
    if (!parse_crc(sum, &wanted)) {
        error_text("CRC must be 8 hex digits");
        return;
    }
    crc = crc32_word(0xFFFFFFFFu, offset); /* so that a damaged offset is found too */
    for (int i = 0; i < bytes; i++) {
        crc = crc32_byte(crc, (uint8_t)hex[i]);
    }
    if (~crc != wanted) {
        put_text("e-[CRC mismatch: computed ");
        put_hex32(~crc);
        put_text("]\r\n");
    } else if (offset > MCUML_INPUT_BYTES || (uint32_t)bytes > MCUML_INPUT_BYTES - offset) {
        number("e-[Range exceeds the ", MCUML_INPUT_BYTES);
        put_text(" input bytes]\r\n");
    } else {
        memcpy(device_buffer() + offset, hex, (uint32_t)bytes);
        number("m-put-[", offset);
        number(",", (uint32_t)bytes);
        put_text("]\r\n");
    }
}

static void get(void)
{
    uint32_t offset, bytes, crc;
    if (!parse_u32(next_word(), &offset) || !parse_u32(next_word(), &bytes)) {
        error_text("Command 'mcuml get' requires OFFSET N");
    } else if (offset > device_output_bytes() || bytes > device_output_bytes() - offset) {
        number("e-[Range exceeds the ", device_output_bytes());
        put_text(" output bytes]\r\n");
    } else {
        number("m-get-[", offset);
        put_text(",");
        crc = crc32_word(0xFFFFFFFFu, offset);
        while (bytes--) {
            uint8_t byte = device_output_byte(offset++);
            crc = crc32_byte(crc, byte);
            put_hex8(byte);
        }
        put_text(",");
        put_hex32(~crc);
        put_text("]\r\n");
    }
}

static void check(void)
{
    uint32_t crc = crc32_word(0xFFFFFFFFu, 0);
    for (uint32_t i = 0; i < MCUML_INPUT_BYTES; i++) {
        crc = crc32_byte(crc, device_buffer()[i]);
    }
    put_text("m-crc-[");
    put_hex32(~crc);
    number(",", device_inferences());
    put_text("]\r\n");
}

static void run(void)
{
    uint32_t runs;
    uint64_t cycles;
    if (!parse_u32(next_word(), &runs) || !runs) {
        error_text("Command 'mcuml run' requires N > 0");
        return;
    }
    while (runs--) {
        if (device_infer(&cycles)) {
#ifdef MODEL_INTERPRETED
            put_text("e-[model_invoke failed: ");
            put_text(model_error());
            put_text("]\r\n");
#else
            error_text("model_invoke failed");
#endif
            return;
        }
        put_text("m-cycles-[");
        put_u64(cycles);
        put_text("]\r\n");
    }
}

static void layers(void)
{
    if (device_layers() < 0) {
        error_text("Firmware was built without MODEL_PROFILE");
    }
}

int extension_command(const char *word)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } commands[] = {
        {"id", identity}, {"key", key},   {"mem", memory},    {"put", put},          {"get", get},
        {"crc", check},   {"run", run},   {"layers", layers}, {"reset", port_reset},
    };
    if (strcmp(word, "mcuml")) {
        return 0;
    }
    word = next_word();
    for (unsigned i = 0; word && i < sizeof commands / sizeof commands[0]; i++) {
        if (!strcmp(word, commands[i].name)) {
            commands[i].run();
            return 1;
        }
    }
    error_text("Command 'mcuml' requires id, key, mem, put, get, crc, run, layers or reset");
    return 1;
}
