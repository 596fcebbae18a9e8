/* What MLPerf Tiny's tests make of the bytes that `db` brings and of the model's outputs. docs/MLPERF.md has the table. */
#ifndef MCUML_SUITE_H
#define MCUML_SUITE_H

#include <stdint.h>

/* Byte `offset` of the MCUML_DB_BYTES that `db` loads, in the form in which the host sends them. */
void suite_store(uint32_t offset, uint8_t byte);
uint8_t suite_stored(uint32_t offset);
/* Makes the model's input of them; to be called before an inference, outside of what is timed. */
void suite_load(void);
/* Prints "m-results-[...]": what the test calls its result. */
void suite_results(void);

#endif
