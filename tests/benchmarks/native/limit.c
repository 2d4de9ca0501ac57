/* What the machine can do: bytes from a socket into a file for each instance, and nothing else.
 *
 *   limit PORT FOLDER file|fdatasync
 *
 * Takes the "raw" blocks of blast, in a thread for each connection. With "fdatasync" each file is synced before it is
 * acknowledged.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 256 * 1024 };

static const char *folder;
static int is_synced;
static atomic_long files;

static int is_heard(int peer, void *to, size_t size)
{
    for (uint8_t *at = to; size;) {
        ssize_t heard = recv(peer, at, size, 0);
        if (heard <= 0)
            return 0;
        at += heard;
        size -= heard;
    }
    return 1;
}

static int is_kept(int peer, uint64_t size, uint8_t *buffer)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%ld", folder, atomic_fetch_add(&files, 1));
    int file = open(path, O_CREAT | O_EXCL | O_WRONLY, 0640);
    if (file < 0)
        return 0;
    while (size) {
        ssize_t heard = recv(peer, buffer, size < BUFFER_BYTES ? size : BUFFER_BYTES, 0);
        if (heard <= 0 || write(file, buffer, heard) != heard)
            break;
        size -= heard;
    }
    if (!size && is_synced && fdatasync(file))
        size = 1;
    close(file);
    return !size;
}

static void *serve(void *argument)
{
    int peer = (int)(intptr_t)argument;
    uint8_t *buffer = malloc(BUFFER_BYTES);
    uint64_t size;
    while (is_heard(peer, &size, sizeof size) && is_kept(peer, size, buffer))
        if (send(peer, "k", 1, MSG_NOSIGNAL) != 1)
            break;
    free(buffer);
    close(peer);
    return NULL;
}

int main(int count, char **arguments)
{
    if (count != 4)
        return 64;
    folder = arguments[2];
    is_synced = !strcmp(arguments[3], "fdatasync");
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
    int door = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    inet_pton(AF_INET, "127.0.0.1", &where.sin_addr);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(door, (struct sockaddr *)&where, sizeof where) || listen(door, 128))
        return 1;
    for (;;) {
        pthread_t thread;
        int peer = accept(door, NULL, NULL);
        if (peer < 0)
            continue;
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!pthread_create(&thread, NULL, serve, (void *)(intptr_t)peer))
            pthread_detach(thread);
    }
}
