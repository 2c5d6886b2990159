/* ---- The recipe. Pictures are arrays of rows, floats in 0..1. ----

   Each function is the twin of one of the same name in tinymnist/imaging/digit/. */

enum { SIDE = 384, AREA = SIDE * SIDE, COARSE = 64, SAMPLE = 8192 };
#define NORMAL_MEDIAN 0.6745f /* of the absolute value of a standard normal number */

/* A component: its box (bottom and right exclusive), its ink, its pixels along the frame. */
typedef struct { int up, top, left, bottom, right, frame, kept; double mass; } Part;

static float small[AREA], ink[AREA], smooth[AREA];
static int label[AREA];
static Part part[AREA / 4 + SIDE]; /* 8-connected components cannot be denser */
static float sample[2 * SAMPLE + 2];

static int at_most(int value, int limit) { return value < limit ? value : limit; }
static int at_least(int value, int limit) { return value > limit ? value : limit; }
static int within(int value, int low, int high) { return at_most(at_least(value, low), high); }
static float unit(float value) { return fminf(fmaxf(value, 0), 1); }

/* Average blocks of pixels until no side is longer. The picture comes as bytes or as floats. */
static void shrink(const unsigned char *bytes, const float *floats, int *h, int *w, int side,
                   float *y)
{
    int factor = (at_least(*h, *w) + side - 1) / side;
    int rows = (*h + factor - 1) / factor, columns = (*w + factor - 1) / factor;
    for (int row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
            int last_row = at_most((row + 1) * factor, *h), seen = 0;
            float sum = 0;
            for (int b = column * factor; b < at_most((column + 1) * factor, *w); b++, seen++) {
                float down = 0;
                for (int a = row * factor; a < last_row; a++) {
                    long place = (long)a * *w + b;
                    down += bytes ? bytes[place] / 255.0f : floats[place];
                }
                sum += down / (float)(last_row - row * factor);
            }
            y[row * columns + column] = sum / (float)seen;
        }
    }
    *h = rows;
    *w = columns;
}

/* The median of n numbers of which so many have each value; halfway between two if n is even. */
static double counted_median(const int *counts, int n)
{
    int low = 0, high = 0, below = counts[0];
    while (below <= (n - 1) / 2) below += counts[++low];
    for (high = low; below <= n / 2;) below += counts[++high];
    return (low + high) / 2.0;
}

/* Reduce by the darkest pixels of blocks, so that hairlines do not pale; by the lightest if those
   stand out more. 0 if the picture is too narrow. */
static int shrink_to_lines(const unsigned char *bytes, int *h, int *w, float *y)
{
    int factor = (at_least(*h, *w) + SIDE - 1) / SIDE, rows = *h / factor, columns = *w / factor;
    int darkest[256] = {0}, lightest[256] = {0}, n = rows * columns;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        int low = 255, high = 0;
        for (int k = 0; k < factor * factor; k++) {
            long row = (long)(i / columns) * factor + k / factor;
            int value = bytes[row * *w + i % columns * factor + k % factor];
            low = at_most(low, value), high = at_least(high, value);
        }
        darkest[low]++, lightest[high]++, sum += low + high;
        y[i] = (float)low / 255, smooth[i] = (float)high / 255;
    }
    if (n == 0) return 0;
    sum -= n * (counted_median(darkest, n) + counted_median(lightest, n));
    if (sum >= 0) memcpy(y, smooth, (size_t)n * sizeof *y);
    *h = rows, *w = columns;
    return 1;
}

/* The smallest box around what is above a level: 0 if there is none. */
static int bounds(const float *x, int h, int w, float level, int box[4])
{
    box[0] = h, box[1] = w, box[2] = box[3] = 0;
    for (int i = 0; i < h * w; i++) {
        if (!(x[i] > level)) continue;
        box[0] = at_most(box[0], i / w), box[1] = at_most(box[1], i % w);
        box[2] = at_least(box[2], i / w + 1), box[3] = at_least(box[3], i % w + 1);
    }
    return box[2] > 0;
}

static void centre_of_mass(const float *x, int h, int w, double *down, double *right)
{
    double total = 0, vertical = 0, horizontal = 0;
    for (int i = 0; i < h * w; i++) {
        total += x[i], vertical += x[i] * (double)(i / w), horizontal += x[i] * (double)(i % w);
    }
    *down = vertical / total, *right = horizontal / total;
}

/* 28x28, black around a white digit of 20 pixels in the middle. */
static int is_mnist(const float *grey, int h, int w)
{
    int box[4], zeros = 0, longest;
    float most = 0;
    double down, right;
    if (h != 28 || w != 28) return 0;
    for (int i = 0; i < 784; i++) zeros += grey[i] <= 0, most = fmaxf(most, grey[i]);
    if (most < 0.9f || zeros < 393 || !bounds(grey, 28, 28, 0, box)) return 0;
    longest = at_least(box[2] - box[0], box[3] - box[1]);
    centre_of_mass(grey, 28, 28, &down, &right);
    return longest >= 19 && longest <= 20 && fmax(fabs(down - 14), fabs(right - 14)) < 1;
}

