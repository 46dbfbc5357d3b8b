// The mistakes that a caller of seal_batch and open_batch can make: debug builds abort on them, and
// the last legal values are not taken for one.
#include "crypto/aead.h"

#include <gtest/gtest.h>

#include "crypto/self_test.h"
#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {
namespace {

class AeadJobs : public testing::Test
{
  protected:
    void SetUp() override
    {
        testing::FLAGS_gtest_death_test_style = "threadsafe";
        ASSERT_EQ(start(), "");
    }

    AeadJob legal() { return {key_.data(), 1, data_.data(), kMaxTextBytes, false}; }

    // The wrong one between two that are legal.
    void expect_abort(const AeadJob& wrong)
    {
#ifdef NDEBUG
        static_cast<void>(wrong);
        GTEST_SKIP() << "this build has no assertions (NDEBUG), so a wrong job was NOT tried";
#else
        Buffer first(kTagBytes), last(kTagBytes);
        AeadJob jobs[] = {{key_.data(), 1, first.data(), 0, false},
                          wrong,
                          {key_.data(), 2, last.data(), 0, false}};
        EXPECT_DEATH(seal_batch(jobs), "jobs_are_legal");
        EXPECT_DEATH(open_batch(jobs), "jobs_are_legal");
#endif
    }

    const Buffer key_ = ramp(kKeyBytes, 0, 1);
    // Larger than any legal packet, so that only the assertion can stop an illegal one.
    Buffer data_ = Buffer(2 * kMaxTextBytes);
};

TEST_F(AeadJobs, of_the_least_and_the_greatest_length_are_legal)
{
    Buffer empty(kTagBytes);
    AeadJob jobs[] = {legal(), {key_.data(), 2, empty.data(), 0, false}};
    seal_batch(jobs);
    open_batch(jobs);
    EXPECT_TRUE(jobs[0].is_authentic);
    EXPECT_TRUE(jobs[1].is_authentic);
}

TEST_F(AeadJobs, longer_than_the_limit_abort_in_debug_builds)
{
    AeadJob job = legal();
    job.text_bytes = kMaxTextBytes + 1;
    expect_abort(job);
}

TEST_F(AeadJobs, without_a_key_abort_in_debug_builds)
{
    AeadJob job = legal();
    job.key = nullptr;
    expect_abort(job);
}

TEST_F(AeadJobs, without_data_abort_in_debug_builds)
{
    AeadJob job = legal();
    job.data = nullptr;
    job.text_bytes = 0;
    expect_abort(job);
}

}  // namespace
}  // namespace sandgate::crypto::test
