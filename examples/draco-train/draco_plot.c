/* draco_plot: draw the accuracy of several runs of draco-train into one picture.
   usage: draco_plot PICTURE.svg|.png TITLE METRICS... */
#include "train_plot.h"

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: draco_plot PICTURE.svg|.png TITLE METRICS...\n");
        return 2;
    }
    for (const char *p = argv[2]; *p; p++)
        if (strchr("'\\<>&", *p)) {
            fprintf(stderr, "draco_plot: the title may not contain '%c'\n", *p);
            return 2;
        }
    return train_plot(argv[1], argv[2], (const char *const *)argv + 3, (size_t)(argc - 3)) == 0 ? 0 : 1;
}
