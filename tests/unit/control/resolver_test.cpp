// The resolver: raw queries in, raw answers out, and the same over its sockets.
#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <random>
#include <thread>

#include "control/resolver/answer.h"
#include "control/resolver/server.h"
#include "tests/unit/control/temp_dir.h"

namespace sandgate::test {

using control::answer_query;
using control::Zone;
using Bytes = std::vector<uint8_t>;

namespace {

constexpr uint16_t kA = 1, kTxt = 16, kAaaa = 28, kAxfr = 252;

Bytes query(const std::string& name, uint16_t type, uint16_t id = 0x1234, uint16_t klass = 1)
{
    Bytes q = {
        static_cast<uint8_t>(id >> 8), static_cast<uint8_t>(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    size_t at = 0;
    while (at < name.size()) {
        const size_t end = std::min(name.find('.', at), name.size());
        q.push_back(static_cast<uint8_t>(end - at));
        q.insert(q.end(), name.begin() + static_cast<long>(at),
                 name.begin() + static_cast<long>(end));
        at = end + 1;
    }
    q.push_back(0);
    for (const uint16_t field : {type, klass}) {
        q.push_back(static_cast<uint8_t>(field >> 8));
        q.push_back(static_cast<uint8_t>(field));
    }
    return q;
}

Bytes with_edns(Bytes q, uint16_t size, uint8_t version = 0)
{
    q[11] = 1;
    q.insert(q.end(), {0, 0, 41, static_cast<uint8_t>(size >> 8), static_cast<uint8_t>(size), 0,
                       version, 0, 0, 0, 0});
    return q;
}

unsigned rcode(const Bytes& a) { return a.at(3) & 15; }
unsigned answers(const Bytes& a) { return static_cast<unsigned>(a.at(6) << 8 | a.at(7)); }
bool ends_with(const Bytes& a, const Bytes& tail)
{
    return a.size() >= tail.size() && std::equal(tail.rbegin(), tail.rend(), a.rbegin());
}

struct ResolverTest : testing::Test
{
    ResolverTest()
    {
        EXPECT_EQ(zone.add("ai=10.66.0.1"), "");
        EXPECT_EQ(zone.add("ai=fd66::1"), "");
        EXPECT_EQ(zone.add("v4only.gate.internal=10.66.0.2"), "");
    }
    Zone zone;
};

TEST_F(ResolverTest, answers_its_own_names)
{
    const Bytes v4 = answer_query(query("ai", kA), zone, true);
    EXPECT_EQ(v4[0], 0x12);
    EXPECT_EQ(v4[1], 0x34);
    EXPECT_EQ(v4[2] & 0x84, 0x84) << "an authoritative answer";
    EXPECT_EQ(v4[2] & 1, 1) << "RD is repeated";
    EXPECT_EQ(rcode(v4), 0u);
    EXPECT_EQ(answers(v4), 1u);
    EXPECT_TRUE(ends_with(v4, {0, 4, 10, 66, 0, 1}));
    const Bytes v6 = answer_query(query("ai", kAaaa), zone, true);
    EXPECT_EQ(answers(v6), 1u);
    EXPECT_TRUE(ends_with(v6, {0, 16, 0xfd, 0x66, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}));
}

TEST_F(ResolverTest, takes_names_in_any_case_and_repeats_them_as_they_were)
{
    const Bytes a = answer_query(query("V4Only.GATE.internal", kA), zone, true);
    EXPECT_EQ(rcode(a), 0u);
    EXPECT_EQ(answers(a), 1u);
    EXPECT_EQ(std::string(a.begin() + 13, a.begin() + 19), "V4Only");
}

TEST_F(ResolverTest, says_that_a_name_has_no_such_record)
{
    for (const uint16_t type : {kAaaa, kTxt, uint16_t{65}}) {
        const Bytes a = answer_query(query("v4only.gate.internal", type), zone, true);
        EXPECT_EQ(rcode(a), 0u);
        EXPECT_EQ(answers(a), 0u);
    }
}

TEST_F(ResolverTest, refuses_the_rest)
{
    for (const Bytes& q : {query("example.com", kA), query("ai.example.com", kA), query("", kA),
                           query("aii", kA), query("ai", kAxfr), query("ai", kA, 1, 3)}) {
        const Bytes a = answer_query(q, zone, true);
        EXPECT_EQ(rcode(a), 5u);
        EXPECT_EQ(answers(a), 0u);
    }
}

TEST_F(ResolverTest, answers_bad_messages_with_a_code_and_never_answers_an_answer)
{
    Bytes is_answer = query("ai", kA);
    is_answer[2] |= 0x80;
    EXPECT_TRUE(answer_query(is_answer, zone, true).empty());
    EXPECT_TRUE(answer_query(Bytes(11, 0), zone, true).empty());
    Bytes status = query("ai", kA);
    status[2] = 2 << 3;
    EXPECT_EQ(rcode(answer_query(status, zone, true)), 4u);
    Bytes two = query("ai", kA);
    two[5] = 2;
    EXPECT_EQ(rcode(answer_query(two, zone, true)), 1u);
    Bytes none = query("ai", kA);
    none[5] = 0;
    EXPECT_EQ(rcode(answer_query(none, zone, true)), 1u);
    Bytes loop = query("ai", kA);
    loop[12] = 0xc0;
    loop[13] = 12;  // a name that points at itself
    EXPECT_EQ(rcode(answer_query(loop, zone, true)), 1u);
    Bytes cut = query("ai", kA);
    cut.pop_back();
    EXPECT_EQ(rcode(answer_query(cut, zone, true)), 1u);
}

TEST_F(ResolverTest, speaks_edns_and_refuses_other_versions_of_it)
{
    const Bytes a = answer_query(with_edns(query("ai", kA), 4096), zone, true);
    EXPECT_EQ(rcode(a), 0u);
    EXPECT_EQ(answers(a), 1u);
    EXPECT_EQ(a.at(11), 1) << "the answer carries its own EDNS record";
    const Bytes bad = answer_query(with_edns(query("ai", kA), 4096, 1), zone, true);
    EXPECT_EQ(answers(bad), 0u);
    EXPECT_TRUE(ends_with(bad, {41, 0x04, 0xd0, 1, 0, 0, 0, 0, 0}))
        << "BADVERS is 16: 1 in the record";
}

TEST_F(ResolverTest, cuts_what_the_client_cannot_take)
{
    for (int i = 0; i < 100; i++) ASSERT_EQ(zone.add("many=10.0.0." + std::to_string(i)), "");
    const Bytes small = answer_query(query("many", kA), zone, true);
    EXPECT_LE(small.size(), 512u);
    EXPECT_EQ(small[2] & 2, 2) << "TC";
    const Bytes larger = answer_query(with_edns(query("many", kA), 65000), zone, true);
    EXPECT_LE(larger.size(), 1232u);
    const Bytes whole = answer_query(query("many", kA), zone, false);
    EXPECT_EQ(answers(whole), 100u);
    EXPECT_EQ(whole[2] & 2, 0);
}

TEST_F(ResolverTest, survives_every_prefix_and_random_damage_of_a_query)
{
    const Bytes good = with_edns(query("v4only.gate.internal", kA), 1232);
    for (size_t length = 0; length <= good.size(); length++)
        (void)answer_query(std::span(good.data(), length), zone, true);
    std::mt19937 random(7);
    for (int round = 0; round < 20000; round++) {
        Bytes q = good;
        for (unsigned i = 0; i < 1 + random() % 4; i++)
            q[random() % q.size()] = static_cast<uint8_t>(random());
        q.resize(random() % 4 == 0 ? random() % (q.size() + 1) : q.size());
        const Bytes a = answer_query(q, zone, true);
        ASSERT_TRUE(a.empty() ||
                    (a.size() >= 12 && a.size() <= 1232 && a[0] == q[0] && a[1] == q[1]));
    }
}

TEST_F(ResolverTest, refuses_names_and_addresses_that_are_none)
{
    for (const char* bad :
         {"ai", "=10.0.0.1", "a b=10.0.0.1", "a..b=10.0.0.1", "ai=10.0.0", "ai=10.0.0.1/8", "ai="})
        EXPECT_NE(zone.add(bad), "") << bad;
    TempDir dir;
    dir.write("zone", "# names\nai 10.66.0.1 fd66::1\n\nbroken 10.66.0.300\n");
    EXPECT_NE(zone.add_file(dir / "zone").find("zone:4: "), std::string::npos);
}

TEST_F(ResolverTest, serves_udp_and_tcp)
{
    namespace asio = boost::asio;
    asio::io_context io;
    control::DnsServer server(io, zone);
    ASSERT_EQ(server.listen("127.0.0.1:0"), "");
    const uint16_t port = server.ports().at(0);
    std::thread thread([&] { io.run(); });

    asio::io_context mine;
    asio::ip::udp::socket udp(mine, asio::ip::udp::v4());
    const asio::ip::udp::endpoint to(asio::ip::make_address("127.0.0.1"), port);
    udp.send_to(asio::buffer("x", 1), to);  // no answer, no harm
    udp.send_to(asio::buffer(query("ai", kA)), to);
    Bytes got(2000);
    got.resize(udp.receive(asio::buffer(got)));
    EXPECT_EQ(answers(got), 1u);

    asio::ip::tcp::socket tcp(mine);
    tcp.connect({asio::ip::make_address("127.0.0.1"), port});
    for (int round = 0; round < 2; round++) {
        const Bytes q = query("ai", kAaaa);
        Bytes framed = {0, static_cast<uint8_t>(q.size())};
        framed.insert(framed.end(), q.begin(), q.end());
        asio::write(tcp, asio::buffer(framed));
        std::array<uint8_t, 2> length{};
        asio::read(tcp, asio::buffer(length));
        Bytes a(static_cast<size_t>(length[0] << 8 | length[1]));
        asio::read(tcp, asio::buffer(a));
        EXPECT_EQ(answers(a), 1u);
    }
    tcp.close();
    io.stop();
    thread.join();
}

TEST_F(ResolverTest, says_why_it_cannot_listen)
{
    boost::asio::io_context io;
    control::DnsServer server(io, zone);
    EXPECT_NE(server.listen("nonsense"), "");
    EXPECT_NE(server.listen("127.0.0.1:99999"), "");
    EXPECT_NE(server.listen("[::1"), "");
    ASSERT_EQ(server.listen("127.0.0.1:0"), "");
    const auto taken = "127.0.0.1:" + std::to_string(server.ports().at(0));
    EXPECT_NE(server.listen(taken).find(taken), std::string::npos);
}

}  // namespace
}  // namespace sandgate::test
