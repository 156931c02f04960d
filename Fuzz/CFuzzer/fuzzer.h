// libFuzzer as a library (FuzzerInterface.h of compiler-rt): SwiftPM gives every program a main of its own.
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

int LLVMFuzzerRunDriver(
    int *argc, char *_Nullable *_Nonnull *_Nonnull argv, int (*callback)(const uint8_t *_Nullable data, size_t size));

#pragma clang assume_nonnull end
