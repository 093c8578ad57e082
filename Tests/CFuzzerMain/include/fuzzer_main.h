#ifndef FUZZER_MAIN_H
#define FUZZER_MAIN_H

#include <stddef.h>
#include <stdint.h>

/// The entry point of the executable Fuzzer, under the name that SwiftPM gives it: runs libFuzzer.
int Fuzzer_main(int argc, char **argv);

#endif
