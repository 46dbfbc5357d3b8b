// Names that have no place on the packet path: no allocation, text, locks, sleep or other clock.
// Included last in every file of pipeline/ and flow/, because a poisoned name may not even appear
// in a later header.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC poison malloc calloc realloc strdup
#pragma GCC poison printf fprintf snprintf puts
#pragma GCC poison pthread_mutex_lock usleep nanosleep gettimeofday clock_gettime
#endif