/* Whether a polynomial of the second degree explains all pixels: then there is only light. */
static int is_empty(const float *grey, int h, int w)
{
    double m[6][7] = {{0}}, most = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < h * w; i++) {
            double y = h > 1 ? 2.0 * (i / w) / (h - 1) - 1 : -1;
            double x = w > 1 ? 2.0 * (i % w) / (w - 1) - 1 : -1, error = grey[i];
            double term[6] = {1, y, x, y * y, y * x, x * x};
            for (int a = 0; a < 6; a++) {
                for (int b = 0; b < 6 && !pass; b++) m[a][b] += term[a] * term[b];
                if (pass) error -= term[a] * m[a][6];
                else m[a][6] += term[a] * grey[i];
            }
            most = pass ? fmax(most, fabs(error)) : 0;
        }
        for (int a = 0; a < 6 && !pass; a++) { /* Gauss and Jordan; what is not determined is 0 */
            double pivot = m[a][a];
            for (int b = 0; b < 7; b++) m[a][b] = pivot > 1e-9 * h * w ? m[a][b] / pivot : 0;
            for (int c = 0; c < 6; c++) {
                double times = c == a ? 0 : m[c][a];
                for (int b = 0; b < 7; b++) m[c][b] -= times * m[a][b];
            }
        }
    }
    return most < 0.04;
}

/* -1.25, certainly light on dark, to 1.25, certainly dark on light; of a coarse picture. */
static double ink_darkness(const float *grey, int h, int w)
{
    double votes = 0, total = 0, mean = 0, skew = 0, spread = 0, darkness;
    for (int i = 0; i < h * w; i++) mean += grey[i];
    mean /= h * w;
    for (int i = 0; i < h * w; i++) {
        double off = mean - grey[i];
        skew += off * off * off, spread += fabs(off * off * off);
        for (int d = 1; d <= 4; d *= 2) { /* a stroke is darker than what lies on both its sides */
            static const int step[4][2] = {{1, 1}, {1, 0}, {1, -1}, {0, 1}};
            float darker = grey[i], lighter = grey[i];
            double ridge;
            for (int k = 0; k < 4; k++) {
                int a = d * step[k][0], b = d * step[k][1], row = i / w, column = i % w;
                float one = grey[within(row + a, 0, h - 1) * w + within(column + b, 0, w - 1)];
                float two = grey[within(row - a, 0, h - 1) * w + within(column - b, 0, w - 1)];
                darker = fmaxf(darker, fminf(one, two));
                lighter = fminf(lighter, fmaxf(one, two));
            }
            ridge = darker - grey[i] >= grey[i] - lighter ? darker - grey[i] : lighter - grey[i];
            votes += ridge * fabs(ridge), total += ridge * ridge;
        }
    }
    darkness = (total > 0 ? votes / total : 0) + (spread > 0 ? skew / spread / 4 : 0);
    return fabs(darkness) > 1e-5 ? darkness : 0;
}

/* Whether the median of n numbers is above a limit: they are counted, not sorted. */
static int median_exceeds(const float *x, int n, float limit)
{
    int count = 0;
    float below = -INFINITY, above = INFINITY;
    for (int i = 0; i < n; i++) {
        if (x[i] <= limit) count++, below = fmaxf(below, x[i]);
        else above = fminf(above, x[i]);
    }
    if (n % 2 == 0 && count == n / 2) return (below + above) / 2 > limit;
    return count <= n / 2;
}

/* Whether noise from pixel to pixel is stronger than a standard deviation. */
static int noise_exceeds(const float *x, int h, int w, float limit)
{
    int n = 0, area = (h - 2) * (w - 2), step = at_least(1, area / SAMPLE);
    for (int place = 0; place < area; place += step) {
        const float *p = x + place / (w - 2) * w + place % (w - 2);
        float row[3];
        for (int i = 0; i < 3; i++) row[i] = p[2 * w + i] - 2 * p[w + i] + p[i];
        sample[n++] = fabsf(row[2] - 2 * row[1] + row[0]);
    }
    return median_exceeds(sample, n, limit * 6 * NORMAL_MEDIAN);
}

/* The mean of 3x3 pixels, in place. */
static void average(float *x, int h, int w)
{
    static float above[SIDE], row[SIDE];
    memcpy(above, x, (size_t)w * sizeof *x);
    for (int i = 0; i < h; i++) {
        float *here = x + i * w, *below = i + 1 < h ? here + w : here;
        memcpy(row, here, (size_t)w * sizeof *x);
        for (int j = 0; j < w; j++) {
            float sum = 0;
            for (int k = j - 1; k <= j + 1; k++) {
                int b = within(k, 0, w - 1);
                sum += above[b] + row[b] + (below == here ? row[b] : below[b]);
            }
            here[j] = sum / 9;
        }
        memcpy(above, row, (size_t)w * sizeof *x);
    }
}

/* The largest number (sign 1) or smallest one (-1) within so far of each, along a line. */
static void extreme(float *x, int n, int stride, int radius, float sign)
{
    static float line[3 * SIDE];
    int reach = at_most(radius, n - 1), length = n + 2 * reach, width = 2 * reach + 1;
    for (int i = 0; i < length; i++) line[i] = sign * x[within(i - reach, 0, n - 1) * stride];
    for (int covered = 1, step; covered < width; covered += step) {
        step = at_most(covered, width - covered); /* of 2k numbers: that of two times k */
        length -= step;
        for (int i = 0; i < length; i++) line[i] = fmaxf(line[i], line[i + step]);
    }
    for (int i = 0; i < n; i++) x[i * stride] = sign * line[i];
}

static void extreme_of_squares(float *x, int h, int w, int radius, float sign)
{
    for (int i = 0; i < h; i++) extreme(x + i * w, w, 1, radius, sign);
    for (int j = 0; j < w; j++) extreme(x + j, h, w, radius, sign);
}

