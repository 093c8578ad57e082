// Each file becomes a constant. The compiler notes the dependency, so a change of a file is built in.

#include "cases.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char demo_json[] = {
#embed "../../gateway.json"
};
static const unsigned char demo_readme[] = {
#embed "../../deploy/examples/demo/README.md"
};
static const unsigned char django_json[] = {
#embed "../../deploy/examples/django/gateway.json"
};
static const unsigned char django_readme[] = {
#embed "../../deploy/examples/django/README.md"
};
static const unsigned char old_api_json[] = {
#embed "../../deploy/examples/old-api/gateway.json"
};
static const unsigned char old_api_readme[] = {
#embed "../../deploy/examples/old-api/README.md"
};
static const unsigned char servers_json[] = {
#embed "../../deploy/examples/servers/gateway.json"
};
static const unsigned char servers_readme[] = {
#embed "../../deploy/examples/servers/README.md"
};

#define CASE(name, json, readme) {name, json, sizeof json, readme, sizeof readme}

static const configuration_case cases[] = {
    CASE("demo", demo_json, demo_readme),
    CASE("django", django_json, django_readme),
    CASE("old-api", old_api_json, old_api_readme),
    CASE("servers", servers_json, servers_readme),
};

size_t configuration_case_count(void) {
    return sizeof cases / sizeof cases[0];
}

configuration_case configuration_case_at(size_t index) {
    return cases[index];
}
