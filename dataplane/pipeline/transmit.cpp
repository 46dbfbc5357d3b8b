// transmit: the link header of the next hop, then into the port's queue. A neighbour that is not
// known yet is the server thread's business; the packet comes back when it answers.
#include <rte_ethdev.h>
#include <rte_ether.h>

#include "dataplane/pipeline/exits.h"
#include "dataplane/pipeline/pipeline.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

// Sends what waits for a port. What the device does not take is dropped by name: the line is slower
// than we are.
void flush_port(Worker& w, uint8_t port)
{
    TransmitQueue& queue = w.transmit[port];
    if (queue.count == 0)
        return;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < queue.count; i++) bytes += rte_pktmbuf_pkt_len(queue.mbufs[i]);
    uint16_t sent = 0;
    const Shared::Queue& to = w.shared.queues[port][w.id];
    for (unsigned attempt = 0; attempt < 4 && sent < queue.count; attempt++)
        sent = static_cast<uint16_t>(sent +
                                     rte_eth_tx_burst(to.device, to.queue, queue.mbufs + sent,
                                                      static_cast<uint16_t>(queue.count - sent)));
    const DropReason full =
        port == w.shared.ports ? DropReason::kHostPortFull : DropReason::kTransmitFull;
    for (unsigned i = sent; i < queue.count; i++) {
        bytes -= rte_pktmbuf_pkt_len(queue.mbufs[i]);
        w.drop(queue.mbufs[i], full);
    }
    api::add(w.counters.ports[port].tx_packets, sent);
    api::add(w.counters.ports[port].tx_bytes, bytes);
    queue.count = 0;
}

void enqueue(Worker& w, uint8_t port, rte_mbuf* mbuf)
{
    TransmitQueue& queue = w.transmit[port];
    queue.mbufs[queue.count++] = mbuf;
    if (queue.count == kTransmitBatch)
        flush_port(w, port);
}

bool find_link_address(const Worker& w, const Packet& packet, uint8_t* mac)
{
    if (packet.egress == w.shared.ports) {
        std::memcpy(mac, w.shared.host_mac, 6);
        return true;
    }
    return w.shared.neighbours.find(packet.egress, packet.next_hop, mac);
}

}  // namespace

void transmit(Worker& w, Burst& burst)
{
    for (Packet* packet : burst.packets()) {
        rte_mbuf* mbuf = packet->mbuf;
        if ((packet->flags & kIsFrame) != 0) {
            enqueue(w, packet->egress, mbuf);
            continue;
        }
        uint8_t mac[6];
        if (!find_link_address(w, *packet, mac)) {
            exit_to_server(w, *packet);
            continue;
        }
        const bool is_v4 = *rte_pktmbuf_mtod(mbuf, const uint8_t*) >> 4 == 4;
        auto* frame = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(mbuf, RTE_ETHER_HDR_LEN));
        if (frame == nullptr) {
            w.drop(*packet, DropReason::kNoBuffer);
            continue;
        }
        std::memcpy(frame, mac, 6);
        std::memcpy(frame + 6, w.shared.port_macs[packet->egress], 6);
        frame[12] = is_v4 ? 0x08 : 0x86;
        frame[13] = is_v4 ? 0x00 : 0xdd;
        enqueue(w, packet->egress, mbuf);
    }
    burst.clear();
}

void flush_transmit(Worker& w)
{
    const unsigned ports = w.shared.ports + (w.shared.has_host_port ? 1 : 0);
    for (unsigned port = 0; port < ports; port++) flush_port(w, static_cast<uint8_t>(port));
}

}  // namespace sandgate::dp
