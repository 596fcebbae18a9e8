/* CRC-32 as zlib's, and the sum over a command and its reply by which a host believes it. docs/PROTOCOL.md, "Checks". */
#ifndef MCUML_CHECK_H
#define MCUML_CHECK_H

#include <stdint.h>

/* A sum begins as all ones; its complement is the CRC. */
uint32_t crc32_byte(uint32_t sum, uint8_t byte);
uint32_t crc32_word(uint32_t sum, uint32_t word);

/* A command begins: the sum is that of its line. */
void check_begin(const char *line);
/* One character of the reply. */
void check_add(char c);
/* CRC of the command, its reply so far, and a key. */
uint32_t check_crc(uint32_t key);

#endif
