/* The shape of a picture: rows, columns, channels. Its numbers come row by row, pixel by pixel,
   channel by channel. */
typedef struct { int h, w, c; } Shape;

/* A window that slides over a picture: its size, its steps, and where the first one begins. */
typedef struct { int h, w, down, right, top, left; } Window;

/* Slide a kernel (h, w, in, out) over a picture: for each place, the products with what it covers
   are summed per output channel, brought to scale (of int8 weights) and moved by the bias. */
static void conv2d(const float *x, Shape from, Window k, const weight *kernel, const float *scale,
                   const float *bias, float *y, Shape to)
{
    for (int row = 0; row < to.h; row++) {
        for (int column = 0; column < to.w; column++, y += to.c) {
            for (int out = 0; out < to.c; out++) y[out] = 0;
            for (int a = 0; a < k.h; a++) {
                for (int b = 0; b < k.w; b++) {
                    int down = row * k.down - k.top + a, right = column * k.right - k.left + b;
                    if (down < 0 || down >= from.h || right < 0 || right >= from.w) continue;
                    const float *pixel = x + (down * from.w + right) * from.c;
                    const weight *tap = kernel + (a * k.w + b) * from.c * to.c;
                    for (int in = 0; in < from.c; in++, tap += to.c) {
                        for (int out = 0; out < to.c; out++) y[out] += pixel[in] * (float)tap[out];
                    }
                }
            }
            for (int out = 0; out < to.c; out++) {
                y[out] = y[out] * (scale ? scale[out] : 1) + (bias ? bias[out] : 0);
            }
        }
    }
}

/* Every unit weighs all features; kernel (features, units). */
static void dense(const float *x, int features, const weight *kernel, const float *scale,
                  const float *bias, float *y, int units)
{
    for (int unit = 0; unit < units; unit++) y[unit] = 0;
    for (int i = 0; i < features; i++, kernel += units) {
        for (int unit = 0; unit < units; unit++) y[unit] += x[i] * (float)kernel[unit];
    }
    for (int unit = 0; unit < units; unit++) {
        y[unit] = y[unit] * (scale ? scale[unit] : 1) + (bias ? bias[unit] : 0);
    }
}

/* The largest number in each window, per channel; what lies outside the picture never wins. */
static void max_pool(const float *x, Shape from, Window k, float *y, Shape to)
{
    for (int i = 0; i < to.h * to.w * to.c; i++) {
        int channel = i % to.c, column = i / to.c % to.w, row = i / to.c / to.w;
        float most = -INFINITY;
        for (int a = 0; a < k.h; a++) {
            for (int b = 0; b < k.w; b++) {
                int down = row * k.down - k.top + a, right = column * k.right - k.left + b;
                if (down < 0 || down >= from.h || right < 0 || right >= from.w) continue;
                most = fmaxf(most, x[(down * from.w + right) * from.c + channel]);
            }
        }
        y[i] = most;
    }
}

/* The mean of each window, per channel; count_pads: what lies outside counts as zeros. */
static void average_pool(const float *x, Shape from, Window k, int count_pads, float *y, Shape to)
{
    for (int i = 0; i < to.h * to.w * to.c; i++) {
        int channel = i % to.c, column = i / to.c % to.w, row = i / to.c / to.w, count = 0;
        float sum = 0;
        for (int a = 0; a < k.h; a++) {
            for (int b = 0; b < k.w; b++) {
                int down = row * k.down - k.top + a, right = column * k.right - k.left + b;
                int inside = down >= 0 && down < from.h && right >= 0 && right < from.w;
                count += inside || count_pads;
                if (inside) sum += x[(down * from.w + right) * from.c + channel];
            }
        }
        y[i] = sum / (float)count;
    }
}

/* The mean of each channel. */
static void global_average_pool(const float *x, Shape from, float *y)
{
    int pixels = from.h * from.w;
    for (int channel = 0; channel < from.c; channel++) {
        float sum = 0;
        for (int i = 0; i < pixels; i++) sum += x[i * from.c + channel];
        y[channel] = sum / (float)pixels;
    }
}

/* Batch normalization with the statistics of the training: x * slope + shift, per channel. */
static void batch_normalization(float *x, int n, const float *slope, const float *shift,
                                int channels)
{
    for (int i = 0; i < n; i++) x[i] = x[i] * slope[i % channels] + shift[i % channels];
}

/* The range of numbers that the network was trained on. */
static void rescale(const float *x, int n, float scale, float offset, float *y)
{
    for (int i = 0; i < n; i++) y[i] = x[i] * scale + offset;
}

/* x above 0, else 0. */
static void relu(float *x, int n)
{
    for (int i = 0; i < n; i++) x[i] = x[i] > 0 ? x[i] : 0;
}

/* The hyperbolic tangent. */
static void hyperbolic_tangent(float *x, int n)
{
    for (int i = 0; i < n; i++) x[i] = tanhf(x[i]);
}

/* 1 / (1 + e^-x). */
static void sigmoid(float *x, int n)
{
    for (int i = 0; i < n; i++) x[i] = 1 / (1 + expf(-x[i]));
}

/* e^x / sum e^x; the maximum is taken off first, against overflow. */
static void softmax(float *x, int n)
{
    float most = x[0], sum = 0;
    for (int i = 1; i < n; i++) most = fmaxf(most, x[i]);
    for (int i = 0; i < n; i++) sum += x[i] = expf(x[i] - most);
    for (int i = 0; i < n; i++) x[i] /= sum;
}

/* Divide sigmoids by their sum, which makes probabilities of them. */
static void divide_by_sum(float *x, int n)
{
    float sum = 1e-12f;
    for (int i = 0; i < n; i++) sum += x[i];
    for (int i = 0; i < n; i++) x[i] /= sum;
}
