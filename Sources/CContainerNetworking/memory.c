#include "CContainerNetworking.h"

#include <malloc.h>

void cn_memory_trim(void) { malloc_trim(0); }
