#include "protocol/nvme/command_effects_log.h"

#include "protocol/nvme/admin_command.h"
#include "protocol/nvme/features.h"
#include "protocol/nvme/io_command.h"

namespace protocol::nvme {

namespace {

constexpr AdminOpcode admin_commands[] = {
    AdminOpcode::get_log_page, AdminOpcode::identify,     AdminOpcode::abort,
    AdminOpcode::set_features, AdminOpcode::get_features, AdminOpcode::async_event_request,
    AdminOpcode::keep_alive,
};
constexpr AdminOpcode io_controller_commands[] = {AdminOpcode::get_lba_status};
constexpr IoOpcode reading_commands[] = {IoOpcode::flush,
                                         IoOpcode::read,
                                         IoOpcode::compare,
                                         IoOpcode::verify,
                                         IoOpcode::reservation_register,
                                         IoOpcode::reservation_report,
                                         IoOpcode::reservation_acquire,
                                         IoOpcode::reservation_release};
constexpr IoOpcode changing_commands[] = {IoOpcode::write, IoOpcode::write_uncorrectable,
                                          IoOpcode::write_zeroes, IoOpcode::dataset_management,
                                          IoOpcode::copy};

}  // namespace

CommandEffectsPage build_command_effects(EffectsOf controller) {
  CommandEffectsPage page{};
  for (const auto opcode : admin_commands)
    page.admin[static_cast<std::uint8_t>(opcode)] = effect_bit::supported;
  if (controller == EffectsOf::discovery_controller) return page;
  for (const auto opcode : io_controller_commands)
    page.admin[static_cast<std::uint8_t>(opcode)] = effect_bit::supported;
  page.admin[static_cast<std::uint8_t>(AdminOpcode::format_nvm)] =
      effect_bit::supported | effect_bit::changes_blocks | effect_bit::changes_namespace |
      effect_bit::alone_in_namespace;
  for (const auto opcode : reading_commands)
    page.io[static_cast<std::uint8_t>(opcode)] = effect_bit::supported;
  for (const auto opcode : changing_commands) {
    page.io[static_cast<std::uint8_t>(opcode)] = effect_bit::supported | effect_bit::changes_blocks;
  }
  return page;
}

bool has_feature(EffectsOf controller, std::uint8_t feature_id) {
  switch (static_cast<FeatureId>(feature_id)) {
    case FeatureId::async_event_configuration:
    case FeatureId::keep_alive_timer:
    case FeatureId::host_identifier:
      return true;
    case FeatureId::arbitration:
    case FeatureId::power_management:
    case FeatureId::temperature_threshold:
    case FeatureId::error_recovery:
    case FeatureId::number_of_queues:
    case FeatureId::timestamp:
    case FeatureId::host_behavior:
    case FeatureId::reservation_notification_mask:
    case FeatureId::reservation_persistence:
    case FeatureId::write_protection:
      return controller == EffectsOf::io_controller;
    case FeatureId::volatile_write_cache:
      return false;
  }
  return false;
}

FeatureEffectsPage build_feature_effects(EffectsOf controller) {
  FeatureEffectsPage page{};
  for (unsigned id = 0; id < 256; ++id) {
    if (has_feature(controller, static_cast<std::uint8_t>(id)))
      page.feature[id] = effect_bit::supported;
  }
  return page;
}

}  // namespace protocol::nvme