/* How much of the paper's light is missing: paper is a grey closing of the smoothed picture. */
static void ink_map(const float *grey, int h, int w, float *y)
{
    int passes = at_most(h, w) >= 40 ? 4 : 0;
    float brightest = 0;
    memcpy(smooth, grey, (size_t)(h * w) * sizeof *grey);
    while (passes-- > 0 && noise_exceeds(smooth, h, w, 0.015f)) average(smooth, h, w);
    int radius = at_least(1, (int)nearbyint(0.3 * at_least(h, w) / 2));
    extreme_of_squares(smooth, h, w, radius, 1);
    extreme_of_squares(smooth, h, w, radius, -1);
    for (int i = 0; i < h * w; i++) brightest = fmaxf(brightest, smooth[i]);
    for (int i = 0; i < h * w; i++) {
        y[i] = unit(1 - grey[i] / fmaxf(smooth[i], 0.25f * brightest + 1e-6f));
    }
}

/* The level that separates two classes best: Otsu's. */
static float otsu_level(const float *x, int n)
{
    double counts[256] = {0}, between[255], total_mass = 0, below = 0, mass = 0, most = 0;
    for (int i = 0; i < n; i++) counts[at_most((int)(x[i] * 256), 255)]++;
    for (int k = 0; k < 256; k++) total_mass += counts[k] * (k + 0.5) / 256;
    for (int k = 0; k < 255; k++) {
        below += counts[k], mass += counts[k] * (k + 0.5) / 256;
        double pairs = below * (n - below), off = total_mass * below / n - mass;
        between[k] = pairs > 0 ? off * off / pairs : 0;
        most = fmax(most, between[k]);
    }
    int first = 0, last;
    while (between[first] < most * (1 - 1e-9)) first++;
    for (last = first; last < 254 && between[last + 1] >= most * (1 - 1e-9);) last++;
    return (float)((first + last + 2) / 512.0);
}

/* A picture split into ink, above the level, and paper. */
typedef struct { float level, contrast; double paper, full; int stands_out; } Split;

/* The median of the sample, which becomes sorted (Shell). */
static double sorted_median(int n)
{
    for (int gap = n / 2; gap > 0; gap /= 2) {
        for (int i = gap; i < n; i++) {
            float value = sample[i];
            int j = i;
            for (; j >= gap && sample[j - gap] > value; j -= gap) sample[j] = sample[j - gap];
            sample[j] = value;
        }
    }
    return ((double)sample[n / 2] + sample[(n - 1) / 2]) / 2;
}

/* Evenly spaced numbers on one side of the level: as many as are enough for a median. */
static int take_sample(const float *x, int n, float level, int above, int count)
{
    int step = at_least(1, count / SAMPLE), seen = 0, taken = 0;
    for (int i = 0; i < n; i++) {
        if ((x[i] > level) == above && seen++ % step == 0) sample[taken++] = x[i];
    }
    return taken;
}

static Split split_at_otsu(const float *x, int n)
{
    Split s = {otsu_level(x, n), 0, 0, 0, 0};
    int above = 0, taken;
    double sums[2] = {0, 0};
    for (int i = 0; i < n; i++) above += x[i] > s.level, sums[x[i] > s.level] += x[i];
    if (above == 0 || above == n) return s;
    s.contrast = (float)(sums[1] / above - sums[0] / (n - above));
    s.full = sorted_median(take_sample(x, n, s.level, 1, above));
    taken = take_sample(x, n, s.level, 0, n - above);
    s.paper = sorted_median(taken);
    for (int i = 0; i < taken; i++) sample[i] = fabsf(sample[i] - (float)s.paper);
    double contrast = s.full - s.paper;
    s.stands_out = contrast >= 0.04
        && !median_exceeds(sample, taken, (float)(contrast / 4) * NORMAL_MEDIAN);
    return s;
}

/* Give isolated pixels the median of the eight around them, if they abound. */
static void remove_specks(float *x, int h, int w)
{
    for (int pass = 0; pass < 4; pass++) {
        int specks = 0;
        memcpy(smooth, x, (size_t)(h * w) * sizeof *x);
        for (int i = 0; i < h * w; i++) {
            float eight[8];
            int n = 0, alike = 0;
            for (int a = -1; a <= 1; a++) {
                for (int b = -1; b <= 1; b++) {
                    int row = i / w + a, column = i % w + b, k = n;
                    if (a == 0 && b == 0) continue;
                    row = row < 0 ? 1 : row == h ? h - 2 : row; /* mirrored at the edge */
                    column = column < 0 ? 1 : column == w ? w - 2 : column;
                    float value = x[row * w + column];
                    alike += fabsf(value - x[i]) < 0.3f;
                    for (; k > 0 && eight[k - 1] > value; k--) eight[k] = eight[k - 1];
                    eight[k] = value, n++;
                }
            }
            if (alike <= 1) smooth[i] = (eight[3] + eight[4]) / 2, specks++;
        }
        if (specks <= 0.015 * h * w) return;
        memcpy(x, smooth, (size_t)(h * w) * sizeof *x);
    }
}

/* Make noise small against ink, and split the result. */
static Split denoise(float *x, int h, int w)
{
    Split s;
    if (at_most(h, w) < 40) {
        if (at_most(h, w) < 24) return split_at_otsu(x, h * w);
        remove_specks(x, h, w);
        s = split_at_otsu(x, h * w);
        if (s.stands_out) return s;
        average(x, h, w);
        return split_at_otsu(x, h * w);
    }
    for (int pass = 0; pass < 4; pass++) {
        s = split_at_otsu(x, h * w);
        if (s.stands_out && !noise_exceeds(x, h, w, 0.12f * s.contrast)) return s;
        average(x, h, w);
    }
    return split_at_otsu(x, h * w);
}

