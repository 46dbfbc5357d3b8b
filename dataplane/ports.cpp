// Devices by their DPDK names. The errors name the device and what to do about it.
#include "dataplane/ports.h"

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <unistd.h>

#include <cstring>

#include "dataplane/host_port.h"

namespace sandgate::dp {

namespace {

constexpr uint16_t kDescriptors = 1024;
constexpr uint16_t kFrameOverhead = 14 + 4 + 4;

bool is_vdev(const std::string& device)
{
    return device.compare(0, 4, "net_") == 0 || device.compare(0, 4, "eth_") == 0;
}

std::string name_of(const std::string& device) { return device.substr(0, device.find(',')); }

// Drops one argument of a vdev's list.
void remove_argument(std::string& device, const std::string& key)
{
    const size_t at = device.find("," + key + "=");
    if (at == std::string::npos)
        return;
    const size_t end = device.find(',', at + 1);
    device.erase(at, end == std::string::npos ? end : end - at);
}

std::string start_device(uint16_t device, const std::string& name, uint16_t queues, uint16_t mtu,
                         rte_mempool* pool)
{
    rte_eth_dev_info info{};
    rte_eth_dev_info_get(device, &info);
    if (queues > info.max_rx_queues || queues > info.max_tx_queues)
        return "the device " + name + " has " +
               std::to_string(std::min(info.max_rx_queues, info.max_tx_queues)) +
               " queues and needs one per worker (" + std::to_string(queues) +
               "): use fewer workers";
    rte_eth_conf conf{};
    if (queues > 1 && (info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP)) != 0) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf =
            info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
    }
    if (rte_eth_dev_configure(device, queues, queues, &conf) != 0)
        return "the device " + name + " does not accept " + std::to_string(queues) + " queues";
    uint16_t rx = kDescriptors, tx = kDescriptors;
    rte_eth_dev_adjust_nb_rx_tx_desc(device, &rx, &tx);
    const int socket = rte_eth_dev_socket_id(device);
    for (uint16_t queue = 0; queue < queues; queue++) {
        const int rx_error =
            rte_eth_rx_queue_setup(device, queue, rx, static_cast<unsigned>(socket), nullptr, pool);
        if (rx_error != 0)
            return "the receive queue of " + name + " cannot be set up (" +
                   std::strerror(-rx_error) +
                   "): run as root until set-up is done, and see that no other program drives the "
                   "interface";
        const int tx_error =
            rte_eth_tx_queue_setup(device, queue, tx, static_cast<unsigned>(socket), nullptr);
        if (tx_error != 0)
            return "the transmit queue of " + name + " cannot be set up (" +
                   std::strerror(-tx_error) + ")";
    }
    // Some virtual devices refuse; then their frames stay within their default.
    rte_eth_dev_set_mtu(device, mtu);
    const int error = rte_eth_dev_start(device);
    if (error != 0)
        return "the device " + name + " does not start: " + std::strerror(-error);
    rte_eth_allmulticast_enable(device);  // neighbour solicitations come by multicast
    // Virtual devices need it; frames for others are refused by name.
    rte_eth_promiscuous_enable(device);
    return {};
}

// Makes the device known to DPDK and finds its number.
std::string attach(const std::string& device, uint16_t& number)
{
    if (is_vdev(device)) {
        const int error = rte_dev_probe(device.c_str());
        if (error != 0)
            return "the device " + device + " cannot be opened (" + std::strerror(-error) +
                   "): see that its interface exists in this network namespace and that this runs "
                   "as root";
    }
    if (rte_eth_dev_get_port_by_name(name_of(device).c_str(), &number) != 0)
        return "the device " + device +
               " is not there: bind it to vfio-pci (dpdk-devbind.py -b vfio-pci " + device +
               ") or check its name";
    return {};
}

}  // namespace

std::vector<std::string> devices_of(const std::string& device, unsigned port, unsigned workers)
{
    if (workers == 1 || device.compare(0, 10, "net_af_xdp") != 0)
        return {device};
    // One AF_XDP device sees the combined queues of an interface, of which a veth reports one: so
    // one device a queue.
    std::string arguments = device.substr(name_of(device).size());
    remove_argument(arguments, "start_queue");
    remove_argument(arguments, "queue_count");
    std::vector<std::string> devices;
    for (unsigned worker = 0; worker < workers; worker++)
        devices.push_back("net_af_xdp" + std::to_string(100 * (port + 1) + worker) + arguments +
                          ",start_queue=" + std::to_string(worker) + ",queue_count=1");
    return devices;
}

