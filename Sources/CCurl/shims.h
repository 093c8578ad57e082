#ifndef CCURL_SHIMS_H
#define CCURL_SHIMS_H

// Swift cannot call variadic C functions, and libcurl's setopt family takes the width of each argument on trust.
// One typed function per argument kind keeps both problems in this file.

#include <curl/curl.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

// Easy handle: options.

static inline CURLcode ccurl_easy_setopt_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode ccurl_easy_setopt_offset(CURL *easy, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode ccurl_easy_setopt_string(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode ccurl_easy_setopt_pointer(CURL *easy, CURLoption option, const void *value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode ccurl_easy_setopt_list(CURL *easy, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(easy, option, value);
}

typedef size_t (*ccurl_data_callback)(char *bytes, size_t size, size_t count, void *context);
typedef int (*ccurl_prereq_callback)(
    void *context, char *primary_ip, char *local_ip, int primary_port, int local_port);
typedef curl_socket_t (*ccurl_open_socket_callback)(
    void *context, curlsocktype purpose, struct curl_sockaddr *address);
typedef int (*ccurl_close_socket_callback)(void *context, curl_socket_t socket);

static inline CURLcode ccurl_easy_set_write_callback(CURL *easy, ccurl_data_callback callback, void *context) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, callback);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_WRITEDATA, context);
}

static inline CURLcode ccurl_easy_set_header_callback(CURL *easy, ccurl_data_callback callback, void *context) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, callback);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_HEADERDATA, context);
}

static inline CURLcode ccurl_easy_set_read_callback(CURL *easy, ccurl_data_callback callback, void *context) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_READFUNCTION, callback);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_READDATA, context);
}

static inline CURLcode ccurl_easy_set_prereq_callback(CURL *easy, ccurl_prereq_callback callback, void *context) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, callback);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_PREREQDATA, context);
}

static inline CURLcode ccurl_easy_set_socket_callbacks(
    CURL *easy, ccurl_open_socket_callback open_callback, ccurl_close_socket_callback close_callback,
    void *context) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_callback);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, context);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_callback);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, context);
    return code;
}

// Easy handle: information. Each returns 0 (or NULL) when libcurl refuses.

static inline long ccurl_easy_info_long(CURL *easy, CURLINFO info) {
    long value = 0;
    return curl_easy_getinfo(easy, info, &value) == CURLE_OK ? value : 0;
}

static inline curl_off_t ccurl_easy_info_offset(CURL *easy, CURLINFO info) {
    curl_off_t value = 0;
    return curl_easy_getinfo(easy, info, &value) == CURLE_OK ? value : 0;
}

static inline void *ccurl_easy_info_private(CURL *easy) {
    char *value = NULL;
    return curl_easy_getinfo(easy, CURLINFO_PRIVATE, &value) == CURLE_OK ? value : NULL;
}

// Multi handle.

typedef int (*ccurl_socket_callback)(CURL *easy, curl_socket_t socket, int what, void *context, void *per_socket);
typedef int (*ccurl_timer_callback)(CURLM *multi, long milliseconds, void *context);

static inline CURLMcode ccurl_multi_setopt_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}

static inline CURLMcode ccurl_multi_set_callbacks(
    CURLM *multi, ccurl_socket_callback socket_callback, ccurl_timer_callback timer_callback, void *context) {
    CURLMcode code = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_callback);
    if (code == CURLM_OK) code = curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, context);
    if (code == CURLM_OK) code = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_callback);
    if (code == CURLM_OK) code = curl_multi_setopt(multi, CURLMOPT_TIMERDATA, context);
    return code;
}

/// Returns the next finished transfer, or NULL; its result is stored in *result.
static inline CURL *ccurl_multi_next_done(CURLM *multi, CURLcode *result) {
    int remaining = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &remaining)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            *result = message->data.result;
            return message->easy_handle;
        }
    }
    return NULL;
}

// Constants whose macros Swift does not import, or imports with another type.

static const size_t ccurl_writefunc_pause = CURL_WRITEFUNC_PAUSE;
static const size_t ccurl_readfunc_pause = CURL_READFUNC_PAUSE;
static const size_t ccurl_readfunc_abort = CURL_READFUNC_ABORT;
static const curl_socket_t ccurl_socket_timeout = CURL_SOCKET_TIMEOUT;
static const long ccurl_global_default = CURL_GLOBAL_DEFAULT;

// epoll and eventfd: `struct epoll_event` is packed on some architectures and its union does not import well.

typedef struct ccurl_event {
    int socket;
    uint32_t readable;  // data, end of stream or error: anything that a read would report
    uint32_t writable;
} ccurl_event;

enum { ccurl_maximum_events = 256 };

static inline int ccurl_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

/// Adds (or changes, when `known`) level-triggered interest in a socket. Returns 0, or -1 with errno.
static inline int ccurl_epoll_watch(int epoll, int socket, int known, int readable, int writable) {
    struct epoll_event event = {.events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0)};
    event.data.fd = socket;
    return epoll_ctl(epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event);
}

/// Adds edge-triggered interest in an eventfd: each write is one event, so the eventfd need not be read.
static inline int ccurl_epoll_watch_wakeups(int epoll, int eventfd) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    event.data.fd = eventfd;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, eventfd, &event);
}

static inline int ccurl_epoll_forget(int epoll, int socket) {
    return epoll_ctl(epoll, EPOLL_CTL_DEL, socket, NULL);
}

/// Discards what an unused connection has received, and closes it in both directions. libcurl (before 8.1.0) would take
/// bytes that arrived without a request for the response to the next one. A connection with more of them than are
/// discarded here refuses the next request before a byte of it is sent.
static inline void ccurl_socket_abandon(int socket) {
    char bytes[4096];
    for (int i = 0; i < 16 && recv(socket, bytes, sizeof bytes, MSG_DONTWAIT) > 0; i++) {}
    shutdown(socket, SHUT_RDWR);
}

/// Waits for events and returns their number, at most `ccurl_maximum_events`; or -1 with errno.
static inline int ccurl_epoll_wait(int epoll, ccurl_event *events, int milliseconds) {
    struct epoll_event raw[ccurl_maximum_events];
    int count = epoll_wait(epoll, raw, ccurl_maximum_events, milliseconds);
    for (int i = 0; i < count; i++) {
        events[i].socket = raw[i].data.fd;
        events[i].readable = (raw[i].events & ~(uint32_t)EPOLLOUT) != 0;
        events[i].writable = (raw[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0;
    }
    return count;
}

static inline int ccurl_eventfd_create(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

static inline void ccurl_eventfd_signal(int eventfd) {
    uint64_t one = 1;
    ssize_t ignored = write(eventfd, &one, sizeof one);
    (void)ignored;  // EAGAIN would mean that 2^64 wake-ups are pending
}

/// Returns whether a read from the socket would report its end or an error.
static inline int ccurl_socket_is_closed(int socket) {
    char byte;
    ssize_t count = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/// Names the calling thread, cut at 15 bytes (`pthread_setname_np` would refuse a longer name).
static inline void ccurl_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

/// Makes closing the socket reset its TCP connection; has no effect on other sockets.
static inline void ccurl_reset_on_close(int socket) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/// Opens a socket of the kind that libcurl asks for, closed on exec.
static inline curl_socket_t ccurl_open_socket(const struct curl_sockaddr *address) {
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

#endif
