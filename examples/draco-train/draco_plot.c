/* draco_plot: draw the test error of several runs of draco-train into one picture, or the verdicts of one run.
   usage: draco_plot PICTURE.svg TITLE METRICS...
          draco_plot --verdicts PICTURE.svg TITLE METRICS */
#include "train_grid.h"

int main(int argc, char **argv) {
    const int grid = argc == 5 && strcmp(argv[1], "--verdicts") == 0;
    if (argc < 4 || (!grid && argv[1][0] == '-')) {
        fprintf(stderr, "usage: draco_plot PICTURE.svg TITLE METRICS...\n"
                        "       draco_plot --verdicts PICTURE.svg TITLE METRICS\n");
        return 2;
    }
    if (grid) return train_grid_plot("draco_plot", argv[2], argv[3], argv[4]) == 0 ? 0 : 1;
    return train_plot("draco_plot", argv[1], argv[2], (const char *const *)argv + 3, (size_t)(argc - 3)) == 0
               ? 0
               : 1;
}
