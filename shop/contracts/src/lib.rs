//! Messages between the shop's contexts; no logic.