static int root_of(int i)
{
    while (part[i].up != i) i = part[i].up = part[part[i].up].up;
    return i;
}

/* Label the 8-connected components of what is above a level, from 0; -1 is paper. */
static int find_components(const float *x, int h, int w, float level)
{
    static const int before[4][2] = {{0, -1}, {-1, -1}, {-1, 0}, {-1, 1}};
    int n = 0, count = 0;
    for (int i = 0; i < h * w; i++) {
        label[i] = -1;
        if (!(x[i] > level)) continue;
        for (int k = 0; k < 4; k++) {
            int row = i / w + before[k][0], column = i % w + before[k][1], other;
            if (row < 0 || column < 0 || column >= w || label[row * w + column] < 0) continue;
            other = root_of(label[row * w + column]);
            if (label[i] < 0) label[i] = other;
            else part[at_least(other, root_of(label[i]))].up = at_most(other, root_of(label[i]));
        }
        if (label[i] < 0) part[n].up = n, label[i] = n++;
    }
    for (int i = 0; i < n; i++) { /* ``kept`` holds the final number until all have one */
        part[i].kept = part[i].up == i ? count++ : part[root_of(i)].kept;
    }
    for (int i = 0; i < h * w; i++) label[i] = label[i] < 0 ? -1 : part[label[i]].kept;
    for (int i = 0; i < count; i++) part[i] = (Part){i, h, w, 0, 0, 0, 0, 0};
    for (int i = 0; i < h * w; i++) {
        int row = i / w, column = i % w;
        if (label[i] < 0) continue;
        Part *p = part + label[i];
        p->top = at_most(p->top, row), p->bottom = at_least(p->bottom, row + 1);
        p->left = at_most(p->left, column), p->right = at_least(p->right, column + 1);
        p->frame += row == 0 || row == h - 1 || column == 0 || column == w - 1;
        p->mass += x[i];
    }
    return count;
}

/* Take away what lies along the frame, if it is darker than the digit: then 1, to split again. */
static int erase_margin(float *x, int h, int w, float level)
{
    int n = find_components(x, h, w, level), deep = h / 5, wide = w / 5, margin = 0, other = 0;
    for (int i = 0; i < n; i++) {
        Part *p = part + i;
        p->kept = (p->top == 0 && p->bottom <= deep) || (p->bottom == h && p->top >= h - deep)
            || (p->left == 0 && p->right <= wide) || (p->right == w && p->left >= w - wide);
    }
    for (int i = 0; i < h * w; i++) {
        smooth[i] = label[i] >= 0 && part[label[i]].kept;
        margin += smooth[i] > 0, other += label[i] >= 0 && !(smooth[i] > 0);
    }
    if (margin == 0 || other >= 0.1 * margin) return 0;
    extreme_of_squares(smooth, h, w, 1, 1);
    for (int i = 0; i < h * w; i++) x[i] = smooth[i] > 0 ? 0 : x[i];
    return 1;
}

/* Clear the paper to 0, fill the ink to 1, keep the edges between them soft. */
static int threshold(float *x, int h, int w, Split s)
{
    while (s.stands_out && erase_margin(x, h, w, s.level)) s = split_at_otsu(x, h * w);
    if (!s.stands_out) return DIGITS_BLANK;
    double low = s.paper + (s.full - s.paper) * 0.25, high = s.paper + (s.full - s.paper) * 0.75;
    for (int i = 0; i < h * w; i++) x[i] = unit((x[i] - (float)low) / (float)(high - low));
    return 0;
}

static unsigned char mask[AREA], ruled[AREA];
static short run[AREA], off[AREA];
static short line_of[AREA]; /* from 1; 0 is a free pixel, -1 one of something else than a line */

enum { SLOPES = 51, MOST_LINES = SIDE / 4 };

/* The row at which a nearly level line of some slope through a pixel crosses the middle column. */
static int height_of(int slope, int row, int column, int w)
{
    int reach = (int)ceil(0.1 * w / 2) + 2;
    return (int)nearbyint(row - (0.004 * slope - 0.1) * (column - w / 2)) + reach;
}

/* Whether ink goes nearly all along the only line, from edge to edge. */
static int runs_through(int h, int w, int down, int right)
{
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    int inked = 0;
    for (int row = 0; row < h; row++) {
        for (int column = 0; column < w; column++) {
            if (line_of[row * down + column * right] < 1) continue;
            n++, x += column, y += row, xx += (double)column * column, xy += (double)column * row;
        }
    }
    double slope = (xy - x * y / n) / (xx - x * x / n), start = (y - slope * x) / n;
    for (int column = 0; column < w; column++) {
        int here = (int)nearbyint(start + slope * column), any = 0;
        for (int a = here - 1; a <= here + 1; a++) {
            any |= mask[within(a, 0, h - 1) * down + column * right];
        }
        inked += any;
    }
    return inked >= 0.9 * w;
}

/* Mark the pixels of nearly level lines that no stroke crosses (Hough); the number of lines. Steps
   down and right lead from pixel to pixel: exchanged, they find the upright lines. */
