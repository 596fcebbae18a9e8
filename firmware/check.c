/* CRC-32 as zlib's, and the sum over a command and its reply by which a host believes it. */
#include "check.h"

static uint32_t sum;

/* Four bits at a time: 64 bytes of table instead of 1 KB, and every character of a reply passes here. */
uint32_t crc32_byte(uint32_t crc, uint8_t byte)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    crc ^= byte;
    crc = crc >> 4 ^ table[crc & 15];
    return crc >> 4 ^ table[crc & 15];
}

/* Least significant byte first. */
uint32_t crc32_word(uint32_t crc, uint32_t word)
{
    for (int shift = 0; shift < 32; shift += 8) {
        crc = crc32_byte(crc, (uint8_t)(word >> shift));
    }
    return crc;
}

void check_begin(const char *line)
{
    sum = 0xFFFFFFFFu;
    while (*line) {
        check_add(*line++);
    }
}

void check_add(char c)
{
    sum = crc32_byte(sum, (uint8_t)c);
}

uint32_t check_crc(uint32_t key)
{
    return ~crc32_word(sum, key);
}
