/* Bytes in, commands out: the state machine that never loses its way. docs/PROTOCOL.md has every byte.
 *
 * Two states: COLLECT gathers bytes up to the terminator; SKIP throws away the rest of a line that is too long. The
 * terminator ends both, so any damage is over with the next '%'. */
#include "protocol.h"

#include <string.h>

#include "check.h"
#include "mcuml_config.h"
#include "port.h"
#include "text.h"

static char line[MCUML_LINE_BYTES + 1];
static uint32_t used;
static uint8_t skip;
static char *cursor;

char *next_word(void)
{
    char *word;
    while (*cursor == ' ') {
        cursor++;
    }
    if (!*cursor) {
        return 0;
    }
    word = cursor;
    while (*cursor && *cursor != ' ') {
        cursor++;
    }
    if (*cursor) {
        *cursor++ = 0;
    }
    return word;
}

int parse_u32(const char *word, uint32_t *value)
{
    uint64_t sum = 0;
    if (!word || !*word) {
        return 0;
    }
    for (; *word; word++) {
        if (*word < '0' || *word > '9') {
            return 0;
        }
        sum = sum * 10 + (uint64_t)(*word - '0');
        if (sum > 0xFFFFFFFFu) {
            return 0;
        }
    }
    *value = (uint32_t)sum;
    return 1;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int parse_hex(char *word)
{
    uint32_t digits = (uint32_t)strlen(word);
    if (digits & 1) {
        error_text("Insufficent number of hex digits"); /* spelt as the official firmware spells it */
        return -1;
    }
    for (uint32_t i = 0; i < digits; i += 2) {
        int high = hex_digit(word[i]), low = hex_digit(word[i + 1]);
        if (high < 0 || low < 0) {
            char pair[3] = {word[i], word[i + 1], 0};
            put_text("e-[Invalid hex digit '");
            put_text(pair);
            put_text("']\r\n");
            return -1;
        }
        word[i / 2] = (char)(high << 4 | low);
    }
    return (int)(digits / 2);
}

void error_text(const char *text)
{
    put_text("e-[");
    put_text(text);
    put_text("]\r\n");
}

/* A last word that begins with '#' is a tag, which asks for a check: 1, and it is taken off. */
static int take_tag(void)
{
    uint32_t at = used;
    while (at && line[at - 1] != ' ') {
        at--;
    }
    if (line[at] != '#') {
        return 0;
    }
    line[at] = 0;
    return 1;
}

static void execute(void)
{
    char *word;
    int tagged;
    check_begin(line);
    tagged = take_tag();
    cursor = line;
    word = next_word();
    if (word && !mlperf_command(word) && !extension_command(word)) {
        put_text("e-[Unknown command: ");
        put_text(word);
        put_text("]\r\n");
    }
    if (tagged) {
        uint32_t crc = check_crc(word ? extension_key() : 0); /* a host that has lost its way need not know the key */
        put_text("m-check-[");
        put_hex32(crc);
        put_text("]\r\n");
    }
    put_text("m-ready\r\n");
}

void protocol_byte(uint8_t byte)
{
    if (byte == MCUML_TERMINATOR) {
        line[used] = 0;
        if (skip) {
            put_text("e-[Command longer than ");
            put_u32(MCUML_LINE_BYTES);
            put_text(" bytes]\r\nm-ready\r\n");
        } else {
            execute();
        }
        used = 0;
        skip = 0;
    } else if (byte == '\r' || byte == '\n') {
        /* A person at a terminal may press Enter; the protocol has no use for it. */
    } else if (used == MCUML_LINE_BYTES) {
        skip = 1;
    } else {
        /* What is not printable can only be damage: it is kept as '?', so that no echo sends control bytes back. */
        line[used++] = byte >= ' ' && byte <= '~' ? (char)byte : '?';
    }
}
