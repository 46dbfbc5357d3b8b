// The table of ratios: each kernel of ours against the fastest library, with the targets that it
// was built to. Contestants are measured in turn, in rounds; a ratio is taken within a round, and
// the table shows the median of the rounds and how far they spread. Nothing is chosen from them.
#pragma once

namespace sandgate::crypto {

// Prints it; returns the exit status, 1 when an output is wrong.
int print_table();

}  // namespace sandgate::crypto