static int rule_pixels(int h, int w, int down, int right, double thickest)
{
    static int votes[SLOPES][SIDE + 64];
    static unsigned char seen[SIDE];
    int lines = 0, places = h + 2 * ((int)ceil(0.1 * w / 2) + 2);
    memset(votes, 0, sizeof votes);
    for (int column = 0; column < w; column++) {
        for (int row = 0, end; row < h; row = end) {
            int inked = mask[row * down + column * right];
            for (end = row; end < h && mask[end * down + column * right] == inked;) end++;
            for (int a = row; a < end; a++) {
                int i = a * down + column * right;
                run[i] = (short)(mask[i] ? end - row : 0), line_of[i] = 0;
                if (!mask[i] || run[i] > thickest) continue;
                for (int s = 0; s < SLOPES; s++) votes[s][height_of(s, a, column, w)]++;
            }
        }
    }
    for (int search = 0; search < h / 4; search++) {
        int slope = 0, place = 0, count = 0, columns = 0;
        for (int i = 0; i < SLOPES * places; i++) {
            if (votes[i / places][i % places] <= votes[slope][place]) continue;
            slope = i / places, place = i % places;
        }
        if (3 * votes[slope][place] < 0.55 * w) break;
        memset(seen, 0, sizeof seen);
        for (int k = 0; k < h * w; k++) {
            int row = k / w, column = k % w, i = row * down + column * right, from;
            if (!mask[i] || run[i] > thickest || line_of[i]) continue;
            from = height_of(slope, row, column, w) - place;
            if (from > 1 + (int)thickest || -from > 1 + (int)thickest) continue;
            line_of[i] = (short)(lines + 1), off[i] = (short)from, count++;
            if (from >= -1 && from <= 1) seen[column] = 1;
            for (int s = 0; s < SLOPES; s++) votes[s][height_of(s, row, column, w)]--;
        }
        if (count == 0) break;
        for (int column = 0; column < w; column++) columns += seen[column];
        if (columns >= 0.55 * w && lines < MOST_LINES) {
            lines++;
            continue;
        }
        for (int i = 0; i < h * w; i++) line_of[i] = line_of[i] == lines + 1 ? -1 : line_of[i];
    }
    if (lines == 1 && !runs_through(h, w, down, right)) return 0;
    for (int line = 1; line <= lines; line++) {
        int counts[SIDE + 1] = {0}, n = 0;
        for (int i = 0; i < h * w; i++) {
            if (line_of[i] == line && off[i] >= -1 && off[i] <= 1) counts[run[i]]++, n++;
        }
        double thickness = n > 0 ? counted_median(counts, n) : SIDE;
        for (int i = 0; i < h * w; i++) {
            if (line_of[i] != line || run[i] > 1.5 * thickness + 1) continue;
            if (off[i] <= thickness + 1 && -off[i] <= thickness + 1) ruled[i] = 1;
        }
    }
    return lines;
}

/* Take lines from edge to edge out of the ink; strokes that cross them stay whole. 1 if any. */
static int erase_rules(float *x, int h, int w)
{
    int edges[4] = {0, 0, 0, 0}, kept = 0, taken = 0, framed = 0;
    for (int i = 0; i < h * w; i++) {
        int row = i / w, column = i % w;
        mask[i] = x[i] > 0.1f, ruled[i] = 0;
        if (!mask[i]) continue;
        edges[0] |= column < 2, edges[1] |= column >= w - 2;
        edges[2] |= row < 2, edges[3] |= row >= h - 2;
    }
    if (at_most(h, w) < 32 || !((edges[0] && edges[1]) || (edges[2] && edges[3]))) return 0;
    double thickest = 1 + 0.035 * at_least(h, w);
    int count = rule_pixels(h, w, w, 1, thickest) + rule_pixels(w, h, 1, w, thickest);
    for (int i = 0; i < h * w; i++) {
        int row = i / w, column = i % w, is_kept = mask[i] && !ruled[i];
        kept += is_kept, taken += ruled[i];
        if (is_kept) framed |= row == 0 || row == h - 1 || column == 0 || column == w - 1;
        smooth[i] = ruled[i];
    }
    if (count == 0 || (count == 1 && framed) || kept < 0.1 * taken) return 0;
    extreme_of_squares(smooth, h, w, 1, 1); /* and their soft edges */
    for (int i = 0; i < h * w; i++) {
        if (ruled[i] || (smooth[i] > 0 && !mask[i])) x[i] = 0;
    }
    return 1;
}

/* Whether a part has ink all along at least three of its sides, within a fifth from them. */
static int has_sides(const Part *p, int number, int w)
{
    static unsigned char seen[4][SIDE]; /* along the top, the bottom, the left, the right */
    int high = p->bottom - p->top, wide = p->right - p->left, missing = 0;
    int rows = (high + 4) / 5, columns = (wide + 4) / 5;
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < high * wide; i++) {
        int row = i / wide, column = i % wide;
        if (label[(p->top + row) * w + p->left + column] != number) continue;
        seen[0][column] |= row < rows, seen[1][column] |= row >= high - rows;
        seen[2][row] |= column < columns, seen[3][row] |= column >= wide - columns;
    }
    for (int side = 0; side < 4; side++) {
        int length = side < 2 ? wide : high, covered = 0;
        for (int k = 0; k < length; k++) covered += seen[side][k];
        missing += covered < 0.9 * length;
    }
    return missing <= 1;
}

