#include "app/commands.hpp"
#include "app/output.hpp"
#include "app/terminal.hpp"
#include "runtime/error.hpp"

#include <new>

namespace {

constexpr int failed = 1, wrong_usage = 2, interrupted = 130; // 128 + SIGINT, as shells count it

int run(int argc, char** argv) {
    const auto parsed = kvasir::parse_options(argc, argv);
    if (const auto* usage = std::get_if<kvasir::Usage>(&parsed)) {
        if (usage->status == 0)
            kvasir::print(usage->text);
        else
            kvasir::notice("kvasir: " + kvasir::one_line(usage->text));
        return usage->status == 0 ? 0 : wrong_usage;
    }
    return std::visit([](const auto& options) { return kvasir::run(options); },
                      std::get<kvasir::Options>(parsed));
}

int fail(const std::string& message) {
    kvasir::notice("kvasir: " + kvasir::one_line(message));
    return failed;
}

} // namespace

int main(int argc, char** argv) {
    try {
        kvasir::prepare_signals();
        return run(argc, argv);
    } catch (const kvasir::OutputClosed&) {
        return 0;
    } catch (const kvasir::Interrupted&) {
        kvasir::notice("kvasir: stopped by Ctrl-C");
        return interrupted;
    } catch (const std::bad_alloc&) {
        return fail("running the command: the machine has too little memory for it; try a shorter input or "
                    "--context N");
    } catch (const std::exception& error) {
        return fail(error.what());
    }
}
