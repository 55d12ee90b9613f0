/* SPDX-License-Identifier: Apache-2.0 */
/* Linear softmax: logits = pixels * weight + bias, trained by gradient descent on the cross entropy. Half of the pixels
 * are 0 and are skipped. Lanes past the last class stay 0 and take no part in the softmax. */
#include "examples/train.h"

#include <math.h>
#include <string.h>

static void compute_logits(const struct train_model *model, const uint8_t *pixels, float *logits)
{
    memcpy(logits, model->bias, sizeof(model->bias));
    for (int p = 0; p < TRAIN_PIXELS; p++) {
        if (pixels[p] == 0)
            continue;
        float x = (float)pixels[p] * (1.0f / 255);
        for (int c = 0; c < TRAIN_LANES; c++)
            logits[c] += x * model->weight[p][c];
    }
}

/* Turns logits into the gradient of the loss towards them, and returns the loss. */
static double softmax_gradient(float *logits, unsigned label)
{
    float most = logits[0], sum = 0;

    for (int c = 1; c < TRAIN_CLASSES; c++)
        most = fmaxf(most, logits[c]);
    for (int c = 0; c < TRAIN_CLASSES; c++) {
        logits[c] = expf(logits[c] - most);
        sum += logits[c];
    }
    for (int c = 0; c < TRAIN_CLASSES; c++)
        logits[c] /= sum;
    for (int c = TRAIN_CLASSES; c < TRAIN_LANES; c++)
        logits[c] = 0;
    double loss = -log((double)logits[label] + 1e-30);
    logits[label] -= 1;
    return loss;
}

static void add_gradient(struct train_model *gradient, const uint8_t *pixels, const float *logits)
{
    for (int c = 0; c < TRAIN_LANES; c++)
        gradient->bias[c] += logits[c];
    for (int p = 0; p < TRAIN_PIXELS; p++) {
        if (pixels[p] == 0)
            continue;
        float x = (float)pixels[p] * (1.0f / 255);
        for (int c = 0; c < TRAIN_LANES; c++)
            gradient->weight[p][c] += x * logits[c];
    }
}

double train_model_step(struct train_model *model, const uint8_t (*pixels)[TRAIN_PIXELS],
                        const uint32_t *index, const uint8_t *labels, uint32_t count, float rate)
{
    struct train_model gradient = {0};
    float logits[TRAIN_LANES];
    float step = rate / (float)count;
    double loss = 0;

    for (uint32_t i = 0; i < count; i++) {
        compute_logits(model, pixels[i], logits);
        loss += softmax_gradient(logits, labels[index[i]]);
        add_gradient(&gradient, pixels[i], logits);
    }
    for (int p = 0; p < TRAIN_PIXELS; p++) {
        for (int c = 0; c < TRAIN_LANES; c++)
            model->weight[p][c] -= step * gradient.weight[p][c];
    }
    for (int c = 0; c < TRAIN_LANES; c++)
        model->bias[c] -= step * gradient.bias[c];
    return loss / count;
}

unsigned train_model_classify(const struct train_model *model, const uint8_t *pixels)
{
    float logits[TRAIN_LANES];
    unsigned best = 0;

    compute_logits(model, pixels, logits);
    for (unsigned c = 1; c < TRAIN_CLASSES; c++) {
        if (logits[c] > logits[best])
            best = c;
    }
    return best;
}
