/* Bytes in, commands out: the state machine that never loses its way. docs/PROTOCOL.md has every byte. */
#ifndef MCUML_PROTOCOL_H
#define MCUML_PROTOCOL_H

#include <stdint.h>

/* What the device says after boot, ending with m-ready. */
void protocol_greet(void);
/* Takes one received byte; answers when it ends a command. */
void protocol_byte(uint8_t byte);

/* For the command handlers. */

/* The next word of the command; 0 at its end. */
char *next_word(void);
/* Words of digits only, at most 32 bits: 1 and *value, else 0. */
int parse_u32(const char *word, uint32_t *value);
/* Pairs of hex digits in place into bytes; how many, or -1 after having printed what is wrong. */
int parse_hex(char *word);
void error_text(const char *text);

/* Each takes the command's first word; 1 = it was one of theirs. */
int mlperf_command(const char *word);
int extension_command(const char *word);
/* The key of the host's session: it is part of every check. */
uint32_t extension_key(void);

#endif
