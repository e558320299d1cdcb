/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The properties of a domain, as written in its file: which there are, for which types of domain, what text each
 * accepts. Everything that knows the list of properties reads it here: the parser, `qair domain`, the manual's test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

typedef enum DomainType {
        DOMAIN_TYPE_ADMINVM, /* dom0 and nothing else */
        DOMAIN_TYPE_APPVM,
        DOMAIN_TYPE_STANDALONEVM,
        DOMAIN_TYPE_TEMPLATEVM,
        DOMAIN_TYPE_DISPVM,
        DOMAIN_TYPE_REMOTEVM,
        _DOMAIN_TYPE_N,
} DomainType;

typedef enum DomainLabel {
        DOMAIN_LABEL_RED,
        DOMAIN_LABEL_ORANGE,
        DOMAIN_LABEL_YELLOW,
        DOMAIN_LABEL_GREEN,
        DOMAIN_LABEL_GRAY,
        DOMAIN_LABEL_BLUE,
        DOMAIN_LABEL_PURPLE,
        DOMAIN_LABEL_BLACK,
        _DOMAIN_LABEL_N,
} DomainLabel;

typedef enum DomainSandbox {
        DOMAIN_SANDBOX_NONE,
        DOMAIN_SANDBOX_BWRAP,
        _DOMAIN_SANDBOX_N,
} DomainSandbox;

typedef enum DomainLink {
        DOMAIN_LINK_LOCAL,
        DOMAIN_LINK_VCHAN, /* written vchan, or vchan:ID */
        DOMAIN_LINK_VSOCK, /* written vsock:CID */
        _DOMAIN_LINK_N,
} DomainLink;

/** domain_…_text(), domain_label_colour() - as it is written in a file; borrowed, for ever */
const char *domain_type_text(DomainType type);    /* "AppVM" */
const char *domain_label_text(DomainLabel label); /* "red" */
uint32_t domain_label_colour(DomainLabel label);  /* 0xRRGGBB */
const char *domain_sandbox_text(DomainSandbox sandbox);
const char *domain_link_text(DomainLink link);

/** In the order in which they are listed and written. */
typedef enum Property {
        PROPERTY_TYPE,
        PROPERTY_LABEL,
        PROPERTY_TAGS,
        PROPERTY_USER,
        PROPERTY_DOM0_USER,
        PROPERTY_DEFAULT_USER,
        PROPERTY_GUIVM,
        PROPERTY_TEMPLATE,
        PROPERTY_TEMPLATE_FOR_DISPVMS,
        PROPERTY_DEFAULT_DISPVM,
        PROPERTY_RELAYVM,
        PROPERTY_TRANSPORT_RPC,
        PROPERTY_REMOTE_NAME,
        PROPERTY_REMOTE_HOST,
        PROPERTY_UNKNOWN_SOURCE,
        PROPERTY_UUID,
        PROPERTY_AUTOSTART,
        PROPERTY_START,
        PROPERTY_STOP,
        PROPERTY_SANDBOX,
        PROPERTY_LINK,
        PROPERTY_IDLE_TIMEOUT,
        PROPERTY_STOP_TIMEOUT,
        PROPERTY_MAX_CALLS,
        PROPERTY_INTERNAL,
        PROPERTY_SHELL,
        _PROPERTY_N,
} Property;

typedef enum PropertyKind {
        PROPERTY_KIND_TYPE,
        PROPERTY_KIND_LABEL,
        PROPERTY_KIND_TAGS,
        PROPERTY_KIND_ACCOUNT,
        PROPERTY_KIND_DOMAIN, /* a reference; `none` says that there is none, whatever a template says */
        PROPERTY_KIND_NAME,   /* a domain's name over there */
        PROPERTY_KIND_SERVICE,
        PROPERTY_KIND_HOST,
        PROPERTY_KIND_UUID,
        PROPERTY_KIND_BOOLEAN,
        PROPERTY_KIND_COMMAND, /* words (base/words.h), the first of them an absolute path */
        PROPERTY_KIND_SANDBOX,
        PROPERTY_KIND_LINK,
        PROPERTY_KIND_SECONDS,
        PROPERTY_KIND_COUNT,
} PropertyKind;

typedef struct PropertyInfo {
        const char *key;
        PropertyKind kind;
        uint32_t types;           /* BIT(DOMAIN_TYPE_…) of the domains that may have it */
        bool inherited;           /* from the template, where not set */
        const char *default_text; /* what holds if nothing is set; NULL: nothing does */
        const char *summary;      /* one line for people */
} PropertyInfo;

/** property_info() - what there is to know of @property; cannot fail */
const PropertyInfo *property_info(Property property);

enum {
        _PROPERTY_E_SUCCESS,
        PROPERTY_E_UNKNOWN, /* no property has this key */
        PROPERTY_E_INVALID, /* the text is no value of this property */
};

/** property_parse() - the property with this key. Return: 0 or PROPERTY_E_UNKNOWN */
int property_parse(const char *untrusted_key, Property *ret_property);

/** property_nearest() - the key that somebody who wrote @untrusted_key probably meant, or NULL */
const char *property_nearest(const char *untrusted_key);

/** A domain's tags. More would not fit on a line. */
#define DOMAIN_TAGS_MAX 64
#define DOMAIN_TAG_MAX  63
/** A command that takes longer to write is a script. */
#define DOMAIN_COMMAND_MAX 180
/** An SSH destination: a host name has at most 253 bytes. */
#define DOMAIN_HOST_MAX 180
/** A year: a longer wait is a mistake, and no multiplication with it can overflow. */
#define DOMAIN_SECONDS_MAX (365 * 24 * 60 * 60)
/** Calls of one domain at once: each can hold pipes of 2 MiB, and an agent lists at most 16000 (wire/call.h). */
#define DOMAIN_MAX_CALLS_MAX     16000
#define DOMAIN_MAX_CALLS_DEFAULT 512
/** 0 to 2 mean the hypervisor, this machine and the host; the last means any. */
#define DOMAIN_CID_MIN 3
#define DOMAIN_CID_MAX (UINT32_MAX - 1)
/** Ids of domains over vchan (protocol specification, 1.1); 0 is the host. */
#define DOMAIN_VCHAN_ID_MIN     1
#define DOMAIN_VCHAN_ID_MAX     INT32_MAX
#define DOMAIN_VCHAN_ID_DEFAULT 1

/** The reference that says "no domain"; no domain can have this name. */
#define DOMAIN_NONE "none"

typedef struct PropertyValue {
        char *text; /* in its one canonical spelling; NULL: not set, or (line > 0) set to something invalid */
        uint64_t
                number; /* of enumerations, booleans, numbers; of a vsock link, the cid; of a vchan link, the id, 0: not said */
        unsigned line; /* where it is set; 0: not set in a file */
} PropertyValue;

static inline void property_value_deinit(PropertyValue *value) {
        free(value->text);
        *value = (PropertyValue){};
}

/** Longest explanation, NUL included. */
#define PROPERTY_PROBLEM_MAX 512

/**
 * property_value_parse() - a value as written in a file or on a command line
 * @untrusted_text: without the blanks around it
 * @ret_value:      its line is 0; the caller releases it with property_value_deinit()
 * @ret_problem:    on PROPERTY_E_INVALID: what is wrong and what would be right
 *
 * Whether a named domain exists is not looked at.
 * Return: 0, PROPERTY_E_INVALID, or a negative error.
 */
int property_value_parse(Property property, const char *untrusted_text, PropertyValue *ret_value,
                         char ret_problem[static PROPERTY_PROBLEM_MAX]);
