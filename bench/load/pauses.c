/*
 * How often a CPU stops: reads the clock without end and counts the gaps between two readings. On an idle
 * machine of one's own there are hardly any; a virtual machine whose CPUs are lent to others as well has
 * many, and more with all of its CPUs busy.
 *
 *   cc -O2 -o pauses pauses.c
 *   taskset -c 0 ./pauses 4 & taskset -c 1 ./pauses 4; wait
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Shorter gaps are interrupts. */
static const uint64_t PAUSE = 500000;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 4;
    uint64_t begin = now(), last = begin, count = 0, sum = 0, longest = 0;
    uint64_t end = begin + (uint64_t)(seconds * 1e9);
    while (last < end) {
        uint64_t at = now(), gap = at - last;
        if (gap > PAUSE) {
            count++;
            sum += gap;
            if (gap > longest) longest = gap;
        }
        last = at;
    }
    printf("%.0f s: %llu pauses of more than %.1f ms, %.1f ms in all, the longest %.1f ms\n", seconds,
           (unsigned long long)count, (double)PAUSE / 1e6, (double)sum / 1e6, (double)longest / 1e6);
    return 0;
}
