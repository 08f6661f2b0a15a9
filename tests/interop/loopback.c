/* Preloaded into gnutls-serv, which has no option for an address: what it binds, it binds to the
 * loopback. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    int (*next)(int, const struct sockaddr *, socklen_t);
    struct sockaddr_storage storage = {0};

    *(void **)&next = dlsym(RTLD_NEXT, "bind");
    if (address->sa_family == AF_INET && length == sizeof(struct sockaddr_in)) {
        struct sockaddr_in *ipv4 = (struct sockaddr_in *)&storage;
        *ipv4 = *(const struct sockaddr_in *)address;
        ipv4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (address->sa_family == AF_INET6 && length == sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&storage;
        *ipv6 = *(const struct sockaddr_in6 *)address;
        ipv6->sin6_addr = in6addr_loopback;
    } else {
        return next(fd, address, length);
    }
    return next(fd, (const struct sockaddr *)&storage, length);
}