/* Whether a part is a circle or a box drawn around others, with hardly any ink among them. */
static int is_enclosure(int number, int n, int w)
{
    const Part *p = part + number;
    int box[4] = {SIDE, SIDE, 0, 0}, own = 0;
    for (int i = 0; i < n; i++) {
        const Part *q = part + i;
        int inside = q->top > p->top && q->left > p->left && q->bottom < p->bottom
            && q->right < p->right;
        if (!inside || q->bottom - q->top < 0.28 * (p->bottom - p->top)) continue;
        box[0] = at_most(box[0], q->top), box[1] = at_most(box[1], q->left);
        box[2] = at_least(box[2], q->bottom), box[3] = at_least(box[3], q->right);
    }
    if (box[2] == 0) return 0;
    for (int row = box[0]; row < box[2]; row++) {
        for (int column = box[1]; column < box[3]; column++) {
            own += label[row * w + column] == number;
        }
    }
    if (own > 0.02 * (box[2] - box[0]) * (box[3] - box[1])) return 0;
    return p->right - p->left >= 0.85 * (p->bottom - p->top) || has_sides(p, number, w);
}

/* Take the ink of enclosures, among the three parts with the most, out of the count. */
static void drop_enclosures(int n, int w)
{
    int chosen[3] = {-1, -1, -1};
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < n; i++) {
            if (i == chosen[0] || i == chosen[1]) continue;
            if (chosen[k] < 0 || part[i].mass > part[chosen[k]].mass) chosen[k] = i;
        }
    }
    for (int k = 0; k < 3; k++) {
        if (chosen[k] >= 0 && is_enclosure(chosen[k], n, w)) part[chosen[k]].mass = 0;
    }
}

/* One number of a line resampled to ``to`` numbers, by a triangle (or a box) as wide as needed. */
static float resampled(const float *x, int n, int stride, int to, int place, int box)
{
    double scale = (double)n / to, wide = fmax(scale, 1), support = box ? wide / 2 : wide;
    double centre = (place + 0.5) * scale, sum = 0, total = 0;
    int first = at_least((int)(centre - support + 0.5), 0);
    int last = at_most((int)(centre + support + 0.5), n);
    for (int i = first; i < last; i++) {
        double off = (i - centre + 0.5) / wide, share = fmax(1 - fabs(off), 0);
        if (box) share = off > -0.5 && off <= 0.5;
        sum += share * x[i * stride], total += share;
    }
    return (float)(sum / total);
}

enum { ROOM = 8, FINE = 80 + 2 * ROOM }; /* four pixels for one of the box, and room to grow */

/* Resample ``x``, whose rows are ``stride`` long, to (rows, columns): across, then down. */
static void resize(const float *x, int h, int w, int stride, float *y, int rows, int columns,
                   int box)
{
    static float lines[SIDE * FINE];
    for (int i = 0; i < h * columns; i++) {
        lines[i] = resampled(x + i / columns * stride, w, 1, columns, i % columns, box);
    }
    for (int i = 0; i < rows * columns; i++) {
        y[i] = resampled(lines + i % columns, h, columns, rows, i / columns, box);
    }
}

static void scaled_shape(int *h, int *w, int side)
{
    double scale = (double)side / at_least(*h, *w);
    *h = at_least(1, (int)nearbyint(*h * scale)), *w = at_least(1, (int)nearbyint(*w * scale));
}

/* The average width of the strokes: twice the ink over the sum of the gradient's length. */
static float stroke_width(const float *x, int h, int w)
{
    double total = 0, climb = 0;
    for (int i = 0; i < h * w; i++) total += x[i];
    for (int a = -1; a <= h; a++) {
        for (int b = -1; b <= w; b++) {
            int row = within(a, 0, h - 1), column = within(b, 0, w - 1);
            float down = x[within(a + 1, 0, h - 1) * w + column]
                - x[within(a - 1, 0, h - 1) * w + column];
            float right = x[row * w + within(b + 1, 0, w - 1)]
                - x[row * w + within(b - 1, 0, w - 1)];
            climb += sqrtf(down * down + right * right);
        }
    }
    return climb > 0 ? (float)(4 * total / climb) : 0;
}

/* The largest number within a disc (invert: the smallest); pixels it cuts count in part. Rows of
   ``x`` are ``stride`` long. */
static void dilate(const float *x, int h, int w, int stride, float radius, int invert, float *y)
{
    int reach = (int)ceilf(radius);
    for (int i = 0; i < h * w; i++) {
        float own = x[i / w * stride + i % w], most = invert ? 1 - own : own;
        for (int a = -reach; a <= reach; a++) {
            for (int b = -reach; b <= reach; b++) {
                float share = unit(radius + 0.5f - hypotf((float)a, (float)b));
                int row = within(i / w + a, 0, h - 1), column = within(i % w + b, 0, w - 1);
                float value = x[row * stride + column];
                most = fmaxf(most, share * (invert ? 1 - value : value));
            }
        }
        y[i] = invert ? 1 - most : most;
    }
}

