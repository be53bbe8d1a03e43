/**
 * Source of a Node addon that loads TensorFlow's library, and keeps the process small. The library writes a line to stderr while it is
 * loaded, before it reads its log level: stderr is redirected meanwhile. `load(path)` loads it, and `load.release()` gives unused
 * memory back to the system.
 *
 * - Large blocks of the C library's heap, which are array buffers and the scratch of kernels, are mapped one by one and unmapped when they
 *   are freed. By default glibc takes all below 32 MB from its heap once one of them was freed, and its heap keeps the gaps between
 *   them. A limit that the user sets by a variable of glibc's is kept.
 * - Pages of the library that the dynamic loader has read (symbols, relocations) or that only initialization runs are unmapped. They
 *   are not written, and the system maps them again from the file if they are touched.
 */
export const quietLoadSource = `
#define NAPI_VERSION 8
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <node_api.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE_BLOCK (16 << 20)
#define MOST_HEAPS 4

static void map_large_blocks(void) {
#ifdef __GLIBC__
  if (getenv("GLIBC_TUNABLES")) return;
  if (!getenv("MALLOC_ARENA_MAX")) mallopt(M_ARENA_MAX, MOST_HEAPS);
  if (!getenv("MALLOC_MMAP_THRESHOLD_")) mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
#endif
}

static int is_relocated_in_place(const struct dl_phdr_info* library) {
  for (int index = 0; index < library->dlpi_phnum; index++) {
    const ElfW(Phdr)* part = &library->dlpi_phdr[index];
    if (part->p_type != PT_DYNAMIC) continue;
    for (const ElfW(Dyn)* entry = (const ElfW(Dyn)*)(library->dlpi_addr + part->p_vaddr); entry->d_tag != DT_NULL; entry++) {
      if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL))) return 1;
    }
  }
  return 0;
}

static int unmap_read_pages(struct dl_phdr_info* library, size_t size, void* nothing) {
  (void)size, (void)nothing;
  if (!library->dlpi_name || !strstr(library->dlpi_name, "libtensorflow") || is_relocated_in_place(library)) return 0;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (int index = 0; index < library->dlpi_phnum; index++) {
    const ElfW(Phdr)* part = &library->dlpi_phdr[index];
    if (part->p_type != PT_LOAD || (part->p_flags & PF_W)) continue;
    uintptr_t start = library->dlpi_addr + part->p_vaddr;
    uintptr_t from = (start + page - 1) & ~(page - 1), to = (start + part->p_memsz) & ~(page - 1);
    if (to > from) madvise((void*)from, to - from, MADV_DONTNEED);
  }
  return 0;
}

static napi_value release(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  dl_iterate_phdr(unmap_read_pages, NULL);
  return NULL;
}

static napi_value load(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1, length = 0;
  char path[4096];
  if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_value_string_utf8(env, argument, path, sizeof path, &length) != napi_ok) {
    napi_throw_type_error(env, NULL, "expected a path");
    return NULL;
  }
  map_large_blocks();
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
  dl_iterate_phdr(unmap_read_pages, NULL);
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value loading, releasing;
  if (napi_create_function(env, "load", NAPI_AUTO_LENGTH, load, NULL, &loading) != napi_ok) return NULL;
  if (napi_create_function(env, "release", NAPI_AUTO_LENGTH, release, NULL, &releasing) != napi_ok) return NULL;
  if (napi_set_named_property(env, loading, "release", releasing) != napi_ok) return NULL;
  return loading;
}
`;
