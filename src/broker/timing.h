/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the time of calls has gone since the broker began: for each service and stage a histogram, from which median
 * and 99th percentile are read. Its buckets grow with the value: an answer is at most a quarter above the truth.
 *
 * Services are told apart up to TIMING_SERVICES_MAX; what comes later is "(other)". Names get here only once the
 * policy has allowed a call.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/name.h"
#include "broker/record.h"

#define TIMING_SERVICES_MAX 64
/** Four buckets for each power of two; the last one takes everything from 2^36 µs, nineteen hours. */
#define TIMING_BUCKETS_N 144

typedef struct Histogram {
        uint64_t n;
        uint32_t buckets[TIMING_BUCKETS_N];
} Histogram;

typedef struct TimingService {
        char name[SERVICE_NAME_MAX + 1];
        Histogram stages[_STAGE_N];
} TimingService;

typedef struct Timing {
        TimingService *services[TIMING_SERVICES_MAX + 1]; /* the last one is "(other)" */
        size_t n_services;
} Timing;

/** histogram_add() - count a value, in µs */
void histogram_add(Histogram *histogram, uint64_t usec);
/**
 * histogram_quantile() - a value that at least @per_mille of 1000 values do not exceed
 *
 * Return: µs, 0 to 25 % above the true one; 0 if there are no values.
 */
uint64_t histogram_quantile(const Histogram *histogram, unsigned per_mille);

/** timing_deinit() - free all; harmless on an empty one */
void timing_deinit(Timing *timing);
/** timing_add() - a stage of a call of NAME or NAME+ARGUMENT took @usec; STAGE_NONE is ignored. Return: 0 or -errno */
int timing_add(Timing *timing, const char *service, Stage stage, uint64_t usec);