/* Scale the digit to 20x20 with strokes of MNIST's width, and centre its mass in 28x28. */
static int fit_and_centre(const float *x, int h, int w, float *picture)
{
    static float fine[FINE * FINE], digit[FINE * FINE];
    int box[4], high, wide;
    if (!bounds(x, h, w, 0.5f, box)) return DIGITS_BLANK;
    high = box[2] - box[0], wide = box[3] - box[1];
    x += box[0] * w + box[1];
    int rows = high, columns = wide;
    scaled_shape(&rows, &columns, 80);
    resize(x, high, wide, w, digit, rows, columns, 0);
    float scale = (float)at_least(high, wide) / 80;
    double all = 0, full = 0;
    for (int i = 0; i < rows * columns; i++) {
        float value = unit(digit[i]);
        all += value, full += value > 0.5f ? value : 0;
    }
    if (scale > 1 && full < 0.6 * all) { /* lines too thin to be reduced */
        dilate(x, high, wide, w, scale, 0, smooth);
        resize(smooth, high, wide, wide, digit, rows, columns, 0);
    }
    high = rows + 2 * ROOM, wide = columns + 2 * ROOM;
    for (int i = 0; i < high * wide; i++) fine[i] = 0;
    for (int i = 0; i < rows * columns; i++) {
        fine[(i / columns + ROOM) * wide + i % columns + ROOM] = unit(digit[i]);
    }
    float width = stroke_width(fine, high, wide), narrowest = 4 * 1.85f, widest = 4 * 3.35f;
    if (width > 0 && (width < narrowest || width > widest)) {
        float radius = width < narrowest ? (narrowest - width) / 2
            : fminf((width - widest) / 2, width / 4);
        dilate(fine, high, wide, wide, radius, width > widest, smooth);
        memcpy(fine, smooth, (size_t)(high * wide) * sizeof *fine);
    }
    if (!bounds(fine, high, wide, 0.5f, box)) box[0] = box[1] = 0, box[2] = high, box[3] = wide;
    rows = box[2] - box[0], columns = box[3] - box[1];
    int to_h = rows, to_w = columns;
    scaled_shape(&to_h, &to_w, 20);
    resize(fine + box[0] * wide + box[1], rows, columns, wide, digit, to_h, to_w, 1);
    float most = 0;
    double down, right;
    for (int i = 0; i < to_h * to_w; i++) most = fmaxf(most, digit[i]);
    for (int i = 0; i < to_h * to_w; i++) digit[i] = unit(digit[i] / most);
    centre_of_mass(digit, to_h, to_w, &down, &right);
    int top = within((int)nearbyint(14 - down), 0, 28 - to_h);
    int left = within((int)nearbyint(14 - right), 0, 28 - to_w);
    for (int i = 0; i < 784; i++) picture[i] = 0;
    for (int i = 0; i < to_h * to_w; i++) {
        picture[(top + i / to_w) * 28 + left + i % to_w] = digit[i];
    }
    return 0;
}

/* Marks beside each other, each as tall as a digit, which may be digits of their own: how many,
   what they come to, and whether all of them are in the picture as a whole. */
static int mark_count, are_gathered;
static float marks[6][784];

/* Whether two parts lie across each other: strokes of one digit. */
static int overlap(const Part *p, const Part *q)
{
    int rows = at_most(p->bottom, q->bottom) - at_least(p->top, q->top);
    int columns = at_most(p->right, q->right) - at_least(p->left, q->left);
    int lower = at_most(p->bottom - p->top, q->bottom - q->top);
    int narrower = at_most(p->right - p->left, q->right - q->left);
    return rows > 0.25 * lower && columns > 0.25 * narrower;
}

/* Find such marks in the ink before all but the digit is taken out of it. */
static void separate_marks(const float *x, int n, int h, int w)
{
    static float apart[AREA];
    int tall[100], group[100], main = -1, count = 0, groups = 0;
    for (int i = 0; i < n; i++) {
        if (part[i].frame == 0 && part[i].mass > (main < 0 ? 0 : part[main].mass)) main = i;
    }
    for (int i = 0; i < n && main >= 0; i++) {
        part[i].up = -1; /* its group from here on */
        if (part[i].frame > 0 || part[i].mass < 0.2f * part[main].mass) continue;
        if (part[i].bottom - part[i].top < 0.55 * (part[main].bottom - part[main].top)) continue;
        if (count == 100) return;
        tall[count] = i, group[count] = count, count++;
    }
    for (int a = 0; a < count * count; a++) {
        int from = group[a % count], to = group[a / count];
        if (!overlap(part + tall[a / count], part + tall[a % count])) continue;
        for (int k = 0; k < count; k++) group[k] = group[k] == from ? to : group[k];
    }
    for (int k = 0; k < count; k++) part[tall[k]].up = group[k], groups += group[k] == k;
    are_gathered = 1;
    for (int g = 0, seen = 0; g < count && seen < 6 && groups > 1; g++) {
        float most = 0;
        int held = 0;
        if (group[g] != g) continue;
        seen++;
        for (int i = 0; i < h * w; i++) {
            int own = label[i] >= 0 && part[label[i]].up == g;
            apart[i] = own ? x[i] : 0;
            most = fmaxf(most, apart[i]), held |= own && part[label[i]].kept;
        }
        if (most <= 0.5f || fit_and_centre(apart, h, w, marks[mark_count]) < 0) continue;
        mark_count++, are_gathered &= held;
    }
}

/* Drop specks, fragments of the frame, a circle or box around the digit, anything apart from it. */
static int keep_digit(float *x, int h, int w, int more)
{
    int n = find_components(x, h, w, 0), frame = h > 1 ? 2 * w + 2 * (h - 2) : 2 * w, main = 0;
    double best = -1, total = 0;
    if (n == 0) return DIGITS_BLANK;
    if (n > 1) drop_enclosures(n, w);
    for (int i = 0; i < n; i++) {
        double score = part[i].mass * pow(1 - (double)part[i].frame / frame, 8);
        total += part[i].mass;
        if (score > best) best = score, main = i;
    }
    if (n > 100 && part[main].mass < 0.05 * total) return DIGITS_CROWD;
    Part box = part[main];
    part[main].kept = 1;
    for (int changed = 1; changed;) { /* what lies near, or near to what was gathered before */
        Part around = box;
        double reach = 0.25 * at_least(box.bottom - box.top, box.right - box.left);
        changed = 0;
        for (int i = 0; i < n; i++) {
            Part *p = part + i;
            int gap = at_least(at_least(p->top - box.bottom, box.top - p->bottom),
                               at_least(p->left - box.right, box.left - p->right));
            if (p->kept || gap > reach || p->mass < 0.02f * part[main].mass) continue;
            if (p->frame > 0 && part[main].frame == 0) continue;
            p->kept = changed = 1;
            around.top = at_most(around.top, p->top), around.left = at_most(around.left, p->left);
            around.bottom = at_least(around.bottom, p->bottom);
            around.right = at_least(around.right, p->right);
        }
        box = around;
    }
    if (more) separate_marks(x, n, h, w);
    for (int i = 0; i < h * w; i++) x[i] = label[i] >= 0 && part[label[i]].kept ? x[i] : 0;
    return 0;
}

