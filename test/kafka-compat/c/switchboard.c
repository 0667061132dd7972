// A network of its own for every node of a cluster, in the hands of a test: `switchboard SUBNET NODES SEED`.
// Node 0 is the namespace it was started in, 198.18.SUBNET.254; nodes 1 to NODES are network namespaces that live as
// long as this process, 198.18.SUBNET.1 and so on (198.18.0.0/15 is for such tests: RFC 2544). Each has one TUN
// device, and all packets between nodes pass through here, where a link (one way, from a node to another) is cut,
// delayed or lossy. It also has a mount namespace, for file systems of limited size that vanish with it.
//
// Says `node I FD` for each (enter: nsenter --net=/proc/PID/fd/FD --mount=/proc/PID/ns/mnt) and `ready`, then answers
// a line of standard input each with a line:
//   cut FROM TO | heal FROM TO | delay FROM TO MS | loss FROM TO PERCENT   -> ok
//   disk PATH BYTES   a tmpfs of that size at an existing path           -> ok
//   count FROM TO     packets of a link so far                            -> count PASSED CUT LOST DELAYED
// Needs CAP_NET_ADMIN and CAP_SYS_ADMIN; ends with its standard input.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MAX_NODES = 16, OUTSIDE = 254, MTU = 16000, MAX_HELD_BYTES = 64 << 20 };

struct packet {
  struct packet *next;
  int64_t due_ms;
  int length;
  uint8_t bytes[];
};

/** One way from a node to another. What is held leaves in the order it came, whatever the delays were. */
struct link {
  int is_cut, delay_ms, loss_percent;
  uint64_t passed, cut, lost, delayed;
  struct packet *first, *last;
};

static int tun[MAX_NODES + 1], nodes;
static struct link links[MAX_NODES + 1][MAX_NODES + 1];
static int64_t held_bytes;
static uint64_t random_state;

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "switchboard: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, ": %s\n", strerror(errno));
  va_end(arguments);
  exit(1);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static uint32_t next_random(void) {
  random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
  return random_state >> 33;
}

static void set_flags(int sock, const char *name, int flags) {
  struct ifreq request = {0};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(sock, SIOCGIFFLAGS, &request)) fail("flags of %s", name);
  request.ifr_flags |= flags;
  if (ioctl(sock, SIOCSIFFLAGS, &request)) fail("%s up", name);
}

static void set_address(int sock, const char *name, unsigned long what, const char *address) {
  struct ifreq request = {0};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  struct sockaddr_in *in = (struct sockaddr_in *)&request.ifr_addr;
  in->sin_family = AF_INET;
  inet_pton(AF_INET, address, &in->sin_addr);
  if (ioctl(sock, what, &request)) fail("address %s of %s", address, name);
}

/** A TUN device in the namespace of now, up, with its address. Exit code 3: the subnet is taken. */
static int open_tun(int subnet, int host) {
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) fail("/dev/net/tun");
  struct ifreq request = {0};
  snprintf(request.ifr_name, IFNAMSIZ, "odradek%d", subnet);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(fd, TUNSETIFF, &request)) {
    if (errno == EBUSY) exit(3);
    fail("TUN device");
  }
  char address[32];
  snprintf(address, sizeof address, "198.18.%d.%d", subnet, host);
  int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  set_address(sock, request.ifr_name, SIOCSIFADDR, address);
  set_address(sock, request.ifr_name, SIOCSIFNETMASK, "255.255.255.0");
  struct ifreq mtu = {0};
  strcpy(mtu.ifr_name, request.ifr_name);
  mtu.ifr_mtu = MTU;
  if (ioctl(sock, SIOCSIFMTU, &mtu)) fail("MTU");
  set_flags(sock, request.ifr_name, IFF_UP | IFF_RUNNING);
  if (host != OUTSIDE) set_flags(sock, "lo", IFF_UP | IFF_RUNNING);
  close(sock);
  return fd;
}

static void hold(struct link *link, const uint8_t *bytes, int length, int64_t due_ms) {
  struct packet *packet = malloc(sizeof *packet + length);
  if (packet == NULL || held_bytes > MAX_HELD_BYTES) {
    free(packet);
    link->lost++;
    return;
  }
  held_bytes += length;
  packet->next = NULL;
  packet->length = length;
  packet->due_ms = link->last && link->last->due_ms > due_ms ? link->last->due_ms : due_ms;
  memcpy(packet->bytes, bytes, length);
  if (link->last) link->last->next = packet;
  else link->first = packet;
  link->last = packet;
}

/** A full device drops what it is given, as any does; TCP sends it again. */
static void deliver(struct link *link, int to, const uint8_t *bytes, int length) {
  if (write(tun[to], bytes, length) == length) link->passed++;
  else link->lost++;
}

