/* A sender without think time: says prepared blocks, and waits for the answer to each.
 *
 *   blast PORT raw|dicom FILE...
 *
 * Each file is one connection, served by a thread of its own: blocks of a 64-bit length and so many bytes, in the
 * byte order of the host. "raw" blocks are sent with their length and answered by one byte; "dicom" blocks are PDUs,
 * answered by one PDU, whose C-STORE status must be Success. Files are in memory before the clock starts. Prints the
 * seconds from the first connect to the last answer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ASSOCIATE_AC = 2, DATA_TF = 4, RELEASE_RP = 6, LONGEST_ANSWER = 65536 };

struct connection {
    const uint8_t *content;
    size_t size;
    pthread_t thread;
};

static int port, is_raw;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void say(int peer, const uint8_t *from, size_t size)
{
    while (size) {
        ssize_t sent = send(peer, from, size, MSG_NOSIGNAL);
        if (sent <= 0)
            fail("send");
        from += sent;
        size -= sent;
    }
}

static void hear(int peer, uint8_t *to, size_t size)
{
    while (size) {
        ssize_t heard = recv(peer, to, size, 0);
        if (heard <= 0)
            fail("the receiver ended the connection");
        to += heard;
        size -= heard;
    }
}

/* The value of (0000,0900) in a response, implicit VR little endian (PS3.7 E.1). */
static void check_status(const uint8_t *body, size_t size)
{
    static const uint8_t element[] = {0, 0, 0, 9, 2, 0, 0, 0};
    const uint8_t *found = memmem(body, size, element, sizeof element);
    if (!found || found + 10 > body + size || found[8] || found[9]) {
        fprintf(stderr, "an instance was not stored\n");
        exit(2);
    }
}

static void hear_pdu(int peer)
{
    uint8_t header[6], body[LONGEST_ANSWER];
    hear(peer, header, sizeof header);
    uint32_t size = (uint32_t)header[2] << 24 | header[3] << 16 | header[4] << 8 | header[5];
    if (size > sizeof body)
        exit(3);
    hear(peer, body, size);
    if (header[0] == DATA_TF) {
        check_status(body, size);
    } else if (header[0] != ASSOCIATE_AC && header[0] != RELEASE_RP) {
        fprintf(stderr, "a PDU of type %d came\n", header[0]);
        exit(4);
    }
}

static void *converse(void *argument)
{
    struct connection *one = argument;
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(port)};
    int peer = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    inet_pton(AF_INET, "127.0.0.1", &where.sin_addr);
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(peer, (struct sockaddr *)&where, sizeof where))
        fail("connect");
    for (size_t at = 0; at < one->size;) {
        uint64_t size;
        uint8_t acknowledgement;
        memcpy(&size, one->content + at, sizeof size);
        if (is_raw) {
            say(peer, one->content + at, sizeof size + size);
            hear(peer, &acknowledgement, 1);
        } else {
            say(peer, one->content + at + sizeof size, size);
            hear_pdu(peer);
        }
        at += sizeof size + size;
    }
    close(peer);
    return NULL;
}

static struct connection loaded(const char *path)
{
    struct stat status;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &status))
        fail(path);
    uint8_t *content =
        mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (content == MAP_FAILED)
        fail(path);
    close(file);
    return (struct connection){.content = content, .size = status.st_size};
}

int main(int count, char **arguments)
{
    if (count < 4)
        return 64;
    port = atoi(arguments[1]);
    is_raw = !strcmp(arguments[2], "raw");
    int connections = count - 3;
    struct connection *all = calloc(connections, sizeof *all);
    for (int i = 0; i < connections; i++)
        all[i] = loaded(arguments[3 + i]);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < connections; i++)
        if (pthread_create(&all[i].thread, NULL, converse, &all[i]))
            fail("thread");
    for (int i = 0; i < connections; i++)
        pthread_join(all[i].thread, NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.6f\n", end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) * 1e-9);
    return 0;
}
