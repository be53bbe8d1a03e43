/**
 * Source of a Node addon that loads a library while the process's stderr is redirected: TensorFlow writes a line there
 * while it is loaded, before it reads its log level.
 */
export const quietLoadSource = `
#define NAPI_VERSION 8
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <node_api.h>
#include <stdio.h>
#include <unistd.h>

static napi_value load(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1, length = 0;
  char path[4096];
  if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_value_string_utf8(env, argument, path, sizeof path, &length) != napi_ok) {
    napi_throw_type_error(env, NULL, "expected a path");
    return NULL;
  }
  fflush(stderr);
  int saved = fcntl(2, F_DUPFD_CLOEXEC, 3);
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (saved >= 0 && nowhere >= 0) dup2(nowhere, 2);
  void* library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
  fflush(stderr);
  if (saved >= 0 && nowhere >= 0) dup2(saved, 2);
  if (saved >= 0) close(saved);
  if (nowhere >= 0) close(nowhere);
  if (!library) napi_throw_error(env, NULL, dlerror());
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value function;
  if (napi_create_function(env, "load", NAPI_AUTO_LENGTH, load, NULL, &function) != napi_ok) return NULL;
  return function;
}
`;
