/* draco_plot: draw the test error of several runs of draco-train into one picture.
   usage: draco_plot PICTURE.svg TITLE METRICS... */
#include "train_plot.h"

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: draco_plot PICTURE.svg TITLE METRICS...\n");
        return 2;
    }
    return train_plot("draco_plot", argv[1], argv[2], (const char *const *)argv + 3, (size_t)(argc - 3)) == 0
               ? 0
               : 1;
}
