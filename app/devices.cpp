#include "app/commands.hpp"
#include "app/output.hpp"
#include "runtime/gpu/device.hpp"

#include <nlohmann/json.hpp>

namespace kvasir {

namespace {

nlohmann::json to_json(const DeviceInfo& device) {
    return {{"index", device.index},
            {"name", device.name},
            {"driver", device.driver},
            {"type", device.type},
            {"api", device.api},
            {"chosen", device.chosen},
            {"reason", device.reason},
            {"usable", device.usable},
            {"uuid", device.uuid},
            {"memory", device.memory},
            {"max_allocation", device.max_allocation},
            {"max_binding", device.max_binding},
            {"subgroup", device.subgroup},
            {"max_workgroup", device.max_workgroup},
            {"max_shared", device.max_shared},
            {"features", device.features}};
}

std::string describe(const std::vector<DeviceInfo>& devices) {
    std::vector<std::vector<std::string>> rows{
        {"", "N", "name", "driver", "type", "Vulkan", "memory", "subgroup", "why"}};
    for (const DeviceInfo& device : devices)
        rows.push_back({device.chosen ? "*" : "", std::to_string(device.index), device.name, device.driver,
                        device.type, device.api, mebibytes(device.memory), std::to_string(device.subgroup),
                        device.reason});
    std::string text = table(rows);
    for (const DeviceInfo& device : devices) {
        if (device.features.empty()) continue;
        text += "\n" + std::to_string(device.index) + " has";
        for (size_t i = 0; i < device.features.size(); ++i) text += (i ? ", " : " ") + device.features[i];
    }
    return text + (text.ends_with('\n') ? "" : "\n");
}

} // namespace

int run(const DevicesOptions& options) {
    const std::vector<DeviceInfo> devices = list_devices();
    if (!options.json) {
        print(describe(devices));
        return 0;
    }
    nlohmann::json all = nlohmann::json::array();
    for (const DeviceInfo& device : devices) all.push_back(to_json(device));
    print(to_text({{"devices", all}}));
    return 0;
}

} // namespace kvasir
