//! The rules: a file a rule, registered by its name in this list.

use crate::model::Rule;

mod prelude;

macro_rules! rules {
    ($($name:ident,)*) => {
        $(pub(crate) mod $name;)*
        static ALL: &[&Rule] = &[$(&$name::RULE),*];
    };
}

rules! {
    ack_before_handling,
    architecture_drift,
    begin_cancelled,
    blocking_in_async,
    body_not_closed,
    body_without_limit,
    breaker_counts_cancellation,
    breaker_never_half_opens,
    breaker_serialises,
    cache_cleared_first,
    cache_stampede,
    cache_without_bound,
    cache_without_expiry,
    cancel_dropped,
    client_without_timeout,
    compose_privileged,
    container_as_root,
    context_kept,
    context_not_first,
    context_not_passed,
    context_replaced,
    cors_wide_open,
    defer_in_loop,
    domain_imports_adapter,
    error_as_text,
    error_by_identity,
    error_cause_lost,
    error_dropped,
    error_swallowed,
    exit_in_library,
    file_not_closed,
    float_money,
    guard_dropped_at_once,
    handler_holds_sql,
    image_holds_secret,
    image_not_pinned,
    import_circle,
    jwt_algorithm_open,
    jwt_unverified,
    jwt_without_audience,
    jwt_without_expiry,
    liveness_asks_dependencies,
    lock_across_await,
    lock_across_io,
    logged_and_returned,
    manifest_without_grace,
    manifest_without_limits,
    manifest_without_probes,
    metric_label_open,
    metrics_public,
    nack_requeues_always,
    paging_without_cap,
    panic_in_request,
    password_compared,
    password_fast_hash,
    permit_freed_early,
    personal_data_in_log,
    pool_without_bound,
    print_in_request,
    profiler_public,
    publish_error_ignored,
    query_in_loop,
    queue_without_dead_letter,
    retry_cause_lost,
    retry_not_idempotent,
    retry_sleeps_after_last,
    retry_without_end,
    retry_without_jitter,
    route_without_permission,
    rows_error_unread,
    rows_not_closed,
    save_then_publish,
    secret_in_debug,
    secret_in_log,
    secret_in_source,
    send_on_closed_channel,
    server_without_timeouts,
    sleep_ignores_cancellation,
    spawn_per_item,
    sql_concatenated,
    suppression_unused,
    suppression_without_reason,
    task_without_stop,
    test_ignored,
    test_sleeps,
    test_without_assertion,
    time_after_in_loop,
    tls_unverified,
    tx_not_rolled_back,
    unbounded_channel,
    waitgroup_add_inside,
    wall_clock_duration,
    weak_random,
}

/// Every rule, by name.
pub fn all() -> &'static [&'static Rule] {
    ALL
}

/// The rule of a name.
pub fn by_name(name: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.name == name).copied()
}
