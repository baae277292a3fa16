// app/doors.h: the nodes of a cluster as an operator's command reaches them, asked one at a time:
// when one does not answer, the next one is. Threading: one thread.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "app/client.h"
#include "app/operate.h"

namespace asterias::app {

class Doors {
public:
    Doors(port::Address first, const Caller& caller);

    // From the first one, which others there are. Error: it does not answer.
    Result<void> learn();
    // Of the present one. After an error the next one is the present one, and standard error says
    // so, each thing once until somebody answers.
    Result<HttpAnswer> ask(const std::string& method, const std::string& path);
    // It answers, and not what it was asked for; the same then.
    void pass_on(const std::string& why);
    void answered_well() { told_.clear(); }
    const port::Address& present() const { return doors_[at_]; }

private:
    std::vector<port::Address> doors_;
    size_t at_ = 0;
    const Caller& caller_;
    std::set<std::string> told_;
};

}  // namespace asterias::app
