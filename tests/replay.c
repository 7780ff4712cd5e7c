/* The main of corpus replay: feeds each file named on the command line to the fuzz target it is linked with, from a
 * block of exactly the file's size, so that the sanitizer sees a read past the end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        return -1;
    }
    long size = ftell(file);
    rewind(file);
    uint8_t *bytes = malloc((size_t)size);
    size_t got = fread(bytes, 1, (size_t)size, file);
    fclose(file);
    printf("%s\n", path); /* the last one printed is the one that crashed */
    fflush(stdout);
    (void)LLVMFuzzerTestOneInput(bytes, got);
    free(bytes);
    return got == (size_t)size ? 0 : -1;
}

int main(int argc, char **argv)
{
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        if (replay(argv[i]) != 0) {
            return 1;
        }
    }
    return 0;
}
