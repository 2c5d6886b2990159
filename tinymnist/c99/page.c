/* $title: a neural network in one C99 file. It needs the C library alone, and allocates nothing.

   $about

   Use it with these declarations, or include this file:

       #define DIGITS_CLASSES $classes
       int digits_read(const unsigned char *grey, int width, int height, float answer[$classes]);
       extern const char *const digits_class_names[$classes];

   Test it:

       cc -std=c99 -O2 -DDIGITS_SELFTEST $file -lm -o selftest && ./selftest

   Pictures of any size are reduced to at most 384 pixels on a side. The working memory, some 6 MB,
   is static, so one thread may read at a time. Decode files and colours to grey bytes first. */

#include <math.h>
#include <stddef.h>
#include <string.h>
#ifdef DIGITS_SELFTEST
#include <stdio.h>
#endif

enum { DIGITS_CLASSES = $classes };
enum { DIGITS_BLANK = -1, DIGITS_CROWD = -2, DIGITS_NO_PICTURE = -3 };

extern const char *const digits_class_names[DIGITS_CLASSES];

/* Read the digit on a picture.

   grey:   width * height bytes, row by row, as displayed: 0 black, 255 white. Ink may be dark on
           light or light on dark, and paper need not be clean.
   answer: the probability of each class.

   Returns the most probable class, an index of digits_class_names; or DIGITS_BLANK if nothing
   stands out from the paper, DIGITS_CROWD if only grain does, DIGITS_NO_PICTURE for no pixels. */
int digits_read(const unsigned char *grey, int width, int height, float answer[DIGITS_CLASSES]);

/* Bring a picture to MNIST's form, 28x28, 0 black paper, 1 white ink, in up to six ways in which
   it may be understood. Returns their number, or an error as above. */
int digits_readings(const unsigned char *grey, int width, int height, float pictures[6][784]);

/* The network: the probability of each class for a picture in MNIST's form. */
void digits_network(const float picture[784], float answer[DIGITS_CLASSES]);

const char *const digits_class_names[DIGITS_CLASSES] = {$class_names};

/* ---- The operations. ---- */

typedef $weight weight;

$functions
/* $specification */

$recipe
/* ---- The network. Its weights are at the end of the file. ---- */

$declarations

void digits_network(const float picture[784], float answer[DIGITS_CLASSES])
{
    static float $buffers;
$network
}

/* The confidence in one of several digits falls to its share of them. */
static void share_among_marks(float answer[DIGITS_CLASSES])
{
    static float found[DIGITS_CLASSES];
    double highest = 0, even = 1.0 / DIGITS_CLASSES, kept;
    int count = 0;
    for (int mark = 0; mark < mark_count; mark++) {
        float sure = 0;
        digits_network(marks[mark], found);
        for (int i = 0; i < DIGITS_CLASSES; i++) sure = fmaxf(sure, found[i]);
        count += sure >= 0.6f;
    }
    for (int i = 0; i < DIGITS_CLASSES; i++) highest = fmax(highest, answer[i]);
    if (count < 2 || (are_gathered && highest >= 0.9)) return;
    kept = fmax(highest / count - even, 0) / fmax(highest - even, 1e-6);
    for (int i = 0; i < DIGITS_CLASSES; i++) answer[i] = (float)(even + kept * (answer[i] - even));
}

int digits_read(const unsigned char *grey, int width, int height, float answer[DIGITS_CLASSES])
{
    static float pictures[6][784], found[DIGITS_CLASSES];
    double sum[DIGITS_CLASSES] = {0}, total = 0;
    int best = 0, count = digits_readings(grey, width, height, pictures);
    for (int way = 0; way < count; way++) { /* each counts by the odds on its best class */
        float sure = 0;
        digits_network(pictures[way], found);
        for (int i = 0; i < DIGITS_CLASSES; i++) sure = fmaxf(sure, found[i]);
        double odds = sure / fmax(1 - (double)sure, 1e-4);
        for (int i = 0; i < DIGITS_CLASSES; i++) sum[i] += odds * found[i];
        total += odds;
    }
    for (int i = 0; i < DIGITS_CLASSES && count > 0; i++) answer[i] = (float)(sum[i] / total);
    if (count > 0 && $of_digits) share_among_marks(answer);
    for (int i = 0; i < DIGITS_CLASSES && count > 0; i++) {
        if (answer[i] > answer[best]) best = i;
    }
    return count > 0 ? best : count;
}

#ifdef DIGITS_SELFTEST
/* ---- The self-test: stored pictures, and what tinymnist makes of them. ---- */

$tests

/* Every picture must come to the stored form, and get the stored probabilities. */
int main(void)
{
    static float pictures[6][784], answer[DIGITS_CLASSES];
    int failed = 0;
    for (int i = 0; i < (int)(sizeof tests / sizeof *tests); i++) {
        const struct Test *t = tests + i;
        double form = 0, answers = 0;
        if (digits_readings(t->grey, t->width, t->height, pictures) < 1) form = 1;
        for (int k = 0; k < 784; k++) form += fabs(pictures[0][k] - t->form[k] / 255.0) / 784;
        digits_read(t->grey, t->width, t->height, answer);
        for (int k = 0; k < DIGITS_CLASSES; k++) {
            answers = fmax(answers, fabs(answer[k] - t->answer[k]));
        }
        int good = form <= 0.004 && answers <= $tolerance;
        printf("%s: %s: form differs by %.5f, answer by %.5f\n", good ? "ok" : "DIFFERS", t->name,
               form, answers);
        failed += !good;
    }
    return failed > 0;
}
#endif

/* ---- The weights. ---- */

$weights
