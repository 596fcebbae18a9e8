/* Text out of the serial port, without stdio. */
#include "text.h"

#include <string.h>

#include "check.h"
#include "port.h"

/* All that is said goes through here, and into the check of the reply. */
static void put_char(char c)
{
    check_add(c);
    port_putc(c);
}

void put_text(const char *text)
{
    while (*text) {
        put_char(*text++);
    }
}

void put_u64(uint64_t value)
{
    char digits[20];
    int n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (n) {
        put_char(digits[--n]);
    }
}

void put_u32(uint32_t value)
{
    put_u64(value);
}

void put_hex8(uint8_t value)
{
    static const char hex[] = "0123456789abcdef";
    put_char(hex[value >> 4]);
    put_char(hex[value & 15]);
}

void put_hex32(uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        put_hex8((uint8_t)(value >> shift));
    }
}

/* mantissa * 2^exponent for a value too large for 64 bits: doubles decimal digits. FLT_MAX has 39 of them. */
static void put_large(uint32_t mantissa, int exponent)
{
    uint8_t digits[40];
    int n = 0;
    do {
        digits[n++] = (uint8_t)(mantissa % 10);
        mantissa /= 10;
    } while (mantissa);
    for (; exponent > 0; exponent--) {
        int carry = 0;
        for (int i = 0; i < n; i++) {
            int twice = 2 * digits[i] + carry;
            carry = twice >= 10;
            digits[i] = (uint8_t)(twice - 10 * carry);
        }
        if (carry) {
            digits[n++] = 1;
        }
    }
    while (n) {
        put_char((char)('0' + digits[--n]));
    }
    put_text(".000");
}

void put_fixed3(float value)
{
    uint32_t bits, mantissa;
    int exponent;
    memcpy(&bits, &value, sizeof bits);
    mantissa = bits & 0x7FFFFFu;
    exponent = (int)(bits >> 23) & 0xFF;
    if (bits >> 31) {
        put_char('-');
    }
    if (exponent == 0xFF) {
        put_text(mantissa ? "nan" : "inf");
        return;
    }
    if (exponent) {
        mantissa |= 0x800000u;
    } else {
        exponent = 1;
    }
    exponent -= 150;
    if (exponent > 0) {
        put_large(mantissa, exponent);
        return;
    }
    /* Thousandths, rounded half to even as printf does: mantissa * 1000 has 34 bits, so a shift of 36 leaves nothing. */
    uint64_t thousandths = (uint64_t)mantissa * 1000u;
    int shift = -exponent;
    if (shift > 36) {
        thousandths = 0;
    } else if (shift) {
        uint64_t rest = thousandths & (((uint64_t)1 << shift) - 1), half = (uint64_t)1 << (shift - 1);
        thousandths >>= shift;
        thousandths += rest > half || (rest == half && (thousandths & 1));
    }
    uint32_t fraction = (uint32_t)(thousandths % 1000);
    put_u64(thousandths / 1000);
    put_char('.');
    put_char((char)('0' + fraction / 100));
    put_char((char)('0' + fraction / 10 % 10));
    put_char((char)('0' + fraction % 10));
}
