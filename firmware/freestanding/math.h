/* What mcuml's C uses of math.h, for a compiler that comes without a C library; its compiler_rt has all but tanhf. */
#ifndef MCUML_FREESTANDING_MATH_H
#define MCUML_FREESTANDING_MATH_H

#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define isnan(x) __builtin_isnan(x)
#define isinf(x) __builtin_isinf(x)

float fabsf(float x);
float sqrtf(float x);
double floor(double x);
float floorf(float x);
float ceilf(float x);
float roundf(float x);
float truncf(float x);
float fmodf(float x, float y);
float fminf(float a, float b);
float fmaxf(float a, float b);
float expf(float x);
float logf(float x);
float sinf(float x);
float cosf(float x);
float tanhf(float x);

#endif
