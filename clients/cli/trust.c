/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/trust.h"

#include <stdlib.h>
#include <string.h>

#define SYSTEM_AUTHORITIES "/etc/ssl/certs"

static const char *or_variable(const char *flag, const char *variable) {
    const char *value = flag != NULL ? flag : getenv(variable);
    return value != NULL && *value != '\0' ? value : NULL;
}

void trust_complete(struct trust *trust, const char *token_variable) {
    trust->authorities = or_variable(trust->authorities, TRUST_CA_VARIABLE);
    trust->token = or_variable(trust->token, token_variable);
    if (trust->certificate_key == NULL) {
        trust->certificate_key = trust->certificate;
    }
}

static bool set(CURL *curl, CURLoption option, const char *value) {
    return value == NULL || curl_easy_setopt(curl, option, value) == CURLE_OK;
}

bool trust_apply_to_http(const struct trust *trust, CURL *curl) {
    if (trust->token != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    }
    return set(curl, CURLOPT_CAINFO, trust->authorities) &&
           set(curl, CURLOPT_SSLCERT, trust->certificate) &&
           set(curl, CURLOPT_SSLKEY, trust->certificate_key) &&
           set(curl, CURLOPT_XOAUTH2_BEARER, trust->token);
}

void trust_apply_to_mqtt(const struct trust *trust, bool is_secure, MQTTClient_SSLOptions *secure,
                         MQTTClient_connectOptions *options) {
    *secure = (MQTTClient_SSLOptions)MQTTClient_SSLOptions_initializer;
    secure->trustStore = trust->authorities;
    secure->CApath = trust->authorities == NULL ? SYSTEM_AUTHORITIES : NULL;
    secure->keyStore = trust->certificate;
    secure->privateKey = trust->certificate_key;
    secure->verify = 1; /* the name in the certificate, too */
    if (is_secure) {
        options->ssl = secure;
    }
    options->password = trust->token;
}