static void forward(int from, const uint8_t *bytes, int length) {
  if (length < 20 || bytes[0] >> 4 != 4) return;  // IPv6 neighbours look for each other in vain
  int host = bytes[19], to = host == OUTSIDE ? 0 : host;
  if (to > nodes || to == from || bytes[16] != 198) return;
  struct link *link = &links[from][to];
  if (link->is_cut) link->cut++;
  else if (link->loss_percent && next_random() % 100 < (uint32_t)link->loss_percent) link->lost++;
  else if (link->delay_ms) link->delayed++, hold(link, bytes, length, now_ms() + link->delay_ms);
  else if (link->first) hold(link, bytes, length, 0);
  else deliver(link, to, bytes, length);
}

/** Delivers what is due, and gives the time until the next is; -1 where nothing is held. */
static int deliver_due(void) {
  int64_t now = now_ms(), next = -1;
  for (int from = 0; from <= nodes; from++) {
    for (int to = 0; to <= nodes; to++) {
      struct link *link = &links[from][to];
      while (link->first && link->first->due_ms <= now) {
        struct packet *packet = link->first;
        if (link->is_cut) link->cut++;
        else deliver(link, to, packet->bytes, packet->length);
        held_bytes -= packet->length;
        link->first = packet->next;
        if (link->first == NULL) link->last = NULL;
        free(packet);
      }
      if (link->first && (next < 0 || link->first->due_ms < next)) next = link->first->due_ms;
    }
  }
  return next < 0 ? -1 : (int)(next - now);
}

static void obey(char *line) {
  int from = 0, to = 0, value = 0;
  char word[16] = "", path[1024];
  long long bytes;
  if (sscanf(line, "disk %1023s %lld", path, &bytes) == 2) {
    char options[64];
    snprintf(options, sizeof options, "size=%lld,mode=0755", bytes);
    if (mount("tmpfs", path, "tmpfs", 0, options)) printf("failed %s\n", strerror(errno));
    else puts("ok");
    return;
  }
  int fields = sscanf(line, "%15s %d %d %d", word, &from, &to, &value);
  if (fields < 3 || from < 0 || to < 0 || from > nodes || to > nodes) {
    printf("failed what is %s\n", line);
    return;
  }
  struct link *link = &links[from][to];
  if (strcmp(word, "cut") == 0) link->is_cut = 1;
  else if (strcmp(word, "heal") == 0) link->is_cut = link->delay_ms = link->loss_percent = 0;
  else if (strcmp(word, "count") == 0) {
    printf("count %lu %lu %lu %lu\n", link->passed, link->cut, link->lost, link->delayed);
    return;
  } else if (strcmp(word, "delay") == 0) link->delay_ms = value;
  else if (strcmp(word, "loss") == 0) link->loss_percent = value;
  else {
    printf("failed what is %s\n", line);
    return;
  }
  puts("ok");
}

/** Obeys whole lines of standard input; false at its end. */
static int hear(void) {
  static char text[4096];
  static int used = 0;
  int length = read(0, text + used, sizeof text - 1 - used);
  if (length <= 0) return 0;
  used += length;
  text[used] = 0;
  char *start = text, *end;
  while ((end = strchr(start, '\n'))) {
    *end = 0;
    obey(start);
    start = end + 1;
  }
  fflush(stdout);
  used = strlen(start);
  memmove(text, start, used);
  return 1;
}

int main(int count, char **arguments) {
  if (count != 4) return fprintf(stderr, "usage: switchboard SUBNET NODES SEED\n"), 2;
  int subnet = atoi(arguments[1]);
  nodes = atoi(arguments[2]);
  random_state = strtoull(arguments[3], NULL, 10);
  if (nodes < 1 || nodes > MAX_NODES) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (unshare(CLONE_NEWNS)) fail("mount namespace");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) fail("private mounts");
  tun[0] = open_tun(subnet, OUTSIDE);
  for (int node = 1; node <= nodes; node++) {
    if (unshare(CLONE_NEWNET)) fail("network namespace");
    tun[node] = open_tun(subnet, node);
    printf("node %d %d\n", node, open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  }
  puts("ready");
  fflush(stdout);
  struct pollfd ends[MAX_NODES + 2];
  for (int node = 0; node <= nodes; node++) ends[node] = (struct pollfd){.fd = tun[node], .events = POLLIN};
  ends[nodes + 1] = (struct pollfd){.fd = 0, .events = POLLIN};
  static uint8_t packet[65536];
  for (;;) {
    int wait_ms = deliver_due();
    if (poll(ends, nodes + 2, wait_ms) < 0 && errno != EINTR) fail("poll");
    if (ends[nodes + 1].revents && !hear()) return 0;
    for (int node = 0; node <= nodes; node++) {
      if (!ends[node].revents) continue;
      for (int i = 0, length; i < 64 && (length = read(tun[node], packet, sizeof packet)) > 0; i++)
        forward(node, packet, length);
    }
  }
}
