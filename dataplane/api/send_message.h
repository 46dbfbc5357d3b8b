// How a message of requests.h travels: header and body in one packet of the socket, a descriptor
// beside them as SCM_RIGHTS.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstring>
#include <span>

#include "dataplane/api/requests.h"

namespace sandgate::api {

// One packet of the socket from these parts. Returns what sendmsg() does, errno included. fd < 0:
// none travels; it stays the caller's.
inline ssize_t send_parts(int socket, std::span<iovec> parts, int fd = -1, int flags = 0)
{
    msghdr packet{};
    packet.msg_iov = parts.data();
    packet.msg_iovlen = parts.size();
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (fd >= 0) {
        packet.msg_control = control;
        packet.msg_controllen = sizeof(control);
        cmsghdr* rights = CMSG_FIRSTHDR(&packet);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(rights), &fd, sizeof(int));
    }
    return sendmsg(socket, &packet, MSG_NOSIGNAL | flags);
}

// The same for a message; the body has header.length bytes.
inline ssize_t send_message(int socket, const MessageHeader& header, const void* body, int fd = -1,
                            int flags = 0)
{
    iovec parts[2] = {{const_cast<MessageHeader*>(&header), sizeof(header)},
                      {const_cast<void*>(body), header.length}};
    return send_parts(socket, parts, fd, flags);
}

}  // namespace sandgate::api