/* Take out a box with straight sides that touches or crosses its digit: 1 if there is one. */
static int erase_box(float *x, int h, int w)
{
    int box[4], top = SIDE, bottom = 0;
    if (!bounds(x, h, w, 0, box)) return 0;
    int high = box[2] - box[0], wide = box[3] - box[1];
    Part p = {0, box[0], box[1], box[2], box[3], 0, 0, 0};
    for (int i = 0; i < h * w; i++) label[i] = x[i] > 0 ? 0 : -1;
    if (at_most(high, wide) < 24 || !has_sides(&p, 0, w)) return 0;
    for (int i = 0; i < high * wide; i++) {
        mask[i] = label[(box[0] + i / wide) * w + box[1] + i % wide] == 0, ruled[i] = 0;
    }
    double thickest = 1 + 0.04 * at_least(high, wide);
    int count = rule_pixels(high, wide, wide, 1, thickest);
    if (count + rule_pixels(wide, high, 1, wide, thickest) < 3) return 0;
    for (int row = high / 10; row < high - high / 10; row++) {
        for (int column = wide / 10; column < wide - wide / 10; column++) {
            if (!mask[row * wide + column] || ruled[row * wide + column]) continue;
            top = at_most(top, row), bottom = row + 1;
        }
    }
    if (bottom - top < 0.28 * high) return 0; /* what is left is too small for a digit */
    for (int i = 0; i < high * wide; i++) {
        if (ruled[i]) x[(box[0] + i / wide) * w + box[1] + i % wide] = 0;
    }
    return 1;
}

/* All stages on the reduced picture, inverted if the ink is light; with ``more`` also what it is if
   ruled lines are strokes, and without a box that touches it. Returns how many pictures. */
static int run_stages(int h, int w, int invert, int more, float pictures[][784])
{
    static float before[AREA];
    int error, is_ruled, count = 1;
    for (int i = 0; i < h * w && invert; i++) small[i] = 1 - small[i];
    ink_map(small, h, w, ink);
    for (int i = 0; i < h * w && invert; i++) small[i] = 1 - small[i]; /* as it was */
    if ((error = threshold(ink, h, w, denoise(ink, h, w))) < 0) return error;
    memcpy(before, ink, (size_t)(h * w) * sizeof *ink);
    is_ruled = erase_rules(ink, h, w);
    if ((error = keep_digit(ink, h, w, more)) < 0) return error;
    if ((error = fit_and_centre(ink, h, w, pictures[0])) < 0) return error;
    if (more && is_ruled && keep_digit(before, h, w, 0) == 0) {
        count += fit_and_centre(before, h, w, pictures[count]) == 0;
    }
    if (more && erase_box(ink, h, w) && keep_digit(ink, h, w, 0) == 0) {
        count += fit_and_centre(ink, h, w, pictures[count]) == 0;
    }
    return count;
}

/* The reduced picture in all ways in which it may be understood. */
static int reduced_readings(int h, int w, float pictures[6][784])
{
    static float coarse[COARSE * COARSE];
    int count;
    mark_count = 0;
    int coarse_h = h, coarse_w = w;
    shrink(NULL, small, &coarse_h, &coarse_w, COARSE, coarse);
    if (is_empty(coarse, coarse_h, coarse_w)) return DIGITS_BLANK;
    double darkness = ink_darkness(coarse, coarse_h, coarse_w);
    int in_doubt = fabs(darkness) < 0.6, is_light = darkness < 0;
    if ((count = run_stages(h, w, is_light, 1, pictures)) < 0) return count;
    for (int i = 0; i < 784 && h == 28 && w == 28; i++) {
        pictures[count][i] = is_light ? small[i] : 1 - small[i];
    }
    if (in_doubt && is_mnist(pictures[count], h, w)) count++;
    else if (in_doubt && run_stages(h, w, !is_light, 0, pictures + count) == 1) count++;
    if (h == 28 && w == 28) { /* a damaged picture in MNIST's form may be read as it is */
        for (int way = 0; way <= in_doubt; way++, count++) {
            for (int i = 0; i < 784; i++) {
                pictures[count][i] = is_light == (way == 0) ? small[i] : 1 - small[i];
            }
        }
    }
    return count;
}

int digits_readings(const unsigned char *grey, int width, int height, float pictures[6][784])
{
    int h = height, w = width, count;
    mark_count = 0;
    if (!grey || width < 1 || height < 1) return DIGITS_NO_PICTURE;
    shrink(grey, NULL, &h, &w, SIDE, small);
    if (is_mnist(small, h, w)) {
        memcpy(pictures[0], small, 784 * sizeof **pictures);
        return 1;
    }
    count = reduced_readings(h, w, pictures);
    h = height, w = width;
    if (count > 0 || at_least(h, w) <= SIDE || !shrink_to_lines(grey, &h, &w, small)) return count;
    return reduced_readings(h, w, pictures);
}
