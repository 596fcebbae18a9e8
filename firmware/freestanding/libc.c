/* The library functions that the freestanding compiler's own runtime lacks. */
#include <math.h>
#include <stdint.h>
#include <string.h>

size_t strlen(const char *s)
{
    const char *end = s;
    while (*end) {
        end++;
    }
    return (size_t)(end - s);
}

int strcmp(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++) {
    }
    return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n && *a && *a == *b; a++, b++, n--) {
    }
    return n ? (unsigned char)*a - (unsigned char)*b : 0;
}

/* Below 0.625 the odd Taylor-like rational of Cody and Waite ("Software Manual for the Elementary Functions", 1980,
 * chapter 13, single precision); above, 1 - 2 / (exp(2x) + 1); from 9.02 on the nearest float is 1. */
float tanhf(float x)
{
    float a = fabsf(x), r;
    if (a < 0.625f) {
        float g = x * x;
        return x + x * (g * (-0.8237728127e+00f + g * -0.3831010665e-02f) / (g + 0.2471319654e+01f));
    }
    r = a > 9.02f ? 1.0f : 1.0f - 2.0f / (expf(2.0f * a) + 1.0f);
    if (isnan(x)) {
        return x;
    }
    return x < 0 ? -r : r;
}
