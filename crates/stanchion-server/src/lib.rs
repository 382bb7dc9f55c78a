//! Service, modules, lifecycle, health and REST with an envelope, problems and stated permissions.
