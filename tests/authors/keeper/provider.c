// box: a credential provider that keeps logins with the program docker-credential-box.

#include <stdlib.h>
#include <string.h>

#include "plugin.h"

typedef exports_msb_plugin_credentials_answer_t answer_t;
typedef exports_msb_plugin_credentials_credential_t credential_t;
typedef exports_msb_plugin_credentials_description_t description_t;
typedef exports_msb_plugin_credentials_error_t error_t;
typedef exports_msb_plugin_credentials_list_entry_t entries_t;
typedef exports_msb_plugin_credentials_need_t need_t;
typedef exports_msb_plugin_credentials_outcome_t outcome_t;
typedef exports_msb_plugin_credentials_request_t request_t;
typedef msb_plugin_helper_option_login_t login_t;
typedef msb_plugin_helper_refusal_t refusal_t;

// The program is docker-credential-box.
static plugin_string_t helper = {(uint8_t *)"box", 3};

// Returns an error that has no text.
static bool refuse(error_t *error, uint8_t tag) {
  error->tag = tag;
  return false;
}

// Passes on what msb says, which names the permission that is missing and how to grant it.
static bool pass_on(error_t *error, refusal_t *refusal) {
  bool denied = refusal->tag == MSB_PLUGIN_TYPES_REFUSAL_DENIED;
  error->tag = denied ? EXPORTS_MSB_PLUGIN_CREDENTIALS_ERROR_DENIED
                      : EXPORTS_MSB_PLUGIN_CREDENTIALS_ERROR_FAILED;
  // Each kind of refusal has the same text, in the same place.
  error->val.failed.message = refusal->val.failed;
  error->val.failed.hint.is_some = false;
  return false;
}

static bool same(plugin_string_t *left, plugin_string_t *right) {
  return left->len == right->len && memcmp(left->ptr, right->ptr, left->len) == 0;
}

// Finds the login for a registry.
static bool find(request_t *request, login_t *login, error_t *error) {
  refusal_t refusal;
  if (!msb_plugin_helper_get(&helper, &request->registry, login, &refusal))
    return pass_on(error, &refusal);
  if (!login->is_some) return refuse(error, EXPORTS_MSB_PLUGIN_CREDENTIALS_ERROR_NOT_FOUND);
  return true;
}

// What a function returns is freed when msb has read it, so all of it is from `malloc`.
void exports_msb_plugin_credentials_describe(description_t *description) {
  plugin_string_dup(&description->name, "box");
  plugin_string_dup(&description->title, "a box");
  description->operations = EXPORTS_MSB_PLUGIN_CREDENTIALS_OPERATIONS_STORE |
                            EXPORTS_MSB_PLUGIN_CREDENTIALS_OPERATIONS_ERASE;
  description->registries.len = 1;
  description->registries.ptr = malloc(sizeof(plugin_string_t));
  plugin_string_dup(description->registries.ptr, "*");
  description->needs.len = 1;
  description->needs.ptr = malloc(sizeof(need_t));
  need_t *need = description->needs.ptr;
  plugin_string_dup(&need->capability, "helper");
  need->scope.is_some = true;
  plugin_string_dup(&need->scope.val, "box");
  plugin_string_dup(&need->reason, "logins are kept there");
  description->attributes.len = 0;
}

bool exports_msb_plugin_credentials_get(request_t *request, answer_t *answer, error_t *error) {
  login_t login;
  if (!find(request, &login, error)) return false;
  if (request->username.is_some && !same(&request->username.val, &login.val.username))
    return refuse(error, EXPORTS_MSB_PLUGIN_CREDENTIALS_ERROR_NOT_FOUND);
  answer->credential.tag = EXPORTS_MSB_PLUGIN_CREDENTIALS_CREDENTIAL_BASIC;
  answer->credential.val.basic.f0 = login.val.username;
  // The handle of the password, which stays with msb.
  answer->credential.val.basic.f1 = login.val.secret;
  answer->cache.tag = EXPORTS_MSB_PLUGIN_CREDENTIALS_CACHE_SESSION;
  answer->extent = EXPORTS_MSB_PLUGIN_CREDENTIALS_EXTENT_REGISTRY;
  answer->source.is_some = true;
  plugin_string_dup(&answer->source.val, "the box");
  answer->attributes.len = 0;
  return true;
}

bool exports_msb_plugin_credentials_store(request_t *request, credential_t *credential,
                                          error_t *error) {
  if (credential->tag != EXPORTS_MSB_PLUGIN_CREDENTIALS_CREDENTIAL_BASIC)
    return refuse(error, EXPORTS_MSB_PLUGIN_CREDENTIALS_ERROR_UNSUPPORTED);
  msb_plugin_helper_login_t login = {credential->val.basic.f0, credential->val.basic.f1};
  refusal_t refusal;
  if (!msb_plugin_helper_store(&helper, &request->registry, &login, &refusal))
    return pass_on(error, &refusal);
  return true;
}

bool exports_msb_plugin_credentials_erase(request_t *request, error_t *error) {
  login_t login;
  if (!find(request, &login, error)) return false;
  refusal_t refusal;
  if (!msb_plugin_helper_erase(&helper, &request->registry, &refusal))
    return pass_on(error, &refusal);
  return true;
}

bool exports_msb_plugin_credentials_list(entries_t *entries, error_t *error) {
  (void)entries;
  return refuse(error, EXPORTS_MSB_PLUGIN_CREDENTIALS_ERROR_UNSUPPORTED);
}

bool exports_msb_plugin_credentials_report(request_t *request, outcome_t outcome,
                                           error_t *error) {
  (void)request, (void)outcome;
  return refuse(error, EXPORTS_MSB_PLUGIN_CREDENTIALS_ERROR_UNSUPPORTED);
}
