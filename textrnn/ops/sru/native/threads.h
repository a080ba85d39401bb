// Running a function on several threads at once.
#pragma once

namespace textrnn {

// Call `body(context)` on `threads` threads, the calling one among them, and return when all have. The OpenMP runtime
// that the process holds already (torch's) lends its threads, so that there are never two pools that wait for one
// another's processors; where there is none, a pool of this library's own does.
void run_on(int threads, void (*body)(void*), void* context);

// Which of the two it is: "openmp" or "own".
const char* pool_name();

}  // namespace textrnn