std::string start_eal(const Options& options)
{
    std::string cores = "0@" + std::to_string(options.slow_core.value_or(0));
    for (size_t i = 0; i < options.worker_cores.size(); i++)
        cores += "," + std::to_string(i + 1) + "@" + std::to_string(options.worker_cores[i]);
    std::vector<std::string> arguments = {"sandgate-dataplane",
                                          "--lcores",
                                          cores,
                                          "--no-telemetry",
                                          "--log-level",
                                          "pmd.net.tap:critical",
                                          "--log-level",
                                          "*:warning",
                                          "--file-prefix",
                                          "sandgate" + std::to_string(getpid())};
    if (options.has_hugepages) {
        arguments.push_back("--in-memory");
    } else {
        // Packet buffers, rings and devices; flow and session tables lie in ordinary memory.
        const uint64_t megabytes = 128 + options.mbufs * 4096ull / (1u << 20);
        arguments.insert(arguments.end(), {"--no-huge", "--no-shconf", "-m",
                                           std::to_string(megabytes), "--iova-mode", "va"});
    }
    bool has_pci = false;
    for (const PortOption& port : options.ports)
        if (!is_vdev(port.device)) {
            has_pci = true;
            arguments.insert(arguments.end(), {"-a", port.device});
        }
    if (!has_pci)
        arguments.push_back("--no-pci");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
        return std::string("DPDK does not start: ") + rte_strerror(rte_errno) +
               (options.has_hugepages
                    ? ". Reserve hugepages (echo 512 > /proc/sys/vm/nr_hugepages) or use --no-huge"
                    : ". See that the cores given exist and that memory is free");
    return {};
}

std::string build_pool(const Options& options, Shared& shared)
{
    const auto room =
        static_cast<uint16_t>(kHeadroomBytes + std::max(2048, options.mtu + kFrameOverhead + 80));
    constexpr unsigned kCache = 256;
    shared.pool = rte_pktmbuf_pool_create("packets", options.mbufs - 1, kCache, kPrivateBytes, room,
                                          SOCKET_ID_ANY);
    if (shared.pool == nullptr)
        return "no memory for " + std::to_string(options.mbufs) +
               " packet buffers: reserve more hugepages or lower --mbufs";
    return {};
}

std::string open_ports(const Options& options, Shared& shared)
{
    shared.workers = static_cast<unsigned>(options.worker_cores.size());
    for (const PortOption& option : options.ports) {
        const unsigned port = shared.ports;
        const std::vector<std::string> devices = devices_of(option.device, port, shared.workers);
        for (size_t i = 0; i < devices.size(); i++) {
            uint16_t number = 0;
            std::string error = attach(devices[i], number);
            const bool is_shared = devices.size() == 1;
            if (error.empty())
                error =
                    start_device(number, devices[i],
                                 is_shared ? static_cast<uint16_t>(shared.workers) : uint16_t{1},
                                 options.mtu, shared.pool);
            if (!error.empty())
                return "port " + option.name + ": " + error;
            for (unsigned worker = 0; worker < shared.workers; worker++)
                if (is_shared || worker == i)
                    shared.queues[port][worker] = {number,
                                                   static_cast<uint16_t>(is_shared ? worker : 0)};
        }
        rte_ether_addr mac{};
        rte_eth_macaddr_get(shared.queues[port][0].device, &mac);
        std::memcpy(shared.port_macs[port], mac.addr_bytes, 6);
        shared.ports++;
    }
    return {};
}

void close_ports(Shared& shared)
{
    uint16_t device;
    RTE_ETH_FOREACH_DEV(device)
    {
        rte_eth_dev_stop(device);
        rte_eth_dev_close(device);
    }
    shared.ports = 0;
}

std::string open_host_port(const Options& options, Shared& shared)
{
    const std::string interface = "sandgate0";
    const std::string error =
        host_port::make_in_namespace(options, interface, [&]() -> std::string {
            uint16_t number = 0;
            const std::string device = "net_tap0,iface=" + interface + ",mac=fixed";
            std::string fault = attach(device, number);
            if (fault.empty())
                fault = start_device(number, device, static_cast<uint16_t>(shared.workers),
                                     options.mtu, shared.pool);
            if (!fault.empty())
                return fault;
            const unsigned port = shared.ports;
            for (unsigned worker = 0; worker < shared.workers; worker++)
                shared.queues[port][worker] = {number, static_cast<uint16_t>(worker)};
            rte_ether_addr mac{};
            rte_eth_macaddr_get(number, &mac);
            // Without ARP the kernel addresses every frame to the interface's own MAC: both ends
            // have the same.
            std::memcpy(shared.port_macs[port], mac.addr_bytes, 6);
            std::memcpy(shared.host_mac, mac.addr_bytes, 6);
            shared.has_host_port = true;
            return {};
        });
    return error.empty() ? error : "host port: " + error;
}

}  // namespace sandgate::dp
