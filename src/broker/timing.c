/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/timing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* 0 to 3 have a bucket of their own; from 4 on the top bit and the two bits below it choose. */
static unsigned histogram_bucket(uint64_t usec) {
        unsigned top, bucket;

        if (usec < 4)
                return (unsigned)usec;
        top = 63 - (unsigned)__builtin_clzll(usec);
        bucket = (top - 1) * 4 + (unsigned)(usec >> (top - 2) & 3);
        return bucket < TIMING_BUCKETS_N ? bucket : TIMING_BUCKETS_N - 1;
}

/* The largest value of a bucket. */
static uint64_t histogram_bucket_max(unsigned bucket) {
        unsigned top = bucket / 4 + 1;

        if (bucket < 4)
                return bucket;
        return ((UINT64_C(4) + bucket % 4 + 1) << (top - 2)) - 1;
}

void histogram_add(Histogram *histogram, uint64_t usec) {
        uint32_t *bucket = &histogram->buckets[histogram_bucket(usec)];

        ++histogram->n;
        if (*bucket < UINT32_MAX)
                ++*bucket;
}

uint64_t histogram_quantile(const Histogram *histogram, unsigned per_mille) {
        uint64_t total = 0, wanted, seen = 0;

        for (unsigned i = 0; i < TIMING_BUCKETS_N; ++i)
                total += histogram->buckets[i];
        if (total == 0)
                return 0;
        wanted = (total * per_mille + 999) / 1000 ?: 1;
        for (unsigned i = 0; i < TIMING_BUCKETS_N; ++i) {
                seen += histogram->buckets[i];
                if (seen >= wanted)
                        return histogram_bucket_max(i);
        }
        return histogram_bucket_max(TIMING_BUCKETS_N - 1);
}

void timing_deinit(Timing *timing) {
        for (size_t i = 0; i < timing->n_services; ++i)
                free(timing->services[i]);
        *timing = (Timing){};
}

/* Few enough to walk, and each call asks at its end only. */
static TimingService *timing_find(Timing *timing, const char *name, size_t n) {
        TimingService *service;

        for (size_t i = 0; i < timing->n_services; ++i)
                if (strncmp(timing->services[i]->name, name, n) == 0 && timing->services[i]->name[n] == '\0')
                        return timing->services[i];
        if (timing->n_services == TIMING_SERVICES_MAX + 1)
                return timing->services[TIMING_SERVICES_MAX];
        if (timing->n_services == TIMING_SERVICES_MAX) {
                name = "(other)";
                n = strlen(name);
        }
        service = calloc(1, sizeof(*service));
        if (!service)
                return NULL;
        memcpy(service->name, name, n);
        timing->services[timing->n_services++] = service;
        return service;
}

int timing_add(Timing *timing, const char *service, Stage stage, uint64_t usec) {
        size_t n = strcspn(service, "+");
        TimingService *found;

        if (usec == STAGE_NONE)
                return 0;
        found = timing_find(timing, service, n < SERVICE_NAME_MAX ? n : SERVICE_NAME_MAX);
        if (!found)
                return error_origin(-ENOMEM);
        histogram_add(&found->stages[stage], usec);
        return 0;
}
